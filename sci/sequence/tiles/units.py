"""Softmax attention of 16 bits on a device by matrix units: the kernels of attention/attention_units.cu."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from sci.backend import Array, device_number, is_device_array, namespace, to_device
from sci.kernels import get_kernel, launch, use_compiled
from sci.sequence.tiles.device import bounds_of_tiles
from sci.sequence.tiles.seen import Seen

__all__ = ["add_gradients_by_units", "attend_by_units", "fits_units"]

_SOURCE = "attention/attention_units.cu"
_WIDTHS = (64, 128)
_LEAST = 80
"""Compute capability of the first devices whose matrix units take both kinds of 16 bits."""
_OTHERS = 32
"""Rows of a tile of the side that a block goes over."""


def fits_units(q: Array, v: Array) -> bool:
    """Return True for queries and values of 16 bits that the kernels take, on a device that has the units.

    Heads are 64 or 128 wide, keys and values alike.
    """
    if not is_device_array(q) or str(q.dtype) not in ("float16", "bfloat16"):
        return False
    if q.shape[2] not in _WIDTHS or v.shape[2] != q.shape[2]:
        return False
    return use_compiled(_kernel("forward", q), q) and _capability(namespace(q), device_number(q)) >= _LEAST


@functools.cache
def _capability(xp: Any, device: int) -> int:
    return int(xp.cuda.Device(device).compute_capability)


def _kernel(part: str, q: Array) -> Any:
    return get_kernel(_SOURCE, f"attention_units_{part}", np.float32, str(q.dtype) == "bfloat16", q.shape[2])


def _tables(seen: Seen, width: int, xp: Any) -> list[Array]:
    """Return start, stop, rows and the bounds of tiles, where the kernels are."""
    return [to_device(table, xp) for table in (seen.start, seen.stop, seen.row_of, bounds_of_tiles(seen, width))]


def _bits(array: Array) -> Array:
    return namespace(array).ascontiguousarray(array).view(np.uint16)


def attend_by_units(
    q: Array, k: Array, v: Array, seen: Seen, out: Array, lse: Array, scale: float, cap: float = 0.0
) -> None:
    """Add a part of the keys to softmax attention, as `attend` does, for arrays of 16 bits; no array is empty.

    Parameters
    ----------
    q, k, v : (heads, n, d), (own, m, d), (own, m, d) float16 or bfloat16
    seen : Seen
    out, lse : (heads, n, d), (heads, n) float32
    scale, cap : float
        Scores are cap tanh(scale q . k / cap), without a cap where it is 0.

    Notes
    -----
    Weights are rounded to 16 bits where they are multiplied by values; maxima, sums and out are float32.
    """
    (heads, n, d), (own, m, _), xp = q.shape, v.shape, namespace(q)
    rows = _OTHERS * (2 if d == 64 else 1)
    tables = _tables(seen, rows, xp)
    blocks = heads * -(-n // rows)
    launch(_kernel("forward", q), blocks, *map(_bits, (q, k, v)), *tables, out, lse, scale, cap, heads, own, n, m)


def add_gradients_by_units(
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
    cap: float = 0.0,
) -> None:
    """Add the gradients of a part of the keys, as `add_gradients` does, for arrays of 16 bits; no array is empty.

    Parameters
    ----------
    q, k, v, seen, scale, cap
        As in `attend_by_units`.
    dout, lse, delta : float32
    dq, dk, dv : float32

    Notes
    -----
    dout, weights and their changes are rounded to 16 bits where they are multiplied. dout is taken in units of a power
    of two near its largest entry, so that small gradients do not vanish in float16.
    """
    (heads, n, _), (own, m, _), xp = q.shape, v.shape, namespace(q)
    exponent = xp.clip(xp.frexp(xp.abs(dout).max().reshape(1))[1], -100, 100)
    one = xp.ones(1, np.float32)
    unit, inverse = xp.ldexp(one, exponent), xp.ldexp(one, -exponent)
    arrays = (*map(_bits, (q, k, v, (dout * inverse).astype(q.dtype))), lse, delta * inverse, unit)
    tables, lengths = _tables(seen, _OTHERS, xp), (scale, cap, heads, own, n, m)
    launch(_kernel("keys", q), own * -(-m // _OTHERS), *arrays, *tables, dk, dv, *lengths)
    launch(_kernel("queries", q), heads * -(-n // _OTHERS), *arrays, *tables, dq, *lengths)
