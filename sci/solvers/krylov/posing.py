"""Right-hand side and start of a solve with a grid operator: zero outside of the unknowns, and the null space."""

from __future__ import annotations

from sci.backend import Array
from sci.distributed import agreed
from sci.distributed.communicators import Comm
from sci.errors import InvalidValueError
from sci.solvers.krylov.arrays import norm
from sci.solvers.krylov.protocols import PaddedOperator

__all__ = ["posed"]


def posed(A: PaddedOperator, b: Array, x0: Array | None, comm: Comm = None) -> tuple[Array, Array | None]:
    """Return b and x0 as every solver has to take them for a grid operator: collective.

    Parameters
    ----------
    A : PaddedOperator
    b : grid array or flat array
        Zero outside of the unknowns.
    x0 : array of the shape of b, optional
        Values outside of the unknowns count as zero, as in every product with A: an iteration that kept them would
        return them in x, and add them to its norms.
    comm : mpi4py communicator, optional

    Returns
    -------
    b : array
        Without its part in the null space.
    x0 : array or None
        A new array, zero outside of the unknowns.

    Raises
    ------
    ShapeError, InvalidValueError, ConvergenceError
        On every rank: b does not fit, is not zero outside of the unknowns, or has a part in the null space.
    """
    on_grid = tuple(b.shape) == A.local_shape
    with agreed(comm, "the right-hand side"):
        A.check_shape(b, "b")
        outside = b[~A.space.mask] if on_grid else b[:0]
        if bool(outside.any()):
            raise InvalidValueError(
                f"b is not zero outside of the fluid (norm {norm(outside):.3g}); multiply it by the mask"
            )
    start = None if x0 is None else x0 * A.space.mask if on_grid else x0.copy()
    return A.consistent(b), start
