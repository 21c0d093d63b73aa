"""Limits of wide networks against sampled networks, and kernels against quadrature and gradients."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from sci.errors import InvalidValueError, ShapeError
from sci.nn import (
    infinite_linear_network,
    linear,
    mean,
    relu,
    relu_kernels,
    sampled_linear_network,
    value_and_gradients,
)

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 6)) / np.sqrt(6)
Y = X @ RNG.normal(size=(6, 3))


def test_finite_networks_tend_to_the_limit_as_the_root_of_the_width() -> None:
    settings: dict[str, Any] = {"rate": 0.3, "steps": 60, "scales": (1.0, 0.7)}
    limit = infinite_linear_network(X, Y, **settings)
    widths = np.array([64, 256, 1024, 4096])
    away = [
        np.mean(
            [np.sqrt(((sampled_linear_network(X, Y, n, seed=s, **settings) - limit) ** 2).mean()) for s in range(8)]
        )
        for n in widths
    ]
    slope = np.polyfit(np.log(widths), np.log(away), 1)[0]
    assert abs(slope + 0.5) < 0.05
    assert (np.array(away) * np.sqrt(widths) < 0.5).all()
    # The limit learns: its outputs approach the least-squares fit.
    assert ((limit[-1] - Y) ** 2).mean() < 0.1 * (Y**2).mean()


def test_one_hidden_layer_is_an_integral_over_gaussian_weights() -> None:
    x, y, b, w = np.array([0.8, -0.3]), np.array([0.1, 1.2]), 0.3, 1.7
    gaussian, _ = relu_kernels(x[None], y[None], layers=1, weight_variance=w, bias_variance=b)
    covariance = np.array([[u @ v for v in (x, y)] for u in (x, y)]) * w / 2 + b
    normal = stats.multivariate_normal(np.zeros(2), covariance)
    expected = integrate.dblquad(lambda s, t: s * t * normal.pdf([s, t]), 0, 12, 0, 12, epsabs=1e-10)[0]
    np.testing.assert_allclose(gaussian[0, 0], b + w * expected, rtol=1e-8)


def test_the_tangent_kernel_is_that_of_gradients_of_a_wide_network() -> None:
    n, layers = 2048, 2
    x = RNG.normal(size=(3, 4))
    _, tangent = relu_kernels(x, x, layers=layers)
    sizes = [4, n, n, 1]
    weights = {f"w{k}": RNG.normal(size=(b, a)) for k, (a, b) in enumerate(pairwise(sizes))}

    def output(p: Any, row: int) -> Any:
        h = x[row : row + 1]
        for k, a in enumerate(sizes[:-1]):
            h = linear(relu(h) if k else h, p[f"w{k}"]) * np.sqrt(2 / a)
        return mean(h)

    gradients = [value_and_gradients(lambda p, row=row: output(p, row), weights)[1] for row in range(3)]
    found = [[sum((a[name] * b[name]).sum() for name in weights) for b in gradients] for a in gradients]
    np.testing.assert_allclose(found, tangent, rtol=0.12, atol=0.05 * tangent.max())


def test_kernels_are_symmetric_positive_and_scale_with_the_input() -> None:
    for kernel in relu_kernels(X, X, layers=3):
        np.testing.assert_allclose(kernel, kernel.T, rtol=1e-12)
        assert np.linalg.eigvalsh(kernel).min() > -1e-10
    scaled = relu_kernels(1e3 * X, 1e-2 * X, layers=3)
    np.testing.assert_allclose(scaled, 10 * np.asarray(relu_kernels(X, X, layers=3)), rtol=1e-6)
    zeros = relu_kernels(np.zeros((2, 3)), X[:2, :3], layers=2)
    assert not np.any(zeros)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ShapeError):
        relu_kernels(X, X[:, :2], layers=1)
    with pytest.raises(InvalidValueError, match="variance"):
        relu_kernels(X, X, layers=1, weight_variance=0.0)
    with pytest.raises(ShapeError):
        infinite_linear_network(X, Y[:3], rate=0.1, steps=1)
    with pytest.raises(InvalidValueError, match="steps"):
        infinite_linear_network(X, Y, rate=0.1, steps=0)
    with pytest.raises(InvalidValueError, match="width"):
        sampled_linear_network(X, Y, 0, rate=0.1, steps=1)
