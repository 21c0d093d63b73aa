"""Levels of multigrid that are cut into boxes, one for each rank, with halos exchanged while the interior is swept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import GridDecomposition, HaloExchange
from sci.distributed.collectives import gather_flat
from sci.distributed.communicators import channel_of
from sci.solvers.multigrid.smoothers import Call, half_sweep
from sci.solvers.multigrid.vcycle import Level
from sci.solvers.poisson.grid import Box, Layout

__all__ = ["Gather", "Halo", "SharedLevel", "interior_and_shell", "local_layout", "refined"]


def interior_and_shell(lengths: tuple[int, ...]) -> tuple[Box | None, list[Box]]:
    """Return the box of the cells that no neighbor sees, None if there are none, and boxes of all others."""
    if min(lengths) < 3:
        return None, [((0, 0, 0), lengths)]
    n0, n1, n2 = lengths
    shell: list[Box] = [
        ((0, 0, 0), (1, n1, n2)),
        ((n0 - 1, 0, 0), (1, n1, n2)),
        ((1, 0, 0), (n0 - 2, 1, n2)),
        ((1, n1 - 1, 0), (n0 - 2, 1, n2)),
        ((1, 1, 0), (n0 - 2, n1 - 2, 1)),
        ((1, 1, n2 - 1), (n0 - 2, n1 - 2, 1)),
    ]
    return ((1, 1, 1), (n0 - 2, n1 - 2, n2 - 2)), shell


def refined(coarse: GridDecomposition, times: int) -> GridDecomposition:
    """Return the decomposition of the grid that is 2^times finer, each rank's box over the same part of space.

    Parameters
    ----------
    coarse : GridDecomposition
    times : int
    """
    factor = 2**times
    grid, shape, start = (
        tuple(factor * n for n in v) for v in (coarse.grid_shape, coarse.local_shape, coarse.local_start)
    )
    halo = (1,) * coarse.ndim
    return GridDecomposition(coarse.comm, coarse.proc_shape, grid, shape, start, halo, coarse.coordinates)


class Halo:
    """Exchanges the layers around a padded array of one level; walls are left as they are.

    Parameters
    ----------
    decomposition : GridDecomposition
        With a halo of one cell.
    periodic : tuple of bool
        Whether each axis wraps round.

    Notes
    -----
    Collective. Each exchange sends one message to each neighbor over a face, an edge or a corner.
    """

    def __init__(self, decomposition: GridDecomposition, periodic: tuple[bool, ...]) -> None:
        self.decomposition = decomposition
        self._exchange = HaloExchange(decomposition, periodic)
        self._key = (Ellipsis, *(slice(0, n + 2) for n in decomposition.local_shape))

    def fill(self, padded: Array) -> Array:
        """Exchange and wait; the array may have axes before the three of the grid."""
        self._exchange.start(padded[self._key], checked=True)
        self._exchange.finish()
        return padded

    def during(self, padded: Array, work: Callable[[], object]) -> None:
        """Exchange, and do `work`, which leaves the outer cells alone, meanwhile."""
        self._exchange.start(padded[self._key], checked=True)
        work()
        self._exchange.finish()


class Gather:
    """Joins the boxes of one level on every rank, and cuts this rank's out again.

    Parameters
    ----------
    coarse : GridDecomposition
    times : int
        The boxes are those of `refined(coarse, times)`.
    lengths : tuple of int
        Of the whole grid, which the boxes may extend.
    """

    def __init__(self, coarse: GridDecomposition, times: int, lengths: tuple[int, ...]) -> None:
        self._channel, self.lengths = channel_of(coarse.comm), lengths
        boxes = [coarse.box(rank) for rank in range(coarse.size)]
        self._boxes = [tuple(tuple(2**times * n for n in numbers) for numbers in box) for box in boxes]
        self.start, self.local_shape = self._boxes[coarse.rank]

    def whole(self, padded: Array) -> Array:
        """Return the cells of all ranks' boxes as one grid; collective, `gather_level` in the traffic."""
        xp = namespace(padded)
        own = xp.ascontiguousarray(padded[tuple(slice(1, n + 1) for n in self.local_shape)]).reshape(-1)
        counts = np.array([prod(shape) for _, shape in self._boxes])
        flat = own if self._channel is None else gather_flat(self._channel, own, counts, "gather_level")
        grid = xp.zeros(self.lengths, dtype=padded.dtype)
        ends = np.cumsum(counts)
        for (start, shape), end in zip(self._boxes, ends):
            box = grid[tuple(slice(a, a + n) for a, n in zip(start, shape))]
            cells = flat[int(end) - prod(shape) : int(end)].reshape(shape)
            box[...] = cells[tuple(slice(0, n) for n in box.shape)]
        return grid

    def cut(self, whole: Array, padded: Array) -> Array:
        """Copy this rank's box with its layers from a padded array of the whole grid into one of the box."""
        sizes = [min(n, m - a) + 2 for n, m, a in zip(self.local_shape, self.lengths, self.start)]
        there = tuple(slice(a, a + n) for a, n in zip(self.start, sizes))
        padded[tuple(slice(0, n) for n in sizes)] = whole[there]
        return padded


@dataclass(frozen=True, eq=False)
class SharedLevel(Level):
    """A level of which this rank holds one box.

    Parameters
    ----------
    halo : Halo or None
        None where the level below is gathered: whoever sets `u` there sets its layers too.
    """

    halo: Halo | None = None

    @property
    def one_pass(self) -> bool:
        """Whether the stages go through memory once: no, as each sweep waits for a halo."""
        return False

    def fill(self, array: Array) -> None:
        """Bring the layers around the box up to date."""
        if self.halo is not None:
            self.halo.fill(array)

    @cached_property
    def _parts(self) -> list[tuple[Call | None, list[Call]]]:
        inner, shell = interior_and_shell(self.layout.lengths)
        return [
            (None if inner is None else self._sweep_of(color, inner), [self._sweep_of(color, box) for box in shell])
            for color in (0, 1)
        ]

    def _sweep_of(self, color: int, box: Box) -> Call:
        where = self.layout.box_array(namespace(self.u), box)
        return half_sweep(self.layout, self.u, self.f, self.d, self.links, color, where, box)

    def sweep(self, color: int) -> None:
        """Relax the cells of one color, the inner ones while the halo is under way."""
        inner, shell = self._parts[color]
        assert self.halo is not None
        self.halo.during(self.u, inner or (lambda: None))
        for part in shell:
            part()


def local_layout(decomposition: GridDecomposition) -> Layout:
    """Return the layout of this rank's box."""
    return Layout(decomposition.local_shape, (False,) * decomposition.ndim)
