"""Barron norms of known functions, and the 1/k law of random ridges with its constant."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.solvers import barron_norm, fourier_modes, ridge_sample


def test_norms_of_known_functions():
    x = 2 * np.pi * np.arange(32) / 32
    assert barron_norm(np.ones(8)) == pytest.approx(1.0)
    assert barron_norm(3 * np.sin(5 * x)) == pytest.approx(18.0)
    plane = np.cos(3 * x)[:, None] * np.cos(4 * x)
    assert barron_norm(plane) == pytest.approx(6.0)
    assert barron_norm(np.cos(x), lengths=1.0) == pytest.approx(1 + 2 * np.pi)


def test_the_algebra_of_the_norm():
    """Sums and products are at most sums and products; a derivative at most the band limit times the norm."""
    rng, x = np.random.default_rng(1), 2 * np.pi * np.arange(65) / 65
    u, v = (sum(rng.normal() * np.cos(k * x + rng.normal()) for k in range(8)) for _ in range(2))
    slope = np.fft.ifft(1j * 65 * np.fft.fftfreq(65) * np.fft.fft(u)).real
    assert barron_norm(u + v) <= barron_norm(u) + barron_norm(v)
    assert barron_norm(u * v) <= barron_norm(u) * barron_norm(v)
    assert barron_norm(slope) <= 7 * barron_norm(u)


def test_modes_give_the_function_back():
    rng = np.random.default_rng(2)
    u = rng.normal(size=(5, 6))
    frequencies, coefficients = fourier_modes(u, (1.0, 3.0))
    points = np.stack(np.meshgrid(np.arange(5) / 5, 3 * np.arange(6) / 6, indexing="ij"), axis=-1).reshape(-1, 2)
    np.testing.assert_allclose((np.exp(1j * points @ frequencies.T) @ coefficients).real, u.reshape(-1), atol=1e-12)


def _six_dimensions():
    """Return 400 pairs of modes in six dimensions with coefficients of sum 1."""
    rng = np.random.default_rng(3)
    half = np.unique(rng.integers(-3, 4, size=(400, 6)), axis=0)
    half = half[(half != 0).any(axis=1)]
    half = half[[not (half[:k] == -w).all(axis=1).any() for k, w in enumerate(half)]]
    c = rng.normal(size=len(half)) + 1j * rng.normal(size=len(half))
    c /= 2 * abs(c).sum()
    return np.concatenate([half, -half]).astype(float), np.concatenate([c, c.conj()])


@pytest.mark.parametrize("k", [10, 40, 160, 640, 2560])
def test_the_error_of_ridges_falls_as_one_over_k_with_its_constant(k):
    frequencies, coefficients = _six_dimensions()
    rng = np.random.default_rng(k)
    points = 2 * np.pi * rng.random((2000, 6))
    exact = (np.exp(1j * points @ frequencies.T) @ coefficients).real
    errors = [
        np.mean((ridge_sample(frequencies, coefficients, k, rng)(points) - exact) ** 2)
        for _ in range(40 if k < 1000 else 15)
    ]
    half = abs(coefficients).sum() ** 2 / 2
    assert k * np.mean(errors) == pytest.approx(half, rel=0.1)
    assert k * np.mean(errors) == pytest.approx(half - np.sum(abs(coefficients) ** 2), rel=0.06)


def test_the_mean_becomes_the_bias():
    x = 2 * np.pi * np.arange(16) / 16
    net = ridge_sample(*fourier_modes(2 + np.cos(x)), 5, seed=1)
    assert net.bias == pytest.approx(2.0)
    np.testing.assert_allclose(net(x[:, None]), 2 + np.cos(x), atol=1e-12)


def test_what_it_refuses():
    with pytest.raises(ShapeError, match="expected \\(m, ndim\\)"):
        ridge_sample(np.zeros(3), np.zeros(3), 2)
    with pytest.raises(InvalidValueError, match="not constant"):
        ridge_sample(np.zeros((1, 2)), np.ones(1), 2)
    with pytest.raises(InvalidValueError, match="k is 0"):
        ridge_sample(np.ones((1, 2)), np.ones(1), 0)
    with pytest.raises(ShapeError, match="x has shape"):
        ridge_sample(np.ones((1, 2)), np.ones(1), 2)(np.zeros((3, 1)))
    with pytest.raises(InvalidValueError, match="lengths"):
        barron_norm(np.ones(4), lengths=-1.0)
