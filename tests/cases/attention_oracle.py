"""Dense softmax attention and its gradients in double precision, written out: the oracle of the softmax tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

METHODS = ("ring", "rsa", "ulysses")
PACKED = np.repeat([-1, 5, 2, -3, 9], [2, 7, 1, 3, 8])
"""Documents of unequal lengths with padding between them, 21 tokens."""


def attention_arrays(
    n: int, heads: int = 2, d: int = 5, count: int = 4, seed: int = 0, dtype: str = "f8"
) -> list[np.ndarray]:
    """Return q, k, v, dout, ... of random numbers, (heads, n, d) each."""
    return list(np.random.default_rng(seed).normal(size=(count, heads, n, d)).astype(dtype))


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest error over the largest entry."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def seen_by(n: int, causal: bool, segments: np.ndarray | None, blocks: Sequence[int] | None = None) -> np.ndarray:
    """Return the (n, n) table of which token (column) each token (row) sees."""
    seen = np.tri(n, dtype=bool) if causal else np.ones((n, n), bool)
    if blocks is not None:
        level = np.repeat(np.arange(len(blocks)), blocks)
        seen &= level[:, None] >= level
    if segments is not None:
        seen &= (segments[:, None] == segments) & (segments >= 0)
    return seen


def dense(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float, seen: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (out, lse, weights) of (..., n, d) arrays."""
    scores = np.where(seen, scale * np.einsum("...id,...jd->...ij", q, k), -np.inf)
    top = np.where(seen.any(axis=1), scores.max(axis=-1, initial=-1e300), 0)
    weights = np.exp(scores - top[..., None])
    total = weights.sum(axis=-1)
    with np.errstate(divide="ignore"):
        lse = top + np.log(total)
    weights = weights / np.where(total > 0, total, 1)[..., None]
    return weights @ v, lse, weights


def dense_vjp(
    q: np.ndarray, k: np.ndarray, v: np.ndarray, scale: float, seen: np.ndarray, dout: np.ndarray, dlse: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (dq, dk, dv) through the whole matrix of weights."""
    _, _, weights = dense(q, k, v, scale, seen)
    dweights = np.einsum("...id,...jd->...ij", dout, v)
    change = weights * (dweights - (weights * dweights).sum(axis=-1, keepdims=True) + dlse[..., None])
    turned = change.swapaxes(-1, -2)
    return scale * change @ k, scale * turned @ q, weights.swapaxes(-1, -2) @ dout
