"""The learned V-cycle as a preconditioner: single precision, compiled kernels, one setup a mask."""

from __future__ import annotations

from functools import cached_property
from types import ModuleType

import numpy as np

from sci.backend import Array
from sci.errors import InvalidValueError
from sci.solvers.learned.parameters import Parameters
from sci.solvers.learned.setup import finest_equation, smooths_twice
from sci.solvers.learned.stages import Step
from sci.solvers.learned.vcycle import Levels
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["LearnedCycle"]


class LearnedCycle:
    """Symmetric positive definite approximation M of the inverse of a Poisson operator, for `cg(A, b, M=...)`.

    Parameters
    ----------
    A : PoissonOperator
        Of two or three axes, any lengths, with Dirichlet and Neumann walls and bodies.
    parameters : dict of arrays
        Of `sci.solvers.learned.parameters`, trained or not.

    Raises
    ------
    InvalidValueError
        If an axis of A is periodic.

    Notes
    -----
    With one thread of a host each half of a cycle goes through memory once on a level (`sci.solvers.learned.stages`):
    about 33 bytes an unknown on the finest level, where it holds 12. Otherwise a cycle reads or writes 71 there, and
    holds 17. All other levels add a quarter, and hold 6.
    """

    takes_grids = True

    def __init__(self, A: PoissonOperator, parameters: Parameters) -> None:
        if any(A.periodic):
            raise InvalidValueError(
                "the learned cycle takes Dirichlet and Neumann walls, and an axis of A is periodic; use Multigrid(A)"
            )
        self.A = A
        self.shape = A.shape
        self.xp: ModuleType = A.xp
        unit, fluid, dirichlet = A.stencil.weight, None, None
        if not A.constant:
            unit = float(A.diagonal.sum()) / (2 * A.ndim * A.size)
            fluid, dirichlet = A.layout.spread(A.mask), A.layout.spread(A.dirichlet)
        self.scale = 1.0 / unit
        """What a residual is multiplied by for `source`: the cycle's operator has weights near one."""
        insulated = A.insulating & ~A.mask
        bodies = bool(insulated.any())
        walls = [(True, True)] * (3 - A.ndim) + [(low == "dirichlet", high == "dirichlet") for low, high in A.walls]
        lossy = bodies or not all(low and high for low, high in walls)
        closed = insulated.reshape(A.layout.lengths).astype(np.float32) if lossy else None
        self._levels = Levels(
            finest_equation(A.stencil, unit, fluid, dirichlet),
            parameters,
            lambda fixed: smooths_twice(float(fixed.sum()), A.layout.lengths, A.size, bodies),
            closed,
            walls,
        )

    @property
    def source(self) -> Array:
        """Padded right-hand side of the cycle, `scale` times a residual."""
        return self._levels.grids[0].f

    @property
    def result(self) -> Array:
        """Padded result of the cycle."""
        return self._levels.result

    @property
    def nbytes(self) -> int:
        """Bytes that the cycle holds, the faces of the finest level, which are the operator's, included."""
        return self._levels.nbytes

    def cycle(self, descended: bool = False) -> float | None:
        """Turn `source` into `result`; return their product where it is known.

        Where it has `descended`, `step` has done the first stage.
        """
        return self._levels.cycle(descended)

    @property
    def energy(self) -> float | None:
        """The last result u times the operator in the units of the cycle times u, where it is known."""
        return None if self._levels.product is None else float(self._levels.product[1])

    @cached_property
    def step(self) -> Step | None:
        """A step of conjugate gradients that goes down as well, on one thread of a host and without links."""
        return self._levels.step(self.A.stencil.weight)

    def matvec(self, r: Array) -> Array:
        """Return M r for a grid array or a flat array, in its dtype."""
        A = self.A
        on_grid = tuple(r.shape) == A.grid_shape
        grid = r if on_grid else A.scatter(r)
        size = float(self.xp.abs(grid).max())
        if size == 0:
            return r * 0
        A.layout.cells(self.source)[...] = grid * (A.mask / size)
        self.cycle()
        z = A.layout.cells(self.result).astype(r.dtype) * (size * self.scale)
        return z if on_grid else A.gather(z).reshape(r.shape)

    __call__ = matvec
