"""Charges sorted into columns, chunks and clusters, so that those of a chunk lie close together."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import get_kernel, launch, use_compiled
from sci.potentials.pairs.cell import Frame, bounds

__all__ = ["Chunks", "chunk_width"]

SOURCE = "particles/pairs.cu"
CLUSTER = 4
BINS = 16
"""Bins of a column for each of its widths."""
DENSITY_CELL = 0.5
"""Edge of the cells that the density near charges is counted in, in cutoffs."""
FAR_LANE = 1e4
"""Distance of lanes without a charge, in cutoffs."""


def chunk_width(dtype: np.dtype) -> int:
    """Return the charges of a chunk: 16 of float32, 8 of float64."""
    return 64 // np.dtype(dtype).itemsize


@dataclass(frozen=True, eq=False)
class Chunks:
    """Charges in chunks of W and clusters of 4, sorted by columns along z.

    Parameters
    ----------
    frame : Frame
    members : (chunks, W) int64
        The charge of each lane, -1 for none.
    data : (chunks, 4, W) float32 or float64
        x, y, z from the center of the chunk, and charge.
    clusters : (chunks W / 4, 6)
        Center and half size of the box of each cluster, from the center of the chunk.
    centers, halves : (chunks, 3) float64
        Of the boxes of the chunks.
    column_start : (columns + 1,) int64
        Offset of each column in the chunks.
    column, first_key, last_key : (chunks,) int64
        Column, and key (column, bin) of the first and the last charge.
    shape : (4,) int64
        Layers along x, columns of a layer, bins of a column, and whether the frame is periodic.
    cell : (14,) float64
        Geometry, as the kernel takes it.
    """

    frame: Frame
    members: Array
    data: Array
    clusters: Array
    centers: Array
    halves: Array
    column_start: Array
    column: Array
    first_key: Array
    last_key: Array
    shape: np.ndarray
    cell: np.ndarray

    def __repr__(self) -> str:
        return f"Chunks({len(self.frame.positions)} charges in {len(self.members)} chunks, {self.frame!r})"

    @classmethod
    def of(cls, frame: Frame, charges: Array, dtype: np.dtype) -> Chunks:
        """Sort the charges of a frame of the host, (n,) float64 in units of the largest."""
        width = chunk_width(dtype)
        box = bounds(frame.positions)
        if frame.periods is None and is_sparse(len(charges), *box):
            frame = frame.closed()
            box = bounds(frame.positions)
        shape, cell, keys = columns_of(frame, *box, width)
        order = order_of_keys(keys, int(shape[:3].prod()))
        members, first = cut(frame.positions[order, 2], keys[order], order, int(shape[2]), width)
        xp = namespace(keys)
        last = xp.concatenate([first[1:], xp.asarray([len(order)])]) - 1
        column = keys[order[first]] // int(shape[2])
        starts = xp.searchsorted(column, xp.arange(int(shape[0] * shape[1]) + 1))
        members, data, clusters, centers, halves = pack_chunks(frame.positions, charges, members, dtype)
        ends = (keys[order[first]], keys[order[last]])
        start = starts.astype(xp.int64)
        return cls(frame, members, data, clusters, centers, halves, start, column, *ends, shape, cell)


def local_density(positions: Array, low: np.ndarray, high: np.ndarray) -> float:
    """Return the density that charges see on average, in cells of half a cutoff or larger ones."""
    xp, n = namespace(positions), len(positions)
    edge = max(DENSITY_CELL, float((np.maximum(high - low, DENSITY_CELL).prod() / (4 * n + 64)) ** (1 / 3)))
    counts = np.floor((high - low) / edge).astype(np.int64) + 1
    cells = [xp.floor((positions[:, a] - float(low[a])) / edge).astype(xp.int64) for a in range(3)]
    filled = xp.bincount((cells[0] * int(counts[1]) + cells[1]) * int(counts[2]) + cells[2])
    found = float((filled.astype(float) ** 2).sum()) / n / edge**3
    return max(found, 1e-300)


def is_sparse(charges: int, low: np.ndarray, high: np.ndarray) -> bool:
    """Return True if most cells a cutoff wide hold no charge."""
    return bool(np.maximum(high - low, 1.0).prod() > 4 * charges + 64)


def columns_of(frame: Frame, low: np.ndarray, high: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, Array]:
    """Return shape and geometry of the columns over the box (low, high) of the charges, and the key of each charge."""
    xp = namespace(frame.positions)
    x, y, z = (frame.positions[:, a] for a in range(3))
    shape, cell, numbers = columns_in(frame, low, high, local_density(frame.positions, low, high), width)
    layers, across, bins, _ = (int(k) for k in shape)
    x_low, per_x, y_low, per_y, z_low, per_z, skew = numbers.tolist()
    column = _places(x, x_low, per_x, layers) * across + _places(y - skew * x if skew else y, y_low, per_y, across)
    return shape, cell, xp.ascontiguousarray(column * bins + _places(z, z_low, per_z, bins))


def columns_in(
    frame: Frame, low: np.ndarray, high: np.ndarray, density: float, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return shape and geometry of the columns over the box (low, high) of n charges, and what their keys need.

    Parameters
    ----------
    frame : Frame
    low, high : (3,) float64
    density : float
        That charges see.
    width : int
        Charges of a chunk.

    Returns
    -------
    shape : (4,) int64
    cell : (14,) float64
    numbers : (7,) float64
        Origin and parts a length along x, y and z, and the skew of y by x.
    """
    n = len(frame.positions)
    side = (width / density) ** (1 / 3)
    periods = frame.periods
    if periods is None:
        lengths, skew, origin = np.maximum(high - low, 1e-3) * (1 + 1e-9), 0.0, low
    else:
        lengths, skew, origin = np.diag(periods), float(periods[0, 1] / periods[0, 0]), np.array([0.0, 0.0, low[2]])
        lengths = np.array([lengths[0], lengths[1], max(high[2] - low[2], 1e-3) * (1 + 1e-9)])
    side = max(side, 0.05, math.sqrt(lengths[0] * lengths[1] / (4 * n + 64)))
    layers, across = (max(1, min(round(float(length / side)), 4 * n + 64)) for length in lengths[:2])
    bins = int(np.clip(math.ceil(BINS * lengths[2] / side), 1, max(1, (16 * n + 1024) // (layers * across))))
    shape = np.array([layers, across, bins, periods is not None], dtype=np.int64)
    numbers = np.zeros(6) if periods is None else np.array([*periods[0], *periods[1, 1:], periods[2, 2]])
    widths = [origin[0], lengths[0] / layers, origin[1], lengths[1] / across, origin[2], bins / lengths[2]]
    cell = np.array([*widths, *numbers, low[2], high[2]])
    places = [v for o, k, length in zip(origin, (layers, across, bins), lengths) for v in (o, k / length)]
    return shape, cell, np.array([*places, skew])


def _places(values: Array, origin: float, scale: float, count: int) -> Array:
    """Return the part, of `count` ones `scale` to a length, that each value lies in."""
    xp = namespace(values)
    return xp.clip(((values - origin) * scale).astype(xp.int64), 0, count - 1)


def order_of_keys(keys: Array, bins: int) -> Array:
    """Return the order of int64 keys below `bins`, equal ones in that of their numbers."""
    xp = namespace(keys)
    kernel = get_kernel(SOURCE, "order_of_keys", np.float64)
    if not use_compiled(kernel, keys):
        return xp.argsort(keys, kind="stable").astype(xp.int64)
    order, place = xp.empty(len(keys), dtype=xp.int64), xp.zeros(bins + 1, dtype=xp.int64)
    launch(kernel, 1, keys, place, order, len(keys), bins + 1)
    return order


def cut(z: Array, keys: Array, order: Array, bins: int, width: int) -> tuple[Array, Array]:
    """Cut sorted charges into chunks at columns, at empty stretches, and after `width` of them.

    Parameters
    ----------
    z, keys, order : (n,)
        Heights, keys and numbers of the charges, in their order.
    bins : int
        Keys of a column.
    width : int

    Returns
    -------
    members : (chunks, width) int64
        Numbers, -1 for none.
    first : (chunks,) int64
        Place of the first charge of each chunk in the order.
    """
    xp, n = namespace(z), len(z)
    column = keys // bins
    turns = column[1:] != column[:-1]
    gaps = xp.abs(z[1:] - z[:-1]) > 1.0
    if 4 * int(gaps.sum()) <= n:
        turns = turns | gaps
    place = xp.arange(n)
    begins = xp.concatenate([xp.ones(1, dtype=bool), turns])
    starts = place[begins]
    run = xp.cumsum(begins) - 1
    lengths = xp.concatenate([starts[1:], xp.asarray([n])]) - starts
    chunks = (lengths + width - 1) // width
    ends = xp.cumsum(chunks)
    within = place - starts[run]
    chunk = (ends - chunks)[run] + within // width
    members = xp.full(int(ends[-1]) * width, -1, dtype=xp.int64)
    members[chunk * width + within % width] = order
    return members.reshape(-1, width), place[within % width == 0]


def pack_chunks(positions: Array, charges: Array, members: Array, dtype: np.dtype) -> tuple[Array, ...]:
    """Split chunks into clusters; return members, data, clusters, centers and halves of `Chunks`."""
    xp, (count, width) = namespace(positions), members.shape
    kernel = get_kernel(SOURCE, "pack_chunks", dtype)
    if not use_compiled(kernel, positions):
        return pack_reference(positions, charges, members, dtype)
    data = xp.empty((count, 4, width), dtype=dtype)
    clusters = xp.empty((count * width // CLUSTER, 6), dtype=dtype)
    centers, halves = xp.empty((count, 3)), xp.empty((count, 3))
    launch(
        kernel, count, xp.ascontiguousarray(positions), charges, members, data, clusters, centers, halves, count, width
    )
    return members, data, clusters, centers, halves


def pack_reference(positions: Array, charges: Array, members: Array, dtype: np.dtype) -> tuple[Array, ...]:
    """Reference of the kernel `pack_chunks`."""
    xp, (count, width) = namespace(positions), members.shape
    for level in range(2 if width == 16 else 1):
        part = width >> level
        groups = members.reshape(-1, part)
        key = xp.where(groups >= 0, positions[groups, level], 1e300)
        members = xp.take_along_axis(groups, xp.argsort(key, axis=1, kind="stable"), axis=1).reshape(count, width)
    real = members >= 0
    places = xp.moveaxis(positions[members], 2, 1)  # (chunks, 3, W)
    low, high = _box(places, real[:, None, :], 1e300)
    centers, halves = (low + high) / 2, (high - low) / 2
    far = xp.zeros((3, width))
    far[0] = FAR_LANE * (xp.arange(width) + 1)
    local = xp.where(real[:, None, :], places - centers[:, :, None], far).astype(dtype)
    charge = xp.where(real, charges[members], 0.0).astype(dtype)
    data = xp.concatenate([local, charge[:, None, :]], axis=1)
    groups = xp.moveaxis(local.reshape(count, 3, -1, CLUSTER), 1, 2).reshape(-1, 3, CLUSTER)
    filled = real.reshape(-1, 1, CLUSTER)
    low, high = _box(groups, filled, 1e30)
    empty = ~filled.any(axis=2)
    clusters = xp.concatenate([xp.where(empty, 0, (low + high) / 2), xp.where(empty, -1, (high - low) / 2)], axis=1)
    return members, xp.ascontiguousarray(data), clusters.astype(dtype), centers, halves


def _box(places: Array, real: Array, large: float) -> tuple[Array, Array]:
    """Return the corners of the boxes of the lanes that hold a charge."""
    xp = namespace(places)
    return xp.where(real, places, large).min(axis=2), xp.where(real, places, -large).max(axis=2)


def tiles_of(chunks: Chunks) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Return tiles of columns (first and last layer, first and last column), and the span of each color in them.

    Pairs of a tile reach into itself and the tiles next to it at higher x, and at lower and higher y: of one color
    are tiles that are two apart along x, or three along y.
    """
    layers, across, _, periodic = (int(k) for k in chunks.shape)
    width, depth = float(chunks.cell[1]), float(chunks.cell[3])
    skew = abs(float(chunks.cell[7] / chunks.cell[6])) if periodic else 0.0
    reach_x = math.ceil(1 / width) + 1
    reach_y = math.ceil((1 + skew * (1 + 2 * width)) / depth) + 1
    edges = [
        _edges(count, reach, step if periodic else 1)
        for count, reach, step in ((layers, reach_x, 2), (across, reach_y, 3))
    ]
    colors = [_colors(len(e) - 1, step, bool(periodic)) for e, step in zip(edges, (2, 3))]
    found: dict[tuple[int, int], list[tuple[int, int, int, int]]] = {}
    for i, color_x in enumerate(colors[0]):
        for j, color_y in enumerate(colors[1]):
            tile = (edges[0][i], edges[0][i + 1], edges[1][j], edges[1][j + 1])
            found.setdefault((color_x, color_y), []).append(tile)
    spans, start = [], 0
    for members in found.values():
        spans.append((start, start + len(members)))
        start += len(members)
    return np.array([tile for members in found.values() for tile in members], dtype=np.int64), spans


def _edges(count: int, reach: int, step: int) -> list[int]:
    """Cut `count` columns into as many parts of at least `reach` as there are, a multiple of `step` if that many."""
    parts = max(1, count // reach)
    parts -= parts % step if parts >= step else 0
    return [count * k // parts for k in range(parts + 1)]


def _colors(count: int, step: int, ring: bool) -> list[int]:
    """Color parts in a row so that equal ones are `step` apart; on a ring, those left over have colors of their own."""
    whole = count // step * step if ring else count
    return [k % step if k < whole else step + k - whole for k in range(count)]


def scatter_chunks(own: Array, other: Array, members: Array, n: int) -> Array:
    """Return the sum of `own` and `other` (chunks, 4, W) as rows of the `n` charges, (n, 4) float64."""
    xp, (count, _, width) = namespace(own), own.shape
    kernel = get_kernel(SOURCE, "scatter_chunks", other.dtype)
    if not use_compiled(kernel, own):
        return scatter_reference(own + other, members, n)
    result = xp.empty((n, 4))
    launch(kernel, count, own, other, members, result, count, width)
    return result


def scatter_reference(values: Array, members: Array, n: int) -> Array:
    """Reference of the kernel `scatter_chunks`."""
    xp = namespace(values)
    rows, flat = xp.moveaxis(values, 1, 2).reshape(-1, 4), members.reshape(-1)
    real, result = flat >= 0, xp.empty((n, 4))
    result[flat[real]] = rows[real]
    return result
