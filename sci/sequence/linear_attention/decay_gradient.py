"""The gradient of the decay of linear attention, accurate for decays of any size.

With the pairs p_ts = lam^{t-s} (q_t . k_s) (dout_t . v_s) the gradient is - sum of (t - s) p_ts. A pair counts once for
each boundary between s and t, so that this is - the sum over boundaries u of the flow F_u = <S_{u-1}, R_u>, where S is
the state that enters token u and R_u the gradient of that state. A rank owns the boundaries before its tokens.

Slow decays: F_u changes by k_u . dk_u - q_u . dq_u from one boundary to the next, and is known at the ends of segments.
Fast decays: these differences cancel, since both hold p_uu, which is exp(decay) times the rest. But pairs far apart
vanish in rounding, and the sum over a band of near pairs is cheap and has no such cancellation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace, to_host

__all__ = ["Boundary", "decay_gradient"]

_SLOW = {"float32": 0.75, "float64": 4.0}
"""Decays up to which flows are summed, and bands above; flows lose a factor exp(decay) of accuracy."""

_MIN_BLOCK = 16
"""Queries in one product of a band, at least: narrower products cost more than the pairs that they save."""


@dataclass(frozen=True)
class Boundary:
    """Transposed states (b, segments + 1, e, d) between segments of a rank's tokens, and their gradients."""

    states: Array
    gradients: Array
    segment: int


def decay_gradient(
    q: Array, k: Array, v: Array, dout: Array, decay: Array, dq: Array, dk: Array, boundary: Boundary
) -> Array:
    """Return this rank's part of the gradient of each head's decay, in float64.

    Parameters
    ----------
    q, k, dq, dk : (b, n, d) array
        Float32 or float64; sequence b has the decay of head b mod heads.
    v, dout : (b, n, e) array
    decay : (heads,) array
    boundary : Boundary

    Returns
    -------
    (heads,) float64 array

    Notes
    -----
    Slow heads 4 n d flops; fast ones 4 n W (d + e), where the band of W = 20 / decay tokens (40 / decay in float64) is
    at least 16 wide. The relative error for random float32 input is below 1e-4.
    """
    xp, heads = namespace(q, decay), decay.shape[0]
    values = to_host(decay).astype(np.float64)
    fast = np.flatnonzero(values > _SLOW[str(q.dtype)]).tolist()
    total = xp.zeros(heads, np.float64)
    if len(fast) < heads:
        total -= _flow_sum(q, k, dq, dk, boundary).reshape(-1, heads).sum(axis=0)
    for head in fast:
        own = slice(head, None, heads)
        states, gradients = boundary.states[own, 0], boundary.gradients[own, -1]
        total[head] = -_band_sum(q[own], k[own], v[own], dout[own], float(values[head]), states, gradients)
    return total


def _flow_sum(q: Array, k: Array, dq: Array, dk: Array, boundary: Boundary) -> Array:
    """Sum the flow over the boundaries before all tokens, for each sequence: (b,) float64.

    Over a segment of c tokens, with the flows L and R at its ends and the steps x_i, it is
    sum of ((c - 1) / 2 - i) x_i + L (c + 1) / 2 + R (c - 1) / 2: the running sum of steps from the left end, plus the
    difference that rounding leaves at the right end, spread evenly.
    """
    xp, n, segment = namespace(q), q.shape[1], boundary.segment
    steps = xp.einsum("bnd,bnd->bn", k, dk)
    steps -= xp.einsum("bnd,bnd->bn", q, dq)
    edges = xp.einsum("bsij,bsij->bs", boundary.states, boundary.gradients).astype(np.float64)
    place = np.arange(n)
    lengths = np.minimum(segment, n - np.arange(0, n, segment)).astype(np.float64)
    weights = (lengths[place // segment] - 1) / 2 - place % segment
    total = steps.astype(np.float64) @ xp.asarray(weights)
    total += edges[:, :-1] @ xp.asarray((lengths + 1) / 2)
    total += edges[:, 1:] @ xp.asarray((lengths - 1) / 2)
    return total


def _band_sum(q: Array, k: Array, v: Array, dout: Array, decay: float, state: Array, gradient: Array) -> Array:
    """Sum (t - s) p_ts over near pairs of one head, with the tokens before this rank (`state`) and after (`gradient`).

    Parameters
    ----------
    q, k : (b, n, d) array
    v, dout : (b, n, e) array
    decay : float
    state, gradient : (b, e, d) array
        The state before the first token, and the gradient of the state after the last one.
    """
    n = q.shape[1]
    width = min(_band_width(decay, q.dtype), n)
    block = max(width, _MIN_BLOCK)
    whole = n // block * block
    blocks = [a[:, :whole].reshape(a.shape[0], -1, block, a.shape[2]) for a in (q, dout, k, v)]
    total = _weighted(*blocks, decay=decay, offset=0)
    early, late = slice(0, width), slice(block - width, block)
    crossing = [a[:, 1:, early] for a in blocks[:2]] + [a[:, :-1, late] for a in blocks[2:]]
    total += _weighted(*crossing, decay=decay, offset=width)
    rest, before = slice(whole, n), slice(max(0, whole - width), whole)
    total += _weighted(*(a[:, None, rest] for a in (q, dout, k, v)), decay=decay, offset=0)
    crossing = [a[:, None, rest] for a in (q, dout)] + [a[:, None, before] for a in (k, v)]
    total += _weighted(*crossing, decay=decay, offset=whole - before.start)
    return total + _edge_sum(q, k, v, dout, decay, state, gradient, width)


def _weighted(q: Array, dout: Array, k: Array, v: Array, *, decay: float, offset: int) -> Array:
    """Sum (t - s) p_ts over the pairs in each block, (b, blocks, ...); `offset` is t - s of the first query and key."""
    xp = namespace(q)
    if 0 in (*q.shape, *k.shape):
        return xp.zeros((), np.float64)
    apart = np.maximum(offset + np.arange(q.shape[2])[:, None] - np.arange(k.shape[2]), 0)
    pairs = q @ k.swapaxes(2, 3)
    pairs *= dout @ v.swapaxes(2, 3)
    return pairs.sum(axis=(0, 1)).astype(np.float64).reshape(-1) @ xp.asarray((apart * np.exp(-decay * apart)).ravel())


def _edge_sum(
    q: Array, k: Array, v: Array, dout: Array, decay: float, state: Array, gradient: Array, width: int
) -> Array:
    """Sum the pairs of which at least one token lies outside of this rank."""
    xp, n = namespace(q), q.shape[1]
    total: Any = xp.zeros((), np.float64)
    for left, middle, right, first, ages in (
        (dout, state, q, 0, np.arange(1, width + 1)),
        (v, gradient, k, n - width, np.arange(width - 1, -1, -1)),
    ):
        tokens = slice(first, first + width)
        pairs = ((left[:, tokens] @ middle) * right[:, tokens]).sum(axis=(0, 2)).astype(np.float64)
        total = total + pairs @ xp.asarray(ages * np.exp(-decay * ages))
    return total + n * math.exp(-decay * n) * (state * gradient).sum(dtype=np.float64)


def _band_width(decay: float, dtype: Any) -> int:
    """Return the distance beyond which pairs are less than rounding beside neighbors."""
    digits = -math.log(np.finfo(dtype).eps)
    return 1 + math.ceil((digits + math.log(digits / decay + 2)) / decay)
