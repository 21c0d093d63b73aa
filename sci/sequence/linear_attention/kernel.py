"""Run the recurrence of linear attention with decay over local arrays: the compiled kernel and its array form."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.kernels import get_kernel, launch, use_compiled

__all__ = [
    "LEARNING_SEGMENT",
    "SEGMENT",
    "run_recurrence",
    "run_recurrence_reference",
    "segment_sums",
]

SEGMENT = 768
"""Tokens between states that are kept: a multiple of the kernel's chunk of 6, long enough that they cost nothing."""

LEARNING_SEGMENT = 192
"""The same where the decay is learned: its gradient is summed from state to state, and loses digits with the length."""

_CHUNK = 6
"""Tokens that the kernel takes at once."""

_BLOCK = 64
_SCAN = 128
"""Blocks whose states one matrix product joins."""


def _powers(xp: Any, decay: Array, exponents: range | np.ndarray) -> Array:
    """Return lam^i = exp(-decay i) for each head and exponent, an array (heads, exponents)."""
    return xp.exp(-decay[:, None] * xp.asarray(np.array(exponents, dtype=decay.dtype)))


def segment_sums(k: Array, v: Array, decay: Array, segment: int, reverse_weights: bool = False) -> tuple[Array, Array]:
    """Return the sum of lam^{c-1-i} k_i v_i^T over each segment of c tokens, and its decay lam^c.

    Parameters
    ----------
    k, v : (b, n, d), (b, n, e) array
    decay : (heads,) array
        b is a multiple of heads; sequence b has the decay of head b mod heads.
    segment : int
        Tokens in a segment; the last one may be shorter.
    reverse_weights : bool
        Weights lam^{i+1} instead, as in a sweep from the end.

    Returns
    -------
    sums : (b, segments, d, e) array
    ages : (b, segments) array
    """
    xp = namespace(k, v, decay)
    b, n, d = k.shape
    starts = range(0, n, segment)
    sums = xp.empty((b, len(starts), d, v.shape[2]), k.dtype)
    ages = xp.empty((b, len(starts)), k.dtype)
    repeats = b // decay.shape[0]
    for s, start in enumerate(starts):
        c = min(segment, n - start)
        exponents = range(1, c + 1) if reverse_weights else range(c - 1, -1, -1)
        weights = xp.tile(_powers(xp, decay, exponents), (repeats, 1))
        ages[:, s] = xp.tile(xp.exp(-decay * c), repeats)
        weighted = k[:, start : start + c] * weights[:, :, None]
        sums[:, s] = xp.matmul(weighted.swapaxes(1, 2), v[:, start : start + c])
    return sums, ages


def run_recurrence(
    q: Array, k: Array, v: Array, decay: Array, state: Array, reverse: bool = False, segment: int = SEGMENT
) -> tuple[Array, Array, bool]:
    """Run the recurrence over every sequence, from `state`, and keep the states between segments.

    Forward: S_t = lam S_{t-1} + k_t v_t^T and out_t = S_t^T q_t. Reversed: G_t = R_{t+1} + k_t v_t^T, out_t = G_t^T q_t
    and R_t = lam G_t, t falling from n - 1, with R_n = `state`.

    Parameters
    ----------
    q, k : (b, n, d) array
        C-contiguous, float32 or float64.
    v : (b, n, e) array
    decay : (heads,) array
    state : (b, d, e) array
    reverse : bool
    segment : int
        Tokens between states that are kept, a multiple of 192.

    Returns
    -------
    out : (b, n, e) array
    states : (b, segments + 1, d, e) array
        The states at the boundaries of the segments, in the order of the sequence.
    finite : bool
        Whether `out` holds neither NaN nor Inf.

    Notes
    -----
    About 4 b n d e flops; on one CPU thread at 60 to 75 percent of the processor's peak for d = e = 64.
    """
    xp = namespace(q, k, v, decay, state)
    kernel = get_kernel("attention/lightning.cu", "lightning", q.dtype, reverse)
    if not use_compiled(kernel, q):
        return run_recurrence_reference(q, k, v, decay, state, reverse, segment)
    (b, n, d), e = q.shape, v.shape[2]
    segments = -(-n // segment)
    states, out = xp.empty((b, segments + 1, d, e), q.dtype), xp.empty((b, n, e), q.dtype)
    states[:, segments if reverse else 0] = state
    work, checks = xp.empty((b, d, e), q.dtype), xp.zeros((b, 64), q.dtype)
    powers = xp.ascontiguousarray(_powers(xp, decay, range(_CHUNK + 1)))
    launch(kernel, b, q, k, v, powers, states, work, checks, out, b, n, d, e, decay.shape[0], segments, segment)
    return out, states, bool(xp.isfinite(checks).all())


def run_recurrence_reference(
    q: Array, k: Array, v: Array, decay: Array, state: Array, reverse: bool = False, segment: int = SEGMENT
) -> tuple[Array, Array, bool]:
    """Reference of the kernel `lightning`: batched matrix products over blocks of 64 tokens."""
    xp = namespace(q, k, v, decay, state)
    (b, n, d), e = q.shape, v.shape[2]
    whole = n // _BLOCK
    states, out = xp.empty((b, -(-n // _BLOCK) + 1, d, e), q.dtype), xp.empty((b, n, e), q.dtype)
    states[:, -1 if reverse else 0] = state
    parts = [(slice(0, whole * _BLOCK), slice(0, whole + 1)), (slice(whole * _BLOCK, n), slice(whole, None))]
    for tokens, held in reversed(parts) if reverse else parts:
        if tokens.start < tokens.stop:
            entering = states[:, held][:, -1 if reverse else 0]
            out[:, tokens], states[:, held] = _equal_blocks(
                q[:, tokens], k[:, tokens], v[:, tokens], decay, entering, reverse
            )
    kept = [*range(0, states.shape[1] - 1, segment // _BLOCK), -1]
    return out, states[:, kept], bool(xp.isfinite(out).all())


def _equal_blocks(q: Array, k: Array, v: Array, decay: Array, state: Array, reverse: bool) -> tuple[Array, Array]:
    """Return the output of blocks of one length, and the states at their ends in the order of the sequence."""
    xp, heads, (_, n, d), e = namespace(q), decay.shape[0], q.shape, v.shape[2]
    c = min(_BLOCK, n)
    mask, ages, youth = _block_weights(xp, decay, c, reverse)
    q, k, v = (a.reshape(-1, heads, n // c, c, a.shape[2]) for a in (q, k, v))
    scores = q @ k.swapaxes(3, 4)
    scores *= mask
    out = scores @ v
    order = slice(None, None, -1 if reverse else None)
    own = ((youth * k).swapaxes(3, 4) @ v)[:, :, order]
    states = xp.concatenate([state.reshape(-1, heads, 1, d, e), own], axis=2)
    _accumulate(states, decay * c)
    out += (ages * q) @ states[:, :, :-1][:, :, order]
    return out.reshape(-1, n, e), states[:, :, order].reshape(-1, n // c + 1, d, e)


def _accumulate(terms: Array, decay: Array) -> None:
    """Replace entry i of axis 2 by the sum over j <= i of exp(-decay (i - j)) terms_j, decay that of the head."""
    xp, last = namespace(terms), terms.shape[2] - 1
    for start in range(0, last, _SCAN):
        part = terms[:, :, start : min(start + _SCAN, last) + 1]  # begins with the last sum of the part before
        weights = _triangle(xp, decay, part.shape[2], reverse=False)
        part[...] = (weights @ part.reshape(*part.shape[:3], -1)).reshape(part.shape)


def _triangle(xp: Any, decay: Array, c: int, reverse: bool) -> Array:
    """Return exp(-decay |i - j|) of each head for j <= i (reversed: j >= i), and zeros."""
    i = np.arange(c)
    apart = i[None, :] - i[:, None] if reverse else i[:, None] - i[None, :]
    between = xp.exp(-decay[:, None, None] * xp.asarray(np.abs(apart).astype(decay.dtype)))
    return between * xp.asarray((apart >= 0).astype(decay.dtype))


def _block_weights(xp: Any, decay: Array, c: int, reverse: bool) -> tuple[Array, Array, Array]:
    """Return the decays of a block of c tokens, (heads, 1, c, ...): between them, of the state at each, to the end."""
    i = np.arange(c)
    ages = _powers(xp, decay, c - 1 - i if reverse else i + 1)
    youth = _powers(xp, decay, i + 1 if reverse else c - 1 - i)
    return _triangle(xp, decay, c, reverse)[:, None], ages[:, None, :, None], youth[:, None, :, None]
