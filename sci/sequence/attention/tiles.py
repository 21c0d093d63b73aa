"""Softmax attention over one part of the keys, in tiles: kernels and their array references.

A query i sees the keys whose position lies in [low[i], high[i]]. The output and the log-sum-exp of the scores are the
whole state of the online softmax: each call updates them by one part of the keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sci.arguments import entry
from sci.backend import Array, is_device_array, namespace, to_host
from sci.kernels import Kernel, get_kernel, host_threads, launch, use_compiled
from sci.options import get as get_option
from sci.sequence.attention.device_tiles import add_gradients_on_device, attend_on_device

__all__ = [
    "MAX_HEAD_DIM",
    "KeyRange",
    "add_gradients",
    "add_gradients_reference",
    "attend",
    "attend_reference",
    "merge_attention",
]

MAX_HEAD_DIM = 256
"""Head dimension up to which a tile of the compiled kernel has room."""
_SOURCE = "attention/attention.cu"
_HOST_TILE = 128
_REFERENCE_ROWS, _REFERENCE_KEYS = 256, 1024


@dataclass(frozen=True)
class KeyRange:
    """The positions that query i sees, from low[i] to high[i]; both (n,) int64."""

    low: Array
    high: Array


def attend(q: Array, k: Array, v: Array, key_range: KeyRange, positions: Array, out: Array, lse: Array) -> None:
    """Add a part of the keys to softmax attention, in place.

    Parameters
    ----------
    q : (heads, n, d) float32 or float64
        Queries times the scale.
    k, v : (heads, m, d) of the same dtype
        A part of the keys and values.
    key_range : KeyRange
        The positions that each query sees.
    positions : (m,) int64
        Positions of the keys, increasing.
    out : (heads, n, d)
        Attention over the parts seen so far; zero before the first.
    lse : (heads, n)
        Its log-sum-exp; minus infinity before the first.

    Notes
    -----
    Cost 4 heads n m d flops for the tiles that are seen. Memory: tiles in cache.
    """
    (heads, n, d), m = q.shape, k.shape[1]
    if 0 in (heads, n, m):
        return
    kernel = get_kernel(_SOURCE, "attention_forward", q.dtype)
    given = (q, k, v, key_range.low, key_range.high, positions, out, lse)
    form = _form(q, kernel)
    if form == "device":
        attend_on_device(*given)
    elif form == "host":
        launch(kernel, heads * -(-n // _HOST_TILE), *given, heads, n, m, d)
    else:
        attend_reference(q, k, v, key_range, positions, out, lse)


def _form(q: Array, kernel: Kernel) -> Literal["device", "host", "reference"]:
    """Choose the form of the tiles for `q`: the kernels of a device, `kernel` on the host, or array calls."""
    if is_device_array(q):
        return "reference" if get_option("kernels") == "reference" else "device"
    return "host" if use_compiled(kernel, q) else "reference"


def attend_reference(
    q: Array, k: Array, v: Array, key_range: KeyRange, positions: Array, out: Array, lse: Array
) -> None:
    """Reference of the kernel `attention_forward`: matrix products over tiles, and merged partial results."""
    xp = namespace(q)
    for rows, keys, scores in _score_tiles(q, k, key_range, positions):
        top = scores.max(axis=2)
        top = xp.where(top == -xp.inf, xp.zeros_like(top), top)
        scores -= top[..., None]
        weights = xp.exp(scores, out=scores)
        total = weights.sum(axis=2)
        some = total != 0  # True for NaN, which must not pass for a query that sees nothing
        total = xp.where(some, total, xp.ones_like(total))
        part_lse = xp.where(some, top + xp.log(total), -xp.inf)
        part = (weights @ v[:, keys]) / total[..., None]
        out[:, rows], lse[:, rows] = merge_attention(out[:, rows], lse[:, rows], part, part_lse)


def _score_tiles(q: Array, k: Array, key_range: KeyRange, positions: Array) -> Iterator[tuple[slice, slice, Array]]:
    """Yield rows, keys and scores of each tile in which a query sees a key; minus infinity for hidden pairs."""
    xp = namespace(q)
    low, high, at = (to_host(a) for a in (key_range.low, key_range.high, positions))
    for i in range(0, q.shape[1], _REFERENCE_ROWS):
        rows = slice(i, i + _REFERENCE_ROWS)
        lowest, highest = low[rows].min(), high[rows].max()
        for j in range(0, len(at), _REFERENCE_KEYS):
            keys = slice(j, j + _REFERENCE_KEYS)
            first, last = at[keys][0], at[keys][-1]
            if last < lowest or first > highest:
                continue
            whole = first >= low[rows].max() and last <= high[rows].min()
            scores = q[:, rows] @ k[:, keys].swapaxes(1, 2)
            if not whole:
                there = positions[keys]
                seen = (key_range.low[rows, None] <= there) & (there <= key_range.high[rows, None])
                scores = xp.where(seen, scores, -xp.inf)
            yield rows, keys, scores


@entry
def merge_attention(out1: Array, lse1: Array, out2: Array, lse2: Array) -> tuple[Array, Array]:
    """Join attention over two disjoint sets of keys.

    With w = sigmoid(lse2 - lse1): out = out1 - w (out1 - out2), lse = max(lse1, lse2) - log sigmoid(|lse1 - lse2|).

    Parameters
    ----------
    out1, out2 : (..., n, d)
        Attention over either set.
    lse1, lse2 : (..., n)
        Log-sum-exp of the scores; minus infinity for a query that has seen no key of its set.

    Returns
    -------
    out : (..., n, d)
    lse : (..., n)

    Notes
    -----
    Only exp(-|lse1 - lse2|) is evaluated, never the exponential of a score, so nothing overflows.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import merge_attention
    >>> merge_attention(np.array([[1.0]]), np.array([0.0]), np.array([[3.0]]), np.array([0.0]))
    (array([[2.]]), array([0.69314718]))
    """
    xp = namespace(out1, lse1, out2, lse2)
    top = xp.maximum(lse1, lse2)
    none = top == -xp.inf
    one, two = (xp.where(none, xp.zeros_like(top), lse) for lse in (lse1, lse2))
    ratio = xp.exp(-xp.abs(one - two))
    weight = xp.where(two > one, 1 / (1 + ratio), ratio / (1 + ratio))
    lse = xp.where(none, top, top + xp.log1p(ratio))
    return out1 - weight[..., None] * (out1 - out2), lse


def add_gradients(
    q: Array,
    k: Array,
    v: Array,
    dout: Array,
    lse: Array,
    delta: Array,
    key_range: KeyRange,
    positions: Array,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    """Add the gradients that flow through a part of the keys, in place.

    p = exp(q k - lse), ds = p (dout v - delta); dq += ds k, dk += ds q, dv += p dout.

    Parameters
    ----------
    q, k, v, key_range, positions
        As in `attend`.
    dout : (heads, n, d)
        Gradient of the output.
    lse : (heads, n)
        Log-sum-exp over all keys; +1e30, not minus infinity, for a query that sees none.
    delta : (heads, n)
        sum over d of dout out, less the gradient of lse.
    dq : (heads, n, d)
        With respect to the scaled queries.
    dk, dv : (heads, m, d)

    Notes
    -----
    Cost 10 heads n m d flops for the tiles that are seen; 14 where queries and keys are swept apart, on a
    GPU and on the CPU with more threads than heads.
    """
    if 0 in (*q.shape, k.shape[1]):
        return
    given = (q, k, v, dout, lse, delta, key_range.low, key_range.high, positions)
    kernel = get_kernel(_SOURCE, "attention_backward_keys", q.dtype)
    form = _form(q, kernel)
    if form == "device":
        add_gradients_on_device(*given, dq, dk, dv)
    elif form == "reference":
        add_gradients_reference(*given[:6], key_range, positions, dq, dk, dv)
    else:
        _add_gradients_on_host(kernel, given, dq, dk, dv)


def _add_gradients_on_host(kernel: Kernel, given: tuple[Array, ...], dq: Array, dk: Array, dv: Array) -> None:
    """Launch the compiled sweep over keys, and one over queries where threads share a head."""
    q, (heads, n, d), m = given[0], dq.shape, dk.shape[1]
    fused = heads >= host_threads()
    blocks = heads if fused else heads * -(-m // _HOST_TILE)
    launch(kernel, blocks, *given, dq, dk, dv, heads, n, m, d, int(fused))
    if not fused:
        queries = get_kernel(_SOURCE, "attention_backward_queries", q.dtype)
        launch(queries, heads * -(-n // _HOST_TILE), *given, dq, heads, n, m, d)


def add_gradients_reference(
    q: Array,
    k: Array,
    v: Array,
    dout: Array,
    lse: Array,
    delta: Array,
    key_range: KeyRange,
    positions: Array,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    """Reference of the kernels `attention_backward_*`: matrix products over tiles."""
    xp = namespace(q)
    for rows, keys, scores in _score_tiles(q, k, key_range, positions):
        scores -= lse[:, rows, None]
        weights = xp.exp(scores, out=scores)
        change = dout[:, rows] @ v[:, keys].swapaxes(1, 2)
        change -= delta[:, rows, None]
        change *= weights
        dq[:, rows] += change @ k[:, keys]
        # The small factor is the transposed one: CuPy copies what is not contiguous.
        dk[:, keys] += (q[:, rows].swapaxes(1, 2) @ change).swapaxes(1, 2)
        dv[:, keys] += (dout[:, rows].swapaxes(1, 2) @ weights).swapaxes(1, 2)
