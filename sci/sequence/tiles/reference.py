"""Array references of the kernels of attention, for any device: matrix products over tiles, and merged results."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace, to_device
from sci.sequence.tiles.rules import Rules
from sci.sequence.tiles.seen import Seen

__all__ = ["add_gradients_reference", "attend_reference", "merge_attention", "scores_of_tile"]

_ROWS, _KEYS = 256, 1024


def _folded(array: Array, heads: int) -> Array:
    """Return (heads, group rows, d) of (heads group, rows, d): the queries of a head of keys under one another."""
    return array.reshape(heads, -1, array.shape[2])


def scores_of_tile(
    q: Array, k: Array, seen: Seen, rules: Rules | None, scale: float, rows: slice, keys: slice
) -> tuple[Array, Array | None]:
    """Return the scores (heads, queries, keys) of a tile, minus infinity for hidden pairs, and the cap's derivative."""
    xp, heads = namespace(q), q.shape[0]
    own = q[:, rows] * q.dtype.type(scale)
    scores = _folded(own, k.shape[0]) @ k[:, keys].swapaxes(1, 2)
    scores = scores.reshape(heads, own.shape[1], scores.shape[2])
    slope_of_cap = None
    if rules is not None:
        if rules.cap:
            bent = xp.tanh(scores / q.dtype.type(rules.cap))
            slope_of_cap = 1 - bent * bent
            scores = bent * q.dtype.type(rules.cap)
        scores = _ruled(scores, rules, seen, rows, keys)
    table = seen.table(rows, keys)
    if table is not None:
        scores = xp.where(to_device(table[_rows_of_heads(seen, heads)], xp), scores, -xp.inf)
    return scores, slope_of_cap


def _rows_of_heads(seen: Seen, heads: int) -> np.ndarray:
    return np.repeat(seen.row_of, heads // seen.row_of.size)


def _ruled(scores: Array, rules: Rules, seen: Seen, rows: slice, keys: slice) -> Array:
    """Return the scores with slopes, bias, mask and documents."""
    xp, of = namespace(scores), _rows_of_heads(seen, scores.shape[0])
    if rules.slopes is not None:
        apart = np.abs(rules.places[:, rows, None] - rules.keys[keys])[of]
        scores = scores - to_device(np.asarray(apart, scores.dtype), xp) * rules.slopes[:, None, None]
    if rules.bias is not None:
        scores = scores + rules.bias.block(rows, keys)
    if rules.mask is not None:
        scores = xp.where(rules.mask.block(rows, keys), scores, -xp.inf)
    if rules.query_documents is not None and rules.key_documents is not None:
        own = rules.query_documents[:, rows, None] == rules.key_documents[:, None, keys]
        scores = xp.where(to_device(own[of], xp), scores, -xp.inf)
    return scores


def attend_reference(
    q: Array, k: Array, v: Array, seen: Seen, out: Array, lse: Array, scale: float, rules: Rules | None
) -> None:
    """Reference of the kernel `attention_forward`: see `attend`."""
    xp = namespace(q)
    for rows, keys, scores, _ in _tiles(q, k, seen, rules, scale):
        top = scores.max(axis=2)
        top = xp.where(top == -xp.inf, xp.zeros_like(top), top)
        scores -= top[..., None]
        weights = xp.exp(scores, out=scores)
        total = weights.sum(axis=2)
        some = total != 0  # True for NaN, which must not pass for a query that sees nothing
        total = xp.where(some, total, xp.ones_like(total))
        part_lse = xp.where(some, top + xp.log(total), -xp.inf)
        if rules is not None and rules.rate:
            weights *= rules.kept(rows, keys, xp)
        values = v[:, keys]
        part = (_folded(weights, v.shape[0]) @ values).reshape(*total.shape, v.shape[2]) / total[..., None]
        out[:, rows], lse[:, rows] = merge_attention(out[:, rows], lse[:, rows], part, part_lse)


def _tiles(
    q: Array, k: Array, seen: Seen, rules: Rules | None, scale: float
) -> Iterator[tuple[slice, slice, Array, Array | None]]:
    """Yield queries, keys, scores and derivative of the cap of each tile in which something is seen."""
    for rows, keys in seen.blocks(k.shape[1], _ROWS, _KEYS):
        yield rows, keys, *scores_of_tile(q, k, seen, rules, scale, rows, keys)


def add_gradients_reference(
    given: tuple[Array, ...],
    seen: Seen,
    gradients: tuple[Array, Array, Array],
    scale: float,
    rules: Rules | None,
    dbias: Array | None,
) -> None:
    """Reference of the kernels `attention_backward_*`: see `add_gradients`."""
    q, k, v, dout, lse, delta = given
    dq, dk, dv = gradients
    xp, heads = namespace(q), k.shape[0]
    for rows, keys, scores, slope_of_cap in _tiles(q, k, seen, rules, scale):
        scores -= lse[:, rows, None]
        weights = xp.exp(scores, out=scores)
        douts = _folded(dout[:, rows], heads)
        change = (douts @ v[:, keys].swapaxes(1, 2)).reshape(weights.shape)
        kept: Any = 1
        if rules is not None and rules.rate:
            kept = rules.kept(rows, keys, xp).astype(q.dtype, copy=False)
            change *= kept
        change -= delta[:, rows, None]
        change *= weights
        if dbias is not None and rules is not None and rules.bias is not None:
            rules.bias.add(dbias, change, rows, keys)
        change *= q.dtype.type(scale)
        if slope_of_cap is not None:
            change *= slope_of_cap
        folded, used = _folded(change, heads), _folded(weights * kept, heads)
        dq[:, rows] += (folded @ k[:, keys]).reshape(dq[:, rows].shape)
        # The small factor is the transposed one: CuPy copies what is not contiguous.
        dk[:, keys] += (_folded(q[:, rows], heads).swapaxes(1, 2) @ folded).swapaxes(1, 2)
        dv[:, keys] += (douts.swapaxes(1, 2) @ used).swapaxes(1, 2)


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
