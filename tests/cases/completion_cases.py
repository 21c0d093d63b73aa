"""Observed entries of smooth tensors whose truth is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Truth:
    """A tensor of sinusoids, and noisy entries of it."""

    full: np.ndarray
    index: np.ndarray
    values: np.ndarray

    def rms(self, predicted: np.ndarray) -> float:
        """Return the root mean square error of predictions for all cells."""
        return float(np.sqrt(((predicted - self.full.ravel()) ** 2).mean()))

    @property
    def cells(self) -> np.ndarray:
        """Indices of all cells."""
        return np.stack(np.unravel_index(np.arange(self.full.size), self.full.shape), axis=1)


def sinusoids(shape: tuple[int, ...], observed: float, noise: float, seed: int = 0) -> Truth:
    """Return a tensor with a core of 2 x 2 x ... normal numbers and factors sin(2 pi f x + phi), of unit deviation.

    Frequencies are from 0.5 to 1.5 waves along an axis.
    """
    rng = np.random.default_rng(seed)
    factors = []
    for n in shape:
        x = np.linspace(0, 1, n)[:, None]
        factors.append(np.sin(2 * np.pi * rng.uniform(0.5, 1.5, 2) * x + rng.uniform(0, 2 * np.pi, 2)))
    full = rng.normal(size=(2,) * len(shape))
    for factor in factors:
        full = np.tensordot(full, factor, axes=(0, 1))
    full = full / full.std()
    flat = rng.permutation(full.size)[: round(observed * full.size)]
    values = full.ravel()[flat] + noise * rng.normal(size=len(flat))
    return Truth(full, np.stack(np.unravel_index(flat, shape), axis=1), values)
