"""Ewald's split for a mesh."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.polynomial import chebyshev as series
from scipy.special import erf

from sci.errors import InvalidValueError
from sci.potentials.mesh.gaussian import GaussianSplit


@pytest.mark.parametrize("reach", [1.0, 3.3, 6.0])
def test_polynomials_give_potential_and_slope(reach):
    split = GaussianSplit(reach / 8.0, 8.0, 3.0)
    b, g = split.polynomials(60)
    r = np.linspace(0.0, 8.0, 40)
    u = 2 * (r / 8.0) ** 2 - 1
    np.testing.assert_allclose(series.chebval(u, b), split.potential(r), atol=1e-14)
    x = split.alpha * r[5:]
    exact = (erf(x) - 2 / math.sqrt(math.pi) * x * np.exp(-(x**2))) / r[5:] ** 3
    np.testing.assert_allclose(series.chebval(u[5:], g), exact, atol=1e-11)
    assert split.at_zero == pytest.approx(float(split.potential(0.0)), rel=1e-14)


def test_modes_and_their_slope():
    split = GaussianSplit(0.4, 8.0, 2.0)
    k, step = np.array([0.3, 1.0, 1.9]), 1e-6
    np.testing.assert_allclose(split.transform(k), np.exp(-(k**2) / 0.64))
    slope = (split.transform(k + step) - split.transform(k - step)) / (2 * step)
    np.testing.assert_allclose(split.transform_slope(k), slope, rtol=1e-8)
    assert split.transform(2.1) == 0.0


def test_the_exponent_of_an_error():
    for error in (1e-3, 1e-6, 1e-9):
        split = GaussianSplit.of_error(6.0, 0.3, error)
        assert 0.9 * error < split.force_error(0.3) < 1.01 * error
    assert GaussianSplit.of_error(6.0, 0.3, 1e-18) is None


def test_refusals():
    with pytest.raises(InvalidValueError, match="alpha is 0"):
        GaussianSplit(0.0, 8.0, 2.0)
    with pytest.raises(InvalidValueError, match="alpha times cutoff is 8"):
        GaussianSplit(1.0, 8.0, 2.0)
