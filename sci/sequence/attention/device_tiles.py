"""Softmax attention over one part of the keys on a device: the kernels of attention/attention_tiles.cu."""

from __future__ import annotations

from math import isqrt

from sci.backend import Array, namespace
from sci.kernels import block_size, get_kernel, launch

__all__ = ["add_gradients_on_device", "attend_on_device"]

_SOURCE = "attention/attention_tiles.cu"


def _sides(q: Array) -> tuple[int, int]:
    """Rows and columns of a tile, as the kernels cut them where `q` lies."""
    side = isqrt(block_size(q))
    return side * 16 // int(q.dtype.itemsize), side * 8


def _bounds(low: Array, high: Array, width: int) -> Array:
    """Return the least and the greatest of `low` and of `high` among the queries of each tile, (tiles, 4)."""
    xp, n = namespace(low), low.shape[0]
    index = xp.minimum(xp.arange(-(-n // width) * width), n - 1).reshape(-1, width)
    a, b = low[index], high[index]
    return xp.stack([a.min(axis=1), a.max(axis=1), b.min(axis=1), b.max(axis=1)], axis=1)


def _blocks(q: Array, length: int) -> int:
    rows, columns = _sides(q)
    return int(q.shape[0] * -(-length // rows) * -(-q.shape[2] // columns))


def attend_on_device(
    q: Array, k: Array, v: Array, low: Array, high: Array, positions: Array, out: Array, lse: Array
) -> None:
    """Add a part of the keys to softmax attention on a device, as `attend` does; no array is empty.

    Notes
    -----
    Flops 4 heads n m d for the tiles that are seen; above a head dimension of 64 (float64 and float32 alike) scores are
    computed again for each 64 columns.
    """
    (heads, n, d), m = q.shape, k.shape[1]
    kernel = get_kernel(_SOURCE, "attention_tiles_forward", q.dtype)
    given = (q, k, v, low, high, positions, _bounds(low, high, _sides(q)[0]))
    launch(kernel, _blocks(q, n), *given, lse.copy(), out, lse, heads, n, m, d)


def add_gradients_on_device(
    q: Array,
    k: Array,
    v: Array,
    dout: Array,
    lse: Array,
    delta: Array,
    low: Array,
    high: Array,
    positions: Array,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    """Add the gradients of a part of the keys on a device, keys and queries in a sweep each; no array is empty."""
    (heads, n, d), m = q.shape, k.shape[1]
    keys, queries = (get_kernel(_SOURCE, f"attention_tiles_{side}", q.dtype) for side in ("keys", "queries"))
    given, lengths = (q, k, v, dout, lse, delta, low, high, positions), (heads, n, m, d)
    rows, columns = _sides(q)
    launch(keys, _blocks(q, m), *given, _bounds(low, high, columns), dk, dv, *lengths)
    launch(queries, _blocks(q, n), *given, _bounds(low, high, rows), dq, *lengths)
