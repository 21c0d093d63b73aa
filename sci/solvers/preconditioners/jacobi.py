"""The diagonal as a preconditioner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import ConvergenceError
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.padded import ArrayCycle
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["Jacobi"]


@entry
class Jacobi:
    """Inverse of the diagonal of a Poisson operator, a sparse matrix or a dense one.

    Parameters
    ----------
    A : PoissonOperator, sparse matrix or (n, n) array

    Raises
    ------
    ConvergenceError
        If a diagonal entry is negative; zero rows, as those of cells outside of the fluid, stay zero.

    Notes
    -----
    On ranks it needs no messages.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import Jacobi
    >>> Jacobi(np.diag([2.0, 4.0])) @ np.ones(2)
    array([0.5 , 0.25])
    """

    def __init__(self, A: Any) -> None:
        self.A = A
        on_grid = isinstance(A, PoissonOperator)
        diagonal = A.diagonal if on_grid else A.diagonal()
        xp = namespace(diagonal)
        if bool((diagonal < 0).any()):
            raise ConvergenceError("A has a negative diagonal entry; expected a symmetric positive definite matrix")
        self.shape = A.shape
        inverse = xp.where(diagonal > 0, 1 / xp.where(diagonal > 0, diagonal, 1.0), 0.0).astype(np.float64)
        self._grid: Array | None = inverse if on_grid else None
        self._flat: Array = A.compress(inverse) if on_grid else inverse

    def matvec(self, r: Array) -> Array:
        """Return r over the diagonal, for a grid array, a flat one (n,), or columns (n, k)."""
        if self._grid is not None and r.shape == self._grid.shape:
            return r * self._grid
        return r * self._flat.reshape(-1, *(1,) * (r.ndim - 1))

    matmat = rmatvec = __call__ = __matmul__ = matvec

    @contextmanager
    def workspace(self) -> Iterator[ArrayCycle]:
        """Lend a cycle with its arrays, for the time of a `with` block; A is a PoissonOperator."""
        yield ArrayCycle(self.A.space, self.matvec, Guard(self.A.comm))

    @property
    def nbytes(self) -> int:
        """Bytes of the inverse diagonal."""
        return int(self._flat.nbytes + (0 if self._grid is None else self._grid.nbytes))

    def __repr__(self) -> str:
        return f"Jacobi({self.shape[0]} unknowns, {self.nbytes} bytes)"
