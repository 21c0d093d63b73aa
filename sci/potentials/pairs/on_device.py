"""Chunks on a device: few launches, and sizes that do not wait for what the device finds."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.kernels import block_size, get_kernel, launch
from sci.potentials.pairs.cell import Frame, bounds
from sci.potentials.pairs.chunks import CLUSTER, DENSITY_CELL, Chunks, chunk_width, columns_in, is_sparse
from sci.tensor.boxes.grid import run_places

__all__ = ["SortedChunks", "device_chunks", "local_density"]

SOURCE = "particles/places.cu"


class SortedChunks:
    """Columns of a frame, laid out once, and memory for as many chunks as there may be: sorting is launches alone.

    Parameters
    ----------
    frame : Frame
        Its positions (n, 3) may change between two sorts, within its box.
    charges : (n,) float64
        In units of the largest, on the device.
    dtype : float32 or float64
    density : float
        That charges see, see `local_density`: only the time depends on it.
    """

    def __init__(self, frame: Frame, charges: Array, dtype: np.dtype, density: float) -> None:
        xp, n, width = namespace(charges), len(charges), chunk_width(dtype)
        shape, cell, numbers = columns_in(frame, *frame.box(), density, width)
        columns = int(shape[0] * shape[1])
        bins = columns * int(shape[2])
        count = n // width + min(columns, n)  # a column has one chunk at most that is not full
        whole = xp.zeros(bins + columns + 1, dtype=xp.int64)  # the counts are zero again after each sort
        self._counts, self._parts = whole[:bins], whole[bins:]
        self._keys, self._loose, self._order = (xp.empty(n, dtype=xp.int64) for _ in range(3))
        self._ends, self._offsets = xp.empty(bins, dtype=xp.int64), xp.empty(columns, dtype=xp.int64)
        starts = xp.empty(columns + 1, dtype=xp.int64)
        members, column, first, last = (xp.empty(s, dtype=xp.int64) for s in ((count, width), count, count, count))
        data, clusters = (xp.empty(s, dtype=dtype) for s in ((count, 4, width), (count * width // CLUSTER, 6)))
        centers, halves = xp.empty((count, 3)), xp.empty((count, 3))
        found = (members, data, clusters, centers, halves)
        self.chunks = Chunks(frame, *found, starts, column, first, last, shape, cell)
        """Not cut at empty stretches of a column; the last ones may be empty."""
        self._charges = xp.ascontiguousarray(charges)
        self._numbers, self._shape = to_device(numbers, xp), to_device(shape, xp)
        self._pack = get_kernel(SOURCE, "pack_sorted", dtype)

    def __repr__(self) -> str:
        return f"SortedChunks({self.chunks!r})"

    def sort(self) -> None:
        """Sort the charges where they are now."""
        c, places, n = self.chunks, self.chunks.frame.positions, len(self._keys)
        xp, (count, width), columns = namespace(places), c.members.shape, len(self._offsets)
        keys, ends = self._keys, self._ends
        run_places("column_keys", n, places, self._numbers, self._shape, keys, self._counts, n)
        xp.cumsum(self._counts, out=ends)
        run_places("place_sorted", n, keys, ends, self._counts, self._loose, n)
        arrays = (keys, ends, self._loose, self._order, self._offsets, self._parts)
        run_places("rank_sorted", max(n, columns), *arrays, n, columns, int(c.shape[2]), width)
        xp.cumsum(self._parts, out=c.column_start)
        inputs = (places, self._charges, keys, self._order, self._offsets, c.column_start)
        outputs = (c.members, c.data, c.clusters, c.centers, c.halves, c.column, c.first_key, c.last_key)
        launch(self._pack, -(-count * width // block_size(places)), *inputs, *outputs, n, columns, count, width)


def device_chunks(frame: Frame, charges: Array, dtype: np.dtype) -> Chunks:
    """Sort the charges of a frame on a device into as many chunks as there may be: the last ones may be empty.

    Parameters
    ----------
    frame : Frame
    charges : (n,) float64
        In units of the largest.
    dtype : float32 or float64

    Returns
    -------
    Chunks
    """
    box = frame.box()
    if frame.periods is None and is_sparse(len(charges), *box):
        frame = frame.closed()
        box = bounds(frame.positions)
        frame = Frame(frame.positions, None, frame.turn, box)
    sorted_chunks = SortedChunks(frame, charges, dtype, local_density(frame.positions, *box))
    sorted_chunks.sort()
    return sorted_chunks.chunks


def local_density(positions: Array, low: np.ndarray, high: np.ndarray) -> float:
    """Return the density that charges see on average, as `chunks.local_density`; the host waits for it."""
    n, xp = len(positions), namespace(positions)
    edge = max(DENSITY_CELL, float((np.maximum(high - low, DENSITY_CELL).prod() / (4 * n + 64)) ** (1 / 3)))
    shape = np.append(np.floor((high - low) / edge) + 1, 0).astype(np.int64)
    numbers = np.array([low[0], 1 / edge, low[1], 1 / edge, low[2], 1 / edge, 0.0])
    filled = xp.zeros(int(shape[:3].prod()), dtype=xp.int64)
    keys = xp.empty(n, dtype=xp.int64)
    run_places("column_keys", n, positions, to_device(numbers, xp), to_device(shape, xp), keys, filled, n)
    return max(float(xp.dot(filled, filled)) / n / edge**3, 1e-300)
