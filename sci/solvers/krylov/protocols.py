"""Protocols of iterative solvers: what an operator and a preconditioner have to offer, and what makes them faster."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any, NamedTuple, Protocol, runtime_checkable

from sci.backend import Array
from sci.distributed.communicators import Comm
from sci.solvers.poisson.space import VectorSpace

__all__ = [
    "Cycle",
    "DistributedOperator",
    "FusedStep",
    "LinearOperator",
    "PaddedOperator",
    "Preconditioner",
    "StepNumbers",
    "WorkspacePreconditioner",
]


@runtime_checkable
class LinearOperator(Protocol):
    """A symmetric positive (semi-)definite operator, such as `cg` takes for A.

    SciPy's `LinearOperator` satisfies it. `cg` also accepts what is simpler: dense and sparse matrices, objects with
    `@`, and functions of a vector.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import LinearOperator, cg
    >>> class Laplacian:
    ...     shape = (5, 5)
    ...     def matvec(self, x):
    ...         padded = np.pad(x, 1)
    ...         return 2 * x - padded[2:] - padded[:-2]
    >>> isinstance(Laplacian(), LinearOperator)
    True
    >>> cg(Laplacian(), np.ones(5), rtol=1e-10).x
    array([2.5, 4. , 4.5, 4. , 2.5])
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def matvec(self, x: Array) -> Array:
        """Return A x in the shape of x, an array (n,)."""


@runtime_checkable
class Preconditioner(Protocol):
    """An approximate inverse M of A, symmetric and positive definite, such as `cg` takes for M.

    Every preconditioner of this library is one; so is a SciPy `LinearOperator`, and pyamg's `aspreconditioner()`. `cg`
    also accepts matrices and functions of a vector.

    On ranks M is called by every rank with the residual of its own unknowns, a flat array (n,). An M that exchanges
    messages does so in the same order on all ranks; an exception on one rank is raised on all.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import PoissonOperator, Preconditioner, cg
    >>> class Damped:
    ...     def __init__(self, A):
    ...         self.shape, self.inverse = A.shape, 1 / A.compress(A.diagonal)
    ...     def matvec(self, r):
    ...         return r * self.inverse
    >>> A = PoissonOperator(np.ones((8, 8), dtype=bool))
    >>> isinstance(Damped(A), Preconditioner)
    True
    >>> cg(A, np.ones((8, 8)), M=Damped(A)).converged
    True
    """

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""

    def matvec(self, r: Array) -> Array:
        """Return M r in the shape of r, an array (n,)."""


@runtime_checkable
class DistributedOperator(Protocol):
    """A linear operator whose vectors are spread over ranks: dot products are summed over `comm`."""

    @property
    def comm(self) -> Comm:
        """The mpi4py communicator; None on one process."""

    def matvec(self, x: Array) -> Array:
        """Return this rank's part of A x; collective."""


@runtime_checkable
class PaddedOperator(Protocol):
    """A linear operator whose vectors can be padded arrays of a `VectorSpace`, as those of `PoissonOperator`.

    For such an operator the vector work of `cg` is fused with its stencil.
    """

    @property
    def space(self) -> VectorSpace:
        """The padded vectors and their products."""

    @property
    def local_shape(self) -> tuple[int, ...]:
        """Shape of this rank's grid arrays."""

    def matvec(self, x: Array) -> Array:
        """Return A x for a grid array or a flat one."""

    def check_shape(self, x: Array, name: str) -> None:
        """Refuse a vector that is neither a grid array nor flat."""

    def compress(self, grid: Array) -> Array:
        """Return the unknowns of a grid array, flat."""

    def expand(self, flat: Array) -> Array:
        """Return the grid array of a flat one."""

    def consistent(self, b: Array) -> Array:
        """Return b without its part in the null space; refuse one with such a part."""


class StepNumbers(NamedTuple):
    """The numbers of a step of conjugate gradients that is fused with a stage of the next cycle.

    Parameters
    ----------
    scale : float
        Of b - A x, where the residual is recomputed.
    beta : float
        Of the old direction.
    step : float
        Along the new direction, in the residual.
    moves : (float, float) or None
        Of x along the old and the new direction; None where x waits.
    exact : bool
        Whether the residual is recomputed from x, which needs `moves`.
    descends : bool
        Whether the next cycle starts after its first stage.
    """

    scale: float
    beta: float
    step: float
    moves: tuple[float, float] | None
    exact: bool
    descends: bool


class FusedStep(Protocol):
    """A step of conjugate gradients that also does the first stage of the next cycle, in one pass through memory."""

    def __call__(self, p: Array, x: Array, b: Array, numbers: StepNumbers) -> float:
        """Set p = z + beta p, x += moves[0] (the old p) + moves[1] p, f -= step A p, and return f'f.

        Where it is `exact`, f = scale (b - A x). Where it `descends`, the next cycle is run with `descended`.
        """


class Cycle(Protocol):
    """One application of a preconditioner between padded arrays of its own: z = M r.

    With A in a unit 1 / `scale` that brings its entries near one, `run` sets `result` to the approximate solution u of
    (scale A) u = `source`: for source = r / s, M r is s `scale` times the result. The dtype of the arrays, float32 or
    float64, is that of the residual and the direction in `cg`.
    """

    scale: float

    @property
    def source(self) -> Array:
        """Padded array for the residual in any unit; zero outside of the unknowns."""

    @property
    def result(self) -> Array:
        """Padded array that holds u after `run`."""

    @property
    def energy(self) -> float | None:
        """The product u'(scale A) u of the last result, if `run` computes it."""

    @property
    def step(self) -> FusedStep | None:
        """A fused step, if there is one."""

    def run(self, descended: bool = False) -> float | None:
        """Turn `source` into `result`, collective on ranks; return their dot product, if it is computed on the way.

        With `descended`, `step` has done the first stage.
        """


@runtime_checkable
class WorkspacePreconditioner(Protocol):
    """A preconditioner of a `PaddedOperator` that works between padded arrays, without copies.

    Each call gets a workspace of its own, so that one instance serves several threads.
    """

    @property
    def A(self) -> Any:
        """The operator that it was made for."""

    def workspace(self) -> AbstractContextManager[Cycle]:
        """Lend a cycle with its arrays, for the time of a `with` block."""
