"""Spread grids over ranks: slabs, pencils and blocks as frozen dataclasses of plain integers."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TypeAlias

from sci.distributed.agreement import Agreement
from sci.distributed.communicators import Comm, channel_of
from sci.distributed.grids.process_grids import best_proc_shape
from sci.distributed.ranges import part, part_of, per_axis, place
from sci.errors import DecompositionError

__all__ = ["GridDecomposition", "block", "decompose", "pencil", "slab"]

_MAX_NDIM = 8


@dataclass(frozen=True)
class GridDecomposition:
    """A grid cut along its axes into one box for each rank; the ranks' boxes are a C-ordered grid themselves.

    Along an axis of n cells and p boxes the first n mod p boxes have one cell more than the others. Made by `slab`,
    `pencil`, `block` or `decompose`.

    Parameters
    ----------
    comm : mpi4py communicator or None
    proc_shape : tuple of int
        Boxes along each axis; their product is the number of ranks.
    grid_shape : tuple of int
        Cells along each axis.
    local_shape, local_start : tuple of int
        Shape and first global index of this rank's box, without halo.
    halo : tuple of int
        Layers of foreign cells on both sides along each axis.
    coordinates : tuple of int
        This rank's place in the grid of boxes.

    Examples
    --------
    >>> from sci.distributed import slab
    >>> d = slab((10, 4), rank=1, size=3, halo=(1, 0))
    >>> d.local_start, d.local_shape, d.padded_shape
    ((4, 0), (3, 4), (5, 4))
    """

    comm: Comm = field(compare=False, repr=False)
    proc_shape: tuple[int, ...]
    grid_shape: tuple[int, ...]
    local_shape: tuple[int, ...]
    local_start: tuple[int, ...]
    halo: tuple[int, ...]
    coordinates: tuple[int, ...]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.grid_shape)

    @property
    def size(self) -> int:
        """Number of ranks."""
        return prod(self.proc_shape)

    @property
    def rank(self) -> int:
        """This rank."""
        return self.rank_at(self.coordinates)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where this rank's cells lie in the whole grid."""
        return tuple(slice(a, a + n) for a, n in zip(self.local_start, self.local_shape))

    @property
    def padded_shape(self) -> tuple[int, ...]:
        """Shape of this rank's array with halo."""
        return tuple(n + 2 * h for n, h in zip(self.local_shape, self.halo))

    @property
    def interior(self) -> tuple[slice, ...]:
        """Where this rank's own cells lie in its array with halo."""
        return tuple(slice(h, h + n) for n, h in zip(self.local_shape, self.halo))

    def rank_at(self, coordinates: Sequence[int]) -> int:
        """Return the rank at a place in the grid of boxes."""
        rank = 0
        for c, p in zip(coordinates, self.proc_shape):
            rank = rank * p + c
        return rank

    def box(self, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return first global index and shape of the box of any rank."""
        coordinates = _coordinates(rank, self.proc_shape)
        parts = [part(n, p, c) for n, p, c in zip(self.grid_shape, self.proc_shape, coordinates)]
        return tuple(start for start, _ in parts), tuple(length for _, length in parts)

    def owners(self, start: Sequence[int], shape: Sequence[int]) -> Iterator[tuple[int, tuple[slice, ...]]]:
        """Yield the ranks whose boxes meet the box `start`, `shape`, each with the common part in global slices."""
        overlaps = []
        for a, length, n, p in zip(start, shape, self.grid_shape, self.proc_shape):
            if length == 0:
                return
            indices = range(part_of(n, p, a), part_of(n, p, a + length - 1) + 1)
            parts = [(c, *part(n, p, c)) for c in indices]
            overlaps.append([(c, slice(max(a, s), min(a + length, s + k))) for c, s, k in parts])
        for combination in itertools.product(*overlaps):
            yield self.rank_at([c for c, _ in combination]), tuple(s for _, s in combination)

    def neighbor(self, offset: Sequence[int], periodic: Sequence[bool]) -> int | None:
        """Return the rank at `offset` (-1, 0 or 1 along each axis) from this one, None beyond an open boundary."""
        moved = []
        for c, o, p, wraps in zip(self.coordinates, offset, self.proc_shape, periodic):
            if not 0 <= c + o < p and not wraps:
                return None
            moved.append((c + o) % p)
        return self.rank_at(moved)

    def neighbors(self, periodic: bool | Sequence[bool] = False) -> dict[tuple[int, ...], int]:
        """Return the ranks around this one, over faces, edges and corners, by offset.

        A rank can stand at several offsets, and be its own neighbor, where boxes are few and the axis is periodic.
        """
        wraps = per_axis(periodic, self.ndim, "periodic")
        found = {o: self.neighbor(o, wraps) for o in itertools.product((-1, 0, 1), repeat=self.ndim) if any(o)}
        return {offset: rank for offset, rank in found.items() if rank is not None}


def _coordinates(rank: int, proc_shape: Sequence[int]) -> tuple[int, ...]:
    result = []
    for p in reversed(proc_shape):
        rank, c = divmod(rank, p)
        result.append(c)
    return tuple(reversed(result))


def _check_numbers(grid: tuple[int, ...], procs: tuple[int, ...], halos: tuple[int, ...], n_ranks: int) -> None:
    if len(procs) != len(grid) or min(procs) < 1 or prod(procs) != n_ranks:
        raise DecompositionError(
            f"proc_shape is {procs} for the grid {grid}; expected {len(grid)} numbers with the product {n_ranks}"
        )
    for axis, (n, p, h) in enumerate(zip(grid, procs, halos)):
        if h < 0 or (p > 1 and h > n // p):
            raise DecompositionError(
                f"halo {h} on axis {axis}, where {p} boxes share {n} cells and the smallest has {n // p}; "
                "expected a halo of 0 or more, no wider than a box: use fewer ranks on this axis, or a narrower halo"
            )


def decompose(
    grid_shape: Sequence[int],
    proc_shape: Sequence[int],
    comm: Comm = None,
    *,
    halo: int | Sequence[int] = 0,
    rank: int | None = None,
    size: int | None = None,
) -> GridDecomposition:
    """Cut a grid into `proc_shape` boxes.

    Parameters
    ----------
    grid_shape : sequence of int
        Cells along each axis.
    proc_shape : sequence of int
        Boxes along each axis; the product is the number of ranks. An axis may have fewer cells than boxes, and the
        last boxes are then empty.
    comm : mpi4py communicator, optional
    halo : int or sequence of int
        Layers of foreign cells, for all axes or for each; on an axis that is cut, at most the smallest box's length.
    rank, size : int, optional
        Given together they stand for the communicator: the arithmetic of any rank, without MPI.

    Returns
    -------
    GridDecomposition

    Raises
    ------
    DecompositionError
        On every rank, if the numbers do not fit or differ between ranks.

    Notes
    -----
    Collective, unless `rank` and `size` are given.
    """
    return _agreed(grid_shape, lambda *_: _integers(proc_shape), comm, halo, rank, size)


Choice: TypeAlias = Callable[[tuple[int, ...], tuple[int, ...], int], tuple[int, ...]]
"""Boxes along each axis, chosen from grid shape, halo and number of ranks."""


def _integers(values: Sequence[int]) -> tuple[int, ...]:
    return tuple(operator.index(v) for v in values)


def _agreed(
    grid_shape: Sequence[int],
    choose: Choice,
    comm: Comm,
    halo: int | Sequence[int],
    rank: int | None,
    n_ranks: int | None,
) -> GridDecomposition:
    """Make a decomposition on which all ranks agree; what is wrong on one rank is raised on all."""
    with Agreement(channel_of(comm) if rank is None else None, "decompose") as agreement:
        own, total = place(comm, rank, n_ranks)
        try:
            grid = _integers(grid_shape)
            halos = _integers(per_axis(halo, len(grid), "halo"))
        except TypeError as error:
            raise DecompositionError(f"grid_shape {grid_shape!r}, halo {halo!r}: {error}; expected integers") from error
        if not 1 <= len(grid) <= _MAX_NDIM or min(grid) < 1:
            raise DecompositionError(
                f"grid_shape is {grid}; expected 1 to {_MAX_NDIM} axes with at least one cell each"
            )
        procs = choose(grid, halos, total)
        _check_numbers(grid, procs, halos, total)
        agreement.same(DecompositionError, grid_shape=grid, proc_shape=procs, halo=halos)
    coordinates = _coordinates(own, procs)
    parts = [part(n, p, c) for n, p, c in zip(grid, procs, coordinates)]
    starts, shape = tuple(a for a, _ in parts), tuple(n for _, n in parts)
    return GridDecomposition(comm, procs, grid, shape, starts, halos, coordinates)


def slab(
    grid_shape: Sequence[int],
    comm: Comm = None,
    axis: int = 0,
    *,
    halo: int | Sequence[int] = 0,
    rank: int | None = None,
    size: int | None = None,
) -> GridDecomposition:
    """Cut a grid along one axis; see `decompose`.

    Parameters
    ----------
    grid_shape : sequence of int
        Cells of the whole grid along each axis.
    comm : mpi4py communicator, optional
        None is one process.
    axis : int
        The axis that is cut.
    halo : int or sequence of int
        Layers of foreign cells around each box.
    rank : int, optional
        The rank to plan for; that of `comm` unless given.
    size : int, optional
        The number of ranks to plan for; that of `comm` unless given.

    Returns
    -------
    GridDecomposition
    """

    def choose(grid: tuple[int, ...], halos: tuple[int, ...], n_ranks: int) -> tuple[int, ...]:
        cut = _axis(axis, len(grid))
        return tuple(n_ranks if a == cut else 1 for a in range(len(grid)))

    return _agreed(grid_shape, choose, comm, halo, rank, size)


def pencil(
    grid_shape: Sequence[int],
    comm: Comm = None,
    axis: int = -1,
    *,
    halo: int | Sequence[int] = 0,
    rank: int | None = None,
    size: int | None = None,
) -> GridDecomposition:
    """Cut a grid along all axes but one, which every rank holds whole; see `decompose` and `block`.

    Parameters
    ----------
    grid_shape : sequence of int
        Cells of the whole grid along each axis.
    comm : mpi4py communicator, optional
        None is one process.
    axis : int
        The axis that stays whole.
    halo : int or sequence of int
        Layers of foreign cells around each box.
    rank : int, optional
        The rank to plan for; that of `comm` unless given.
    size : int, optional
        The number of ranks to plan for; that of `comm` unless given.

    Returns
    -------
    GridDecomposition
    """

    def choose(grid: tuple[int, ...], halos: tuple[int, ...], n_ranks: int) -> tuple[int, ...]:
        return best_proc_shape(grid, n_ranks, halos, whole=_axis(axis, len(grid)))

    return _agreed(grid_shape, choose, comm, halo, rank, size)


def block(
    grid_shape: Sequence[int],
    comm: Comm = None,
    *,
    halo: int | Sequence[int] = 0,
    rank: int | None = None,
    size: int | None = None,
) -> GridDecomposition:
    """Cut a grid along all axes, into boxes of least surface among those of least volume; see `decompose`.

    Parameters
    ----------
    grid_shape : sequence of int
        Cells of the whole grid along each axis.
    comm : mpi4py communicator, optional
        None is one process.
    halo : int or sequence of int
        Layers of foreign cells around each box.
    rank : int, optional
        The rank to plan for; that of `comm` unless given.
    size : int, optional
        The number of ranks to plan for; that of `comm` unless given.

    Returns
    -------
    GridDecomposition
    """

    def choose(grid: tuple[int, ...], halos: tuple[int, ...], n_ranks: int) -> tuple[int, ...]:
        return best_proc_shape(grid, n_ranks, halos)

    return _agreed(grid_shape, choose, comm, halo, rank, size)


def _axis(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise DecompositionError(f"axis {axis} of a grid with {ndim} axes; expected {-ndim} to {ndim - 1}")
    return axis % ndim
