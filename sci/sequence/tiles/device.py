"""Softmax attention over one part of the keys on a device: the kernels of attention/attention_tiles.cu."""

from __future__ import annotations

from math import isqrt

import numpy as np

from sci.backend import Array, namespace, to_device
from sci.kernels import block_size, get_kernel, launch
from sci.sequence.tiles.seen import Seen

__all__ = ["add_gradients_on_device", "attend_on_device", "bounds_of_tiles"]

_SOURCE = "attention/attention_tiles.cu"


def _sides(q: Array) -> tuple[int, int]:
    """Rows and columns of a tile, as the kernels cut them where `q` lies."""
    side = isqrt(block_size(q))
    return side * 16 // int(q.dtype.itemsize), side * 8


def bounds_of_tiles(seen: Seen, width: int) -> np.ndarray:
    """Return the least and the greatest of start and of stop among the queries of each tile, (rows, tiles, 4)."""
    n = seen.start.shape[1]
    index = np.minimum(np.arange(-(-n // width) * width), n - 1).reshape(-1, width)
    a, b = seen.start[:, index], seen.stop[:, index]
    return np.stack([a.min(axis=2), a.max(axis=2), b.min(axis=2), b.max(axis=2)], axis=2)


def _blocks(q: Array, heads: int, length: int, width: int) -> int:
    rows, columns = _sides(q)
    return int(heads * -(-length // rows) * -(-width // columns))


def attend_on_device(q: Array, k: Array, v: Array, seen: Seen, out: Array, lse: Array, scale: float) -> None:
    """Add a part of the keys to softmax attention on a device, as `attend` does; no array is empty.

    Notes
    -----
    Flops 2 heads n m (d + e) for the tiles that are seen; above a width of 64 (float64 and float32 alike) scores are
    computed again for each 64 columns.
    """
    (heads, n, d), (own, m, e), xp = q.shape, v.shape, namespace(q)
    kernel = get_kernel(_SOURCE, "attention_tiles_forward", q.dtype)
    tables = (to_device(a, xp) for a in (seen.start, seen.stop, seen.row_of, bounds_of_tiles(seen, _sides(q)[0])))
    blocks = _blocks(q, heads, n, e)
    launch(kernel, blocks, q, k, v, *tables, lse.copy(), out, lse, scale, heads, own, n, m, d, e)


def add_gradients_on_device(
    q: Array,
    k: Array,
    v: Array,
    dout: Array,
    lse: Array,
    delta: Array,
    seen: Seen,
    dq: Array,
    dk: Array,
    dv: Array,
    scale: float,
) -> None:
    """Add the gradients of a part of the keys on a device, keys and queries in a sweep each; no array is empty."""
    (heads, n, d), (own, m, e), xp = q.shape, v.shape, namespace(q)
    keys, queries = (get_kernel(_SOURCE, f"attention_tiles_{side}", q.dtype) for side in ("keys", "queries"))
    tables = [to_device(a, xp) for a in (seen.start, seen.stop, seen.row_of)]
    given, lengths = (q, k, v, dout, lse, delta, *tables), (scale, heads, own, n, m, d, e)
    rows, columns = _sides(q)
    launch(keys, _blocks(q, own, m, max(d, e)), *given, to_device(bounds_of_tiles(seen, columns), xp), dk, dv, *lengths)
    launch(queries, _blocks(q, heads, n, d), *given, to_device(bounds_of_tiles(seen, rows), xp), dq, *lengths)
