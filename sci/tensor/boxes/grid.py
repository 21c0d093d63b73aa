"""Grids of boxes, and the order in which points are visited box by box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.backend import Array, device_number, is_device_array, namespace, to_device
from sci.kernels import block_size, get_kernel, launch, use_compiled

__all__ = ["BoxGrid", "Tiles", "local_coordinates", "run_places"]

_SOURCE = "particles/places.cu"


def on_device(template: str, points: Array) -> bool:
    """Return True if one kernel of a device does for `points` what array code does in many launches."""
    return bool(
        is_device_array(points)
        and points.dtype == np.float64
        and use_compiled(get_kernel(_SOURCE, template, np.float64), points)
    )


def run_places(template: str, count: int, *arguments: Array) -> None:
    """Launch a kernel of places, one thread for each of `count` points, boxes or tiles."""
    width = block_size(next(a for a in arguments if hasattr(a, "dtype")))
    launch(get_kernel(_SOURCE, template, np.float64), -(-count // width), *arguments)


@dataclass(frozen=True)
class BoxGrid:
    """A domain cut into counts[0] x counts[1] x counts[2] equal boxes.

    Parameters
    ----------
    domain : ((a1, b1), (a2, b2), (a3, b3))
    counts : (n1, n2, n3)
    """

    domain: tuple[tuple[float, float], ...]
    counts: tuple[int, int, int]

    @property
    def size(self) -> int:
        """Number of boxes."""
        return int(np.prod(self.counts))

    @property
    def geometry(self) -> np.ndarray:
        """Origin and boxes per unit length, six numbers."""
        low, high = np.array(self.domain).T
        return np.concatenate([low, np.array(self.counts) / (high - low)])

    def edges(self, axis: int) -> np.ndarray:
        """Return the counts[axis] + 1 box edges along `axis`."""
        return np.linspace(*self.domain[axis], self.counts[axis] + 1)

    def placed(self, points: Array) -> tuple[Array, Array]:
        """Return `geometry` and the counts where `points` lie, the same arrays each time."""
        found: dict[int, tuple[Array, Array]] = self.__dict__.setdefault("_placed", {})
        number = device_number(points) if is_device_array(points) else -1
        if number not in found:
            xp, counts = namespace(points), np.array(self.counts, dtype=np.int64)
            found[number] = to_device(self.geometry, xp), to_device(counts, xp)
        return found[number]

    def keys(self, points: Array, refine: int) -> Array:
        """Return box refine^3 + the place within the box, of boxes cut `refine` times along each axis, (m,) int64."""
        xp = namespace(points)
        if on_device("box_keys", points):
            keys = xp.empty(len(points), dtype=xp.int64)
            arguments = (xp.ascontiguousarray(points), *self.placed(points), keys)
            run_places("box_keys", len(points), *arguments, len(points), refine)
            return keys
        box, inner = self._fine(points, refine)
        return box * refine**3 + inner

    def _fine(self, points: Array, refine: int) -> tuple[Array, Array]:
        """Return the box of each point, and its place within the box."""
        fine = self.cells(points, refine)
        box = (fine[0] // refine * self.counts[1] + fine[1] // refine) * self.counts[2] + fine[2] // refine
        return box, ((fine[0] % refine) * refine + fine[1] % refine) * refine + fine[2] % refine

    def cells(self, points: Array, refine: int = 1) -> list[Array]:
        """Return the three integer coordinates of `points` (m, 3) on the grid refined `refine` times."""
        xp = namespace(points)
        geometry, result = self.geometry, []
        for axis, count in enumerate(self.counts):
            cell = ((points[:, axis] - geometry[axis]) * (geometry[3 + axis] * refine)).astype(xp.int64)
            result.append(xp.clip(cell, 0, count * refine - 1))
        return result

    def sort(self, points: Array) -> tuple[Array, Array]:
        """Return the order of `points` by boxes, last axis fastest, and the offset of each box in it (size + 1)."""
        xp = namespace(points)
        if on_device("box_keys", points):
            keys = self.keys(points, 1)
            order = xp.argsort(keys)
            return order, _offsets(keys, order, self.size + 1, 1, 1)[0]
        c1, c2, c3 = self.cells(points)
        box = (c1 * self.counts[1] + c2) * self.counts[2] + c3
        offsets = xp.zeros(self.size + 1, dtype=xp.int64)
        offsets[1:] = xp.cumsum(xp.bincount(box, minlength=self.size))
        return xp.argsort(box), offsets


def _offsets(keys: Array, order: Array, edges: int, step: int, width: int) -> tuple[Array, Array]:
    """Return the offsets of the keys 0, step, 2 step, ... in the order of a device, and the tiles between them."""
    xp = namespace(keys)
    offsets, tiles = xp.empty(edges, dtype=xp.int64), xp.empty(edges, dtype=xp.int64)
    run_places("box_offsets", edges, keys, order, offsets, tiles, len(keys), edges, step, width)
    return offsets, tiles


@dataclass(frozen=True)
class Tiles:
    """Points in an order in which neighbors follow each other, cut into tiles of one box and one thread block.

    Parameters
    ----------
    order : (m,) int64
        Indices of the points.
    start : (tiles + 1,) int64
        Offsets of the tiles in `order`.
    box : (tiles,) int64
        The box of each tile.
    """

    order: Array
    start: Array
    box: Array

    def __repr__(self) -> str:
        return f"Tiles({len(self.order)} points in {len(self.box)} tiles)"

    @classmethod
    def of(cls, points: Array, grid: BoxGrid) -> Tiles:
        """Cut `points` (m, 3), all inside the domain of `grid`, into tiles."""
        xp = namespace(points)
        width = block_size(points)
        refine = int(np.clip(round((len(points) / (grid.size * width)) ** (1 / 3)), 1, 32))
        if on_device("box_keys", points):
            keys = grid.keys(points, refine)
            order = xp.argsort(keys)
            return cls(order, *_device_tiles(keys, order, grid.size, refine**3, width))
        box, inner = grid._fine(points, refine)
        order = xp.argsort(box * refine**3 + inner)
        counts = xp.bincount(box, minlength=grid.size)
        tiles = (counts + width - 1) // width
        first = xp.cumsum(counts) - counts
        ends = xp.cumsum(tiles)
        tile = xp.arange(int(ends[-1]))
        tile_box = xp.searchsorted(ends, tile, side="right")  # CuPy repeats by no array of counts
        within = tile - (ends - tiles)[tile_box]
        start = xp.concatenate([first[tile_box] + width * within, xp.asarray([len(points)])])
        return cls(order.astype(xp.int64), start.astype(xp.int64), tile_box.astype(xp.int64))


def _device_tiles(keys: Array, order: Array, boxes: int, step: int, width: int) -> tuple[Array, Array]:
    """Return start and box of the tiles of sorted points on a device."""
    xp = namespace(keys)
    offsets, tiles = _offsets(keys, order, boxes, step, width)
    ends = xp.cumsum(tiles)
    count = int(ends[-1])
    start, box = xp.empty(count + 1, dtype=xp.int64), xp.empty(count, dtype=xp.int64)
    run_places("tile_places", count + 1, offsets, ends, start, box, boxes, count, len(keys), width)
    return start, box


def local_coordinates(points: Array, grid: BoxGrid) -> tuple[Array, Array]:
    """Return the cell of each point along every axis, and its coordinates in [-1, 1] there.

    Lists of three arrays (m,), or, on a device, two arrays (3, m).
    """
    if on_device("box_coordinates", points):
        xp, m = namespace(points), len(points)
        boxes, local = xp.empty((3, m), dtype=xp.int64), xp.empty((3, m))
        run_places("box_coordinates", m, xp.ascontiguousarray(points), *grid.placed(points), boxes, local, m)
        return boxes, local
    geometry, cells = grid.geometry, grid.cells(points)
    return cells, [
        2 * ((points[:, a] - geometry[a]) * geometry[3 + a] - cells[a].astype(points.dtype)) - 1 for a in range(3)
    ]
