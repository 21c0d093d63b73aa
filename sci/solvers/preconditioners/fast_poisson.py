"""The exact inverse of the Poisson operator of a whole box by sine, cosine and Fourier transforms."""

from __future__ import annotations

from functools import reduce

import numpy as np

from sci.arguments import entry
from sci.backend import Array, to_device
from sci.errors import InvalidValueError
from sci.solvers.krylov.guard import Guard
from sci.solvers.krylov.padded import ArrayCycle
from sci.solvers.krylov.preconditioner import PaddedPreconditioner
from sci.solvers.poisson.operator import PoissonOperator
from sci.solvers.preconditioners.transforms import axis_transform

__all__ = ["FastPoisson"]


@entry
class FastPoisson(PaddedPreconditioner):
    """Inverse of the Poisson operator of a box without bodies: exact there, a preconditioner where bodies are.

    The box has the walls and the cells of A; its bodies are taken as fluid, and a varying coefficient or reaction as
    its mean. The operator is diagonal in products of sines (Dirichlet), cosines (Neumann) and waves (periodic).

    Parameters
    ----------
    A : PoissonOperator

    Notes
    -----
    O(n log n). One number per cell is kept; `solve` takes two more, its result included. With bodies, the number of
    iterations grows slowly with the size. On a singular box the constant is removed. On one process.

    References
    ----------
    Swarztrauber, SIAM Review 19, 490 (1977).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import FastPoisson, PoissonOperator
    >>> A = PoissonOperator(np.ones((8, 9), dtype=bool), 0.5, ["periodic", "dirichlet"])
    >>> b = np.arange(72.0).reshape(8, 9)
    >>> bool(abs(A @ FastPoisson(A).solve(b) - b).max() < 1e-12 * abs(b).max())
    True
    """

    def __init__(self, A: PoissonOperator) -> None:
        super().__init__(A)
        if A.blocks is not None:
            raise InvalidValueError("FastPoisson needs the whole grid on one process; expected Multigrid(A) on ranks")
        self.transforms = [axis_transform(n, w, h) for n, w, h in zip(A.grid_shape, A.boundary, A.spacing)]
        total = reduce(np.add.outer, [t.eigenvalues for t in self.transforms])
        if A.coefficient is not None:
            total = total * float(A.coefficient[A.mask].mean())
        if A.reaction is not None:
            total = total + float(A.reaction[A.mask].mean())
        good = total > 1e-13 * total.max()
        inverse = good / np.where(good, total, 1.0)
        self.inverse: Array = to_device(inverse, A.xp)

    def solve(self, grid: Array) -> Array:
        """Return the solution in the whole box for a right-hand side on the grid."""
        for axis, transform in enumerate(self.transforms):
            grid = transform.forward(grid, axis)
        grid = grid * self.inverse
        for axis, transform in enumerate(self.transforms):
            grid = transform.backward(grid, axis)
        return grid

    def new_cycle(self) -> ArrayCycle:
        """Return a cycle with arrays of its own."""
        return ArrayCycle(self.A.space, self.solve, Guard())

    @property
    def nbytes(self) -> int:
        """Bytes of the inverse eigenvalues."""
        return int(self.inverse.nbytes)

    def __repr__(self) -> str:
        return f"FastPoisson({self.nbytes} bytes, {self.A!r})"
