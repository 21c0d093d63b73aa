"""Tensors with decaying singular values, and what decompositions of them must keep."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from sci.tensor import Tucker


def decaying(shape: tuple[int, ...], rate: float, seed: int, dtype: type = float) -> np.ndarray:
    """A tensor whose unfoldings have singular values that fall by exp(-rate) each."""
    rng = np.random.default_rng(seed)
    tensor = rng.normal(size=shape).astype(dtype)
    if dtype is complex:
        tensor = tensor + 1j * rng.normal(size=shape)
    for axis, n in enumerate(shape):
        basis, _ = np.linalg.qr(rng.normal(size=(n, n)))
        scaled = basis * np.exp(-rate * np.arange(n))
        tensor = np.moveaxis(np.tensordot(scaled, tensor, axes=(1, axis)), 0, axis)
    return tensor


def error(tucker: Tucker, tensor: np.ndarray) -> float:
    return float(np.linalg.norm(tucker.to_dense() - tensor) / np.linalg.norm(tensor))


def assert_orthonormal(tucker: Tucker) -> None:
    for factor in tucker.factors:
        assert_allclose(factor.conj().T @ factor, np.eye(factor.shape[1]), atol=1e-12)
