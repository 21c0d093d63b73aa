"""Spread a sequence over ranks: contiguous, zigzag and striped layouts of any length.

Contiguous ranks own one run each. Zigzag cuts the sequence into 2 P runs and gives rank r the runs r and 2 P - 1 - r;
striped gives rank r the positions r, r + P, ... The last two share the work of causal attention evenly.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.distributed.agreement import agreed
from sci.distributed.canonical import form
from sci.distributed.communicators import Comm, channel_of
from sci.distributed.exchange import Expected, Piece, exchange
from sci.distributed.ranges import place, split_bounds
from sci.errors import DecompositionError, InvalidValueError, ShapeError

__all__ = ["Layout", "positions", "rearrange", "shard", "unshard"]

Layout: TypeAlias = Literal["contiguous", "zigzag", "striped"]
"""How a sequence is cut: in one run per rank, in two runs from either end, or token by token in turn."""


def positions(
    n: int, comm: Comm = None, layout: Layout = "contiguous", *, rank: int | None = None, size: int | None = None
) -> np.ndarray:
    """Return the positions in 0..n that this rank owns, in increasing order.

    Parameters
    ----------
    n : int
        Length of the sequence; any, also shorter than the number of ranks.
    comm : mpi4py communicator, optional
    layout : {"contiguous", "zigzag", "striped"}
    rank, size : int, optional
        Given together they stand for the communicator.

    Returns
    -------
    (n_local,) int64 array

    Raises
    ------
    DecompositionError, InvalidValueError

    Notes
    -----
    Not collective.

    Examples
    --------
    >>> from sci.distributed import positions
    >>> positions(8, layout="zigzag", rank=0, size=2), positions(7, layout="striped", rank=1, size=2)
    (array([0, 1, 6, 7]), array([1, 3, 5]))
    """
    own, n_ranks = place(comm, rank, size)
    if n < 0:
        raise DecompositionError(f"a sequence of length {n}; expected 0 or more")
    if layout == "striped":
        return np.arange(own, n, n_ranks, dtype=np.int64)
    if layout == "contiguous":
        bounds = split_bounds(n, n_ranks)
        return np.arange(bounds[own], bounds[own + 1], dtype=np.int64)
    if layout == "zigzag":
        bounds = split_bounds(n, 2 * n_ranks)
        runs = [np.arange(bounds[c], bounds[c + 1], dtype=np.int64) for c in (own, 2 * n_ranks - 1 - own)]
        return np.concatenate(runs)
    raise InvalidValueError(f"layout is {layout!r}; expected 'contiguous', 'zigzag' or 'striped'")


def shard(array: Array, comm: Comm = None, axis: int = 0, layout: Layout = "contiguous") -> Array:
    """Return this rank's part along `axis` of a whole array that every rank holds.

    Parameters
    ----------
    array : array
    comm : mpi4py communicator, optional
    axis : int
        The axis of the sequence.
    layout : {"contiguous", "zigzag", "striped"}

    Returns
    -------
    array
        A new array.

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    Not collective, no messages.
    """
    xp = namespace(array)
    _require_axis(array, axis)
    return xp.take(array, xp.asarray(positions(array.shape[axis], comm, layout)), axis=axis)


def unshard(array: Array, comm: Comm = None, axis: int = 0, layout: Layout = "contiguous") -> Array:
    """Return on every rank the whole array of which each holds its part along `axis`: the inverse of `shard`.

    Parameters
    ----------
    array : array
        On the host or on a device.
    comm : mpi4py communicator, optional
        None is one process.
    axis : int
        The axis that is cut.
    layout : "contiguous", "zigzag" or "striped"
        How it is cut.

    Returns
    -------
    array
        The whole array, on every rank, with the length of `axis` summed over ranks.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank, if the parts are not those of the layout.

    Notes
    -----
    Collective. Every rank sends its part to every other.
    """
    n, channel = _agreed_length(array, comm, axis, layout, layout, "unshard"), channel_of(comm)
    xp, n_ranks = namespace(array), 1 if channel is None else channel.size
    owned = [positions(n, layout=layout, rank=r, size=n_ranks) for r in range(n_ranks)]
    rows = xp.moveaxis(array, axis, 0)
    expected = [Expected(r, (where.size, *rows.shape[1:])) for r, where in enumerate(owned)]
    pieces = [Piece(r, rows) for r in range(n_ranks)]
    result = xp.empty((n, *rows.shape[1:]), array.dtype)
    for where, piece in zip(owned, exchange(channel, "unshard", pieces, expected, array.dtype, xp)):
        result[xp.asarray(where)] = piece
    return xp.ascontiguousarray(xp.moveaxis(result, 0, axis))


def rearrange(array: Array, source: Layout, target: Layout, comm: Comm = None, axis: int = 0) -> Array:
    """Return this rank's part along `axis` in the layout `target` of a sequence that is spread as `source`.

    Parameters
    ----------
    array : array
        This rank's part under `source`.
    source, target : {"contiguous", "zigzag", "striped"}
    comm : mpi4py communicator, optional
    axis : int

    Returns
    -------
    array
        A new array.

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
        On every rank.

    Notes
    -----
    Collective. Each rank sends only what changes its owner, one message to each new owner.
    """
    n, channel = _agreed_length(array, comm, axis, source, target, "rearrange"), channel_of(comm)
    xp, rank, n_ranks = namespace(array), *((0, 1) if channel is None else (channel.rank, channel.size))
    rows = xp.moveaxis(array, axis, 0)
    mine_before = positions(n, layout=source, rank=rank, size=n_ranks)
    mine_after = positions(n, layout=target, rank=rank, size=n_ranks)
    pieces, expected, places = [], [], []
    for r in range(n_ranks):
        leaving = np.isin(mine_before, positions(n, layout=target, rank=r, size=n_ranks), assume_unique=True)
        arriving = np.isin(mine_after, positions(n, layout=source, rank=r, size=n_ranks), assume_unique=True)
        pieces.append(Piece(r, rows[xp.asarray(np.flatnonzero(leaving))]))
        places.append(np.flatnonzero(arriving))
        expected.append(Expected(r, (places[-1].size, *rows.shape[1:])))
    result = xp.empty((mine_after.size, *rows.shape[1:]), array.dtype)
    for where, piece in zip(places, exchange(channel, "rearrange", pieces, expected, array.dtype, xp)):
        result[xp.asarray(where)] = piece
    return xp.ascontiguousarray(xp.moveaxis(result, 0, axis))


def _require_axis(array: Array, axis: int) -> None:
    if not -array.ndim <= axis < array.ndim:
        raise ShapeError(f"axis {axis} of an array of shape {tuple(array.shape)}; expected an axis that it has")


def _agreed_length(array: Array, comm: Comm, axis: int, source: Layout, target: Layout, operation: str) -> int:
    """Return the length of the sequence of which the ranks hold parts, after all agreed that the parts fit."""
    channel = channel_of(comm)
    n_ranks = 1 if channel is None else channel.size
    with agreed(comm, operation) as agreement:
        positions(0, layout=source)
        positions(0, layout=target)
        _require_axis(array, axis)
        agreement.same(axis=axis % array.ndim, array=form(array, [axis]))
        layouts = {"layout": source} if operation == "unshard" else {"source": source, "target": target}
        agreement.same(**layouts)
        agreement.gather(array.shape[axis])
    table = agreement.table
    n = int(table[:, 0].sum())
    for r in range(n_ranks):
        expected = positions(n, layout=source, rank=r, size=n_ranks).size
        if table[r, 0] != expected:
            raise ShapeError(
                f"rank {r} holds {table[r, 0]} of {n} positions; expected {expected} in the layout {source!r}"
            )
    return n
