"""Tensor attention and its gradients through the whole tensor of weights: the oracle of its tests."""

from __future__ import annotations

import numpy as np


def tensor_dense(
    q: np.ndarray, k1: np.ndarray, k2: np.ndarray, v1: np.ndarray, v2: np.ndarray, scale: float, dout: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Return out and the gradients of (n, d) arrays."""
    scores = scale * np.einsum("il,jl,kl->ijk", q, k1, k2)
    p = np.exp(scores - scores.max(axis=(1, 2), keepdims=True))
    p /= p.sum(axis=(1, 2), keepdims=True)
    out = np.einsum("ijk,jl,kl->il", p, v1, v2)
    dp = np.einsum("il,jl,kl->ijk", dout, v1, v2)
    dx = scale * p * (dp - (dout * out).sum(axis=1)[:, None, None])
    return out, (
        np.einsum("ijk,jl,kl->il", dx, k1, k2),
        np.einsum("ijk,il,kl->jl", dx, q, k2),
        np.einsum("ijk,il,jl->kl", dx, q, k1),
        np.einsum("ijk,il,kl->jl", p, dout, v2),
        np.einsum("ijk,il,jl->kl", p, dout, v1),
    )


def tensor_arrays(lengths: tuple[int, int, int], d: int, size: float = 1.0, seed: int = 0) -> list[np.ndarray]:
    """Return q, k1, k2 of entries up to `size`, v1, v2 and dout."""
    rng = np.random.default_rng(seed)
    n, n1, n2 = lengths
    return [*(rng.uniform(-size, size, (m, d)) for m in (n, n1, n2)), *(rng.normal(size=(m, d)) for m in (n1, n2, n))]
