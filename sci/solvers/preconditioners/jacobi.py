"""The diagonal as a preconditioner."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import ConvergenceError
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["Jacobi"]


class Jacobi:
    """Inverse of the diagonal of a Poisson operator, a sparse matrix or a dense one.

    Parameters
    ----------
    A : PoissonOperator, sparse matrix or (n, n) array

    Raises
    ------
    ConvergenceError
        If a diagonal entry is negative; zero rows, as those of cells outside of the fluid, stay zero.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import Jacobi
    >>> Jacobi(np.diag([2.0, 4.0])) @ np.ones(2)
    array([0.5 , 0.25])
    """

    def __init__(self, A: Any) -> None:
        self.A = A if isinstance(A, PoissonOperator) else None
        self.takes_grids = self.A is not None
        diagonal = self.A.diagonal if self.A is not None else A.diagonal()
        xp = namespace(diagonal)
        if bool((diagonal < 0).any()):
            raise ConvergenceError("A has a negative diagonal entry; expected a symmetric positive definite matrix")
        self.shape = A.shape
        self.inverse: Array = xp.where(diagonal > 0, 1 / xp.where(diagonal > 0, diagonal, 1.0), 0.0).astype(np.float64)

    def matvec(self, r: Array) -> Array:
        """Return r over the diagonal, for a grid array or a flat one."""
        if r.shape == self.inverse.shape:
            return r * self.inverse
        inverse = self.inverse if self.A is None else self.A.gather(self.inverse)
        return r * inverse.reshape(r.shape)

    __call__ = __matmul__ = matvec
