"""Fill the halo of a distributed grid from the neighbors: faces, edges and corners in one non-blocking round."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from sci.backend import Array, namespace
from sci.distributed.agreement import Agreement
from sci.distributed.canonical import form
from sci.distributed.communicators import channel_of
from sci.distributed.exchange import Expected, Pending, Piece, start_exchange
from sci.distributed.grids.decompositions import GridDecomposition
from sci.distributed.ranges import per_axis
from sci.errors import DecompositionError, InvalidValueError, ShapeError

__all__ = ["HaloExchange", "exchange_halo"]


@dataclass(frozen=True)
class _Side:
    """One of the 3^d - 1 directions: whom it faces, what goes there, what comes from there."""

    peer: int
    send_tag: int
    receive_tag: int
    owned: tuple[slice, ...]
    ghost: tuple[slice, ...]


class HaloExchange:
    """Fill halos again and again on one decomposition, with work between start and finish.

    Parameters
    ----------
    decomposition : GridDecomposition
        With the halo's widths.
    periodic : bool or sequence of bool
        Whether the grid wraps round, for all axes or for each. Halo cells beyond an open boundary are left as they
        are.

    Raises
    ------
    DecompositionError
        On every rank, if the halo is wider than the grid on a periodic axis that is not cut, or `periodic` differs.

    Notes
    -----
    Collective. Each rank sends one message to each neighbor over a face, an edge or a corner, so that nothing waits
    for anything else. Exchanges that are under way at one time must be started in the same order on all ranks.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.distributed import HaloExchange, slab
    >>> d = slab((4,), halo=1)
    >>> u = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 0.0])
    >>> exchange = HaloExchange(d, periodic=True)
    >>> exchange.start(u)       # ... work on the interior here ...
    >>> exchange.finish()
    array([4., 1., 2., 3., 4., 1.])
    """

    def __init__(self, decomposition: GridDecomposition, periodic: bool | Sequence[bool] = False) -> None:
        self.decomposition = decomposition
        self._channel = channel_of(decomposition.comm)
        self._sides: list[_Side] = []
        self._pending: tuple[Array, Pending] | None = None
        with Agreement(self._channel, "HaloExchange") as agreement:
            wraps = tuple(map(bool, per_axis(periodic, decomposition.ndim, "periodic")))
            self._sides = _sides(decomposition, wraps)
            agreement.same(DecompositionError, periodic=wraps)
        self._periodic = wraps

    def __repr__(self) -> str:
        return f"HaloExchange({self.decomposition!r}, periodic={self._periodic})"

    def start(self, array: Array, *, checked: bool = False) -> None:
        """Send this rank's border cells and get ready for the neighbors'; `array` must be left alone in its border.

        Parameters
        ----------
        array : (..., *padded_shape) array
            Owned cells with room for the halo; any leading axes, the same on all ranks.
        checked : bool
            True promises that the array fits on every rank, and saves the small collective that makes sure of it.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            On every rank, unless `checked`.
        """
        if not checked:
            self._check(array)
        dtype, leading = array.dtype, array.shape[: array.ndim - self.decomposition.ndim]
        pieces = [Piece(s.peer, array[(..., *s.owned)], s.send_tag) for s in self._sides]
        expected = [
            Expected(s.peer, (*leading, *(g.stop - g.start for g in s.ghost)), s.receive_tag) for s in self._sides
        ]
        pending = start_exchange(self._channel, "halo", pieces, expected, dtype, namespace(array))
        self._pending = array, pending

    def finish(self) -> Array:
        """Wait for the neighbors' cells, write them into the array given to `start`, and return it."""
        if self._pending is None:
            raise InvalidValueError("finish() without start(): no halo exchange is under way")
        (array, pending), self._pending = self._pending, None
        for side, ghost in zip(self._sides, pending.wait()):
            array[(..., *side.ghost)] = ghost
        return array

    def _check(self, array: Array) -> None:
        want = self.decomposition.padded_shape
        with Agreement(self._channel, "halo exchange") as agreement:
            if self._pending is not None:
                raise InvalidValueError("start() before finish(): a halo exchange is under way")
            if tuple(array.shape[max(array.ndim - len(want), 0) :]) != want:
                raise ShapeError(
                    f"the array has shape {tuple(array.shape)}; expected (..., {', '.join(map(str, want))}), "
                    "halo included"
                )
            agreement.same(array=form(array, range(array.ndim - len(want), array.ndim)))


def _sides(d: GridDecomposition, periodic: tuple[bool, ...]) -> list[_Side]:
    """Return the directions in which this rank has a neighbor and a halo."""
    for axis, (n, p, h, wraps) in enumerate(zip(d.grid_shape, d.proc_shape, d.halo, periodic)):
        if wraps and p == 1 and h > n:
            raise DecompositionError(f"halo {h} on the periodic axis {axis} of {n} cells; expected at most {n}")
    ranges = [(-1, 0, 1) if h else (0,) for h in d.halo]
    sides = []
    for offset in itertools.product(*ranges):
        peer = d.neighbor(offset, periodic) if any(offset) else None
        if peer is None:
            continue
        boxes = [_slices(o, n, h) for o, n, h in zip(offset, d.local_shape, d.halo)]
        # A message is tagged by the direction that it comes from, as its receiver sees it.
        sides.append(_Side(peer, _tag([-o for o in offset]), _tag(offset), *map(tuple, zip(*boxes))))
    return sides


def _slices(offset: int, n: int, halo: int) -> tuple[slice, slice]:
    """Return the owned cells next to one side along an axis, and the halo beyond that side."""
    if offset == 0:
        return slice(halo, halo + n), slice(halo, halo + n)
    if offset < 0:
        return slice(halo, 2 * halo), slice(0, halo)
    return slice(n, n + halo), slice(n + halo, n + 2 * halo)


def _tag(offset: Sequence[int]) -> int:
    tag = 0
    for o in offset:
        tag = 3 * tag + o + 1
    return tag


def exchange_halo(array: Array, decomposition: GridDecomposition, periodic: bool | Sequence[bool] = False) -> Array:
    """Fill the halo of `array` in place and return it: a `HaloExchange` that is used once.

    Parameters
    ----------
    array : (..., *padded_shape) array
    decomposition : GridDecomposition
    periodic : bool or sequence of bool

    Returns
    -------
    array
        The same array.

    Raises
    ------
    DecompositionError, ShapeError, DTypeError
        On every rank.

    Notes
    -----
    Collective.
    """
    exchange = HaloExchange(decomposition, periodic)
    exchange.start(array)
    return exchange.finish()
