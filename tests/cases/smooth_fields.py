"""Seeded fields for tests of compression."""

from __future__ import annotations

import numpy as np
from scipy.fft import idctn


def smooth_field(shape: tuple[int, ...], power: float = 3.0, seed: int = 1, dtype: type = np.float32) -> np.ndarray:
    """Return random cosines whose amplitudes decay with a power of the frequency, of one unit in the mean square."""
    axes = np.meshgrid(*(np.arange(n, dtype=float) for n in shape), indexing="ij")
    decay = (1 + np.sqrt(sum(k * k for k in axes))) ** -power
    field = idctn(np.random.default_rng(seed).normal(size=shape) * decay, norm="ortho")
    return (field / max(float(np.sqrt((field**2).mean())), 1e-300)).astype(dtype)
