"""Chunks on a device: few launches, and sizes that do not wait for what the device finds."""

from __future__ import annotations

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.kernels import block_size, get_kernel, launch
from sci.potentials.pairs.cell import Frame, bounds
from sci.potentials.pairs.chunks import CLUSTER, Chunks, chunk_width, columns_in, is_sparse
from sci.tensor.boxes.grid import BoxGrid, column_offsets, run_places

__all__ = ["device_chunks"]

SOURCE = "particles/places.cu"
DENSITY_CELL = 0.5
"""Edge of the cells that the density near charges is counted in, in cutoffs."""


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
        Not cut at empty stretches of a column.
    """
    width = chunk_width(dtype)
    box = frame.box()
    if frame.periods is None and is_sparse(len(charges), *box):
        frame = frame.closed()
        box = bounds(frame.positions)
    places, n = frame.positions, len(charges)
    xp = namespace(places)
    shape, cell, numbers = columns_in(frame, *box, local_density(places, *box), width)
    columns = int(shape[0] * shape[1])
    keys = xp.empty(n, dtype=xp.int64)
    run_places("column_keys", n, places, to_device(numbers, xp), to_device(shape, xp), keys, n)
    order = xp.argsort(keys)
    offsets, starts = column_offsets(keys, order, columns, int(shape[2]), width)
    count = n // width + min(columns, n)  # a column has one chunk at most that is not full
    members, column, first, last = (xp.empty(s, dtype=xp.int64) for s in ((count, width), count, count, count))
    data, clusters = (xp.empty(s, dtype=dtype) for s in ((count, 4, width), (count * width // CLUSTER, 6)))
    centers, halves = xp.empty((count, 3)), xp.empty((count, 3))
    found = (members, data, clusters, centers, halves)
    blocks = -(-count * width // block_size(places))
    kernel = get_kernel(SOURCE, "pack_sorted", dtype)
    inputs = (places, xp.ascontiguousarray(charges), keys, order, offsets, starts)
    launch(kernel, blocks, *inputs, *found, column, first, last, n, columns, count, width)
    return Chunks(frame, *found, starts, column, first, last, shape, cell)


def local_density(positions: Array, low: np.ndarray, high: np.ndarray) -> float:
    """Return the density that charges see on average, as `chunks.local_density`; the host waits for it."""
    n = len(positions)
    edge = max(DENSITY_CELL, float((np.maximum(high - low, DENSITY_CELL).prod() / (4 * n + 64)) ** (1 / 3)))
    n1, n2, n3 = (int(k) for k in np.floor((high - low) / edge) + 1)
    domain = tuple((a, a + edge * k) for a, k in zip(low.tolist(), (n1, n2, n3)))
    filled = namespace(positions).bincount(BoxGrid(domain, (n1, n2, n3)).keys(positions, 1))
    return max(float((filled * filled).sum()) / n / edge**3, 1e-300)
