"""What the preconditioners of a `PoissonOperator` have in common: workspaces, and application to any array."""

from __future__ import annotations

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import DTypeError, ShapeError
from sci.linalg.lanczos import power_of_two
from sci.solvers.krylov.arrays import size_of_entries
from sci.solvers.krylov.pool import Lending
from sci.solvers.krylov.protocols import Cycle
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["PaddedPreconditioner"]


@entry
class PaddedPreconditioner(Lending[Cycle]):
    """A preconditioner of a Poisson operator that works on padded arrays.

    A subclass makes its cycle with `new_cycle`; the cycles are kept and lent to one call at a time, so that an instance
    serves several threads, each with arrays of its own. Pickling leaves them out.

    Parameters
    ----------
    A : PoissonOperator
    """

    def __init__(self, A: PoissonOperator) -> None:
        if not isinstance(A, PoissonOperator):
            raise DTypeError(f"{type(self).__name__} needs a PoissonOperator, got {type(A).__name__}")
        self.A, self.shape, self.dtype = A, A.shape, np.dtype(np.float64)
        super().__init__()

    def matvec(self, r: Array) -> Array:
        """Return M r for a grid array, a flat array (n,) or (n, 1), or columns (n, k), in its dtype; collective."""
        A = self.A
        if tuple(r.shape) == A.local_shape:
            return self._apply(r)
        if r.ndim == 2 and r.shape[0] == A.size and r.shape[1] != 1:
            return A.xp.stack([self.matvec(r[:, k]) for k in range(r.shape[1])], axis=1)
        if tuple(r.shape) not in ((A.size,), (A.size, 1)):
            expected = f"the grid {A.local_shape}, ({A.size},) or ({A.size}, k)"
            raise ShapeError(f"the vector has shape {tuple(r.shape)}; expected {expected}")
        return A.compress(self._apply(A.expand(r))).reshape(r.shape)

    matmat = rmatvec = dot = __call__ = __matmul__ = matvec

    def _apply(self, grid: Array) -> Array:
        A = self.A
        namespace(grid, A.mask)
        if grid.dtype.kind not in "biuf":
            raise DTypeError(f"the vector has dtype {grid.dtype}; expected real numbers")
        dtype = grid.dtype if grid.dtype.kind == "f" else np.dtype(np.float64)
        size = size_of_entries(grid, A.comm)
        unit = power_of_two(size) if np.isfinite(size) else 1.0
        with self.workspace() as cycle:
            A.layout.cells(cycle.source)[...] = grid * (A.mask / unit)
            cycle.run()
            return A.layout.cells(cycle.result).astype(dtype) * dtype.type(cycle.scale * unit)
