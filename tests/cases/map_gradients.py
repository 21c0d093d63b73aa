"""Gradients of maps of weights against central differences."""

from __future__ import annotations

import numpy as np

from sci.nn import WeightMap

RNG = np.random.default_rng(3)


def drawn(dtype: str, shape: tuple[int, ...] = (7, 5)) -> np.ndarray:
    """Return random numbers of a real or complex dtype."""
    found = RNG.normal(size=shape)
    return (found + 1j * RNG.normal(size=shape) if dtype[0] == "c" else found).astype(dtype)


def gradient_error(weight_map: WeightMap, arrays: dict[str, np.ndarray]) -> float:
    """Return the largest relative difference of `vjp` from central differences, over the arrays of a map."""
    weight, residuals = weight_map.forward(arrays)
    dweight = RNG.normal(size=weight.shape).astype(weight.dtype)
    worst = 0.0
    for name, found in weight_map.vjp(dweight, residuals).items():
        assert found.shape == arrays[name].shape
        assert found.dtype == arrays[name].dtype
        direction, h = RNG.normal(size=found.shape), 1e-6
        up, down = (weight_map.fold({**arrays, name: arrays[name] + s * h * direction}) for s in (1, -1))
        expected = float((np.conj(dweight) * (up - down)).sum().real) / (2 * h)
        worst = max(worst, abs(float((np.conj(found) * direction).sum().real) / expected - 1))
    return worst
