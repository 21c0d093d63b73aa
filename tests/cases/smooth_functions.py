"""A smooth function of three variables with its gradient, and random Chebyshev-Tucker functions."""

from __future__ import annotations

import numpy as np

from sci.tensor import ChebTuck

BOX = ((-1.0, 2.0), (0.5, 1.5), (-3.0, -1.0))


def smooth(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.exp(0.5 * x) * np.cos(y + z) + 1.0 / (4.0 + x * y)


def gradient_of_smooth(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    wave, inverse = np.exp(0.5 * x) * np.sin(y + z), (4.0 + x * y) ** -2
    return np.stack([0.5 * np.exp(0.5 * x) * np.cos(y + z) - y * inverse, -wave - x * inverse, -wave], axis=-1)


def inside(n: int, seed: int = 0) -> np.ndarray:
    lower, upper = np.array(BOX).T
    return np.random.default_rng(seed).uniform(lower, upper, (n, 3))


def random_function(degree: tuple[int, ...], ranks: tuple[int, ...], seed: int) -> ChebTuck:
    rng = np.random.default_rng(seed)
    return ChebTuck(rng.normal(size=ranks), tuple(rng.normal(size=(d + 1, r)) for d, r in zip(degree, ranks)), BOX)
