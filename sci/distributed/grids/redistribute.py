"""Move a distributed grid from one decomposition to another: each rank packs and sends what the others are to own."""

from __future__ import annotations

from sci.backend import Array, namespace
from sci.distributed.agreement import agreed
from sci.distributed.canonical import form
from sci.distributed.communicators import channel_of
from sci.distributed.exchange import Expected, Piece, exchange
from sci.distributed.grids.decompositions import GridDecomposition
from sci.errors import DecompositionError, DTypeError, ShapeError

__all__ = ["check_local", "gather_grid", "redistribute", "scatter_grid"]


def _local(part: tuple[slice, ...], start: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(s.start - a, s.stop - a) for s, a in zip(part, start))


def _check_pair(source: GridDecomposition, target: GridDecomposition) -> None:
    if source.comm is not target.comm and source.comm != target.comm:
        raise DecompositionError("the two decompositions belong to different communicators; expected the same")
    if source.grid_shape != target.grid_shape:
        raise DecompositionError(
            f"grids of shape {source.grid_shape} and {target.grid_shape}; expected two decompositions of one grid"
        )


def check_local(array: Array, source: GridDecomposition, target: GridDecomposition, kinds: str = "biufc") -> None:
    """Raise on every rank unless array and decompositions fit together on all, and the dtype is one of `kinds`."""
    with agreed(source.comm, "redistribute") as agreement:
        _check_pair(source, target)
        ndim = array.ndim - source.ndim
        if ndim < 0 or tuple(array.shape[ndim:]) != source.local_shape:
            raise ShapeError(
                f"the array has shape {tuple(array.shape)}; expected (..., {', '.join(map(str, source.local_shape))}), "
                "this rank's cells without halo"
            )
        if array.dtype.kind not in kinds:
            raise DTypeError(f"the array has dtype {array.dtype}; expected real numbers")
        agreement.same(source=source.proc_shape, target=target.proc_shape)
        agreement.same(array=form(array, range(ndim, array.ndim)))


def redistribute(array: Array, source: GridDecomposition, target: GridDecomposition, *, checked: bool = False) -> Array:
    """Return this rank's cells under `target` of a grid that is spread as `source`.

    Parameters
    ----------
    array : (..., *source.local_shape) array
        This rank's cells, without halo; leading axes, if any, are the same on all ranks and go along.
    source, target : GridDecomposition
        Two decompositions of one grid over one communicator.
    checked : bool
        True promises that the input fits on every rank, and saves the small collective that makes sure of it.

    Returns
    -------
    (..., *target.local_shape) array
        A new array.

    Raises
    ------
    ShapeError, DTypeError, DecompositionError
        On every rank, unless `checked`.

    Notes
    -----
    Collective. Each rank packs one message for every rank whose target box meets its source box, and nothing for the
    others: transposing pencils talks within rows and columns of the grid of ranks only. Memory: 2 - 1 / P arrays, the
    result included.
    """
    if not checked:
        check_local(array, source, target)
    xp = namespace(array)
    leading = array.shape[: array.ndim - source.ndim]
    outgoing = target.owners(source.local_start, source.local_shape)
    incoming = list(source.owners(target.local_start, target.local_shape))
    pieces = [Piece(rank, array[(..., *_local(part, source.local_start))]) for rank, part in outgoing]
    expected = [Expected(rank, (*leading, *(s.stop - s.start for s in part))) for rank, part in incoming]
    arrived = exchange(channel_of(source.comm), "redistribute", pieces, expected, array.dtype, xp)
    result = xp.empty((*leading, *target.local_shape), array.dtype)
    for (_, part), piece in zip(incoming, arrived):
        result[(..., *_local(part, target.local_start))] = piece
    return result


def scatter_grid(array: Array, decomposition: GridDecomposition) -> Array:
    """Return this rank's cells of a whole grid (..., *grid_shape) that every rank holds: a copy, no messages.

    Parameters
    ----------
    array : (..., *grid_shape) array
        The same on every rank.
    decomposition : GridDecomposition
        Who holds which cells.

    Returns
    -------
    (..., *local_shape) array
        A copy of this rank's cells.

    Raises
    ------
    ShapeError
    """
    if tuple(array.shape[array.ndim - decomposition.ndim :]) != decomposition.grid_shape:
        raise ShapeError(f"the array has shape {tuple(array.shape)}; expected (..., *{decomposition.grid_shape})")
    return array[(..., *decomposition.slices)].copy()


def gather_grid(array: Array, decomposition: GridDecomposition) -> Array:
    """Return on every rank the whole grid (..., *grid_shape) of which each holds its cells, without halo.

    Parameters
    ----------
    array : (..., *local_shape) array
        This rank's cells, without halo.
    decomposition : GridDecomposition
        Who holds which cells.

    Returns
    -------
    (..., *grid_shape) array
        The whole grid, on every rank, in the dtype and on the device of `array`.

    Raises
    ------
    ShapeError, DTypeError
        On every rank.

    Notes
    -----
    Collective. Every rank holds the whole grid: for output of small grids, tests and examples.
    """
    d = decomposition
    check_local(array, d, d)
    channel, xp = channel_of(d.comm), namespace(array)
    leading = array.shape[: array.ndim - d.ndim]
    boxes = [d.box(rank) for rank in range(d.size)]
    pieces = [Piece(rank, array) for rank in range(d.size)]
    expected = [Expected(rank, (*leading, *shape)) for rank, (_, shape) in enumerate(boxes)]
    result = xp.empty((*leading, *d.grid_shape), array.dtype)
    arrived = exchange(channel, "gather_grid", pieces, expected, array.dtype, xp)
    for (start, shape), piece in zip(boxes, arrived):
        result[(..., *(slice(a, a + n) for a, n in zip(start, shape)))] = piece
    return result
