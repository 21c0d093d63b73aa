"""Legendre functions: SciPy's, high precision near the poles, orthonormality, refusals."""

from __future__ import annotations

from decimal import Decimal, getcontext

import numpy as np
import pytest
from harmonics import sph_harm_y

from sci.errors import InvalidValueError
from sci.spherical import legendre_functions
from sci.spherical.legendre import MAX_DEGREES


def test_scipy():
    theta = np.linspace(0, np.pi, 41)
    found = legendre_functions(theta, 24)
    orders, degrees = np.meshgrid(np.arange(24), np.arange(24), indexing="ij")
    expected = sph_harm_y(degrees[..., None], orders[..., None], theta, 0).real
    np.testing.assert_allclose(found, np.where((orders > degrees)[..., None], 0, expected), rtol=0, atol=1e-13)
    np.testing.assert_array_equal(legendre_functions(theta, 24, 7), found[:7])


def decimal_legendre(m, degree, theta):
    """The recurrence in cos(theta) with 60 digits."""
    getcontext().prec = 60
    angle, cosine, sine, term = Decimal(theta), Decimal(0), Decimal(0), Decimal(1)
    for k in range(80):
        cosine, sine = (
            (cosine + (-1) ** (k // 2) * term, sine) if k % 2 == 0 else (cosine, sine + (-1) ** (k // 2) * term)
        )
        term = term * angle / (k + 1)
    value = (1 / (4 * Decimal("3.14159265358979323846264338327950288419716939937510582097494"))).sqrt()
    for k in range(1, m + 1):
        value *= -sine * (Decimal(2 * k + 1) / Decimal(2 * k)).sqrt()
    before = Decimal(0)
    for k in range(m + 1, degree + 1):
        a = (Decimal(4 * k * k - 1) / Decimal(k * k - m * m)).sqrt()
        b = (Decimal((k - 1) ** 2 - m * m) / Decimal(4 * (k - 1) ** 2 - 1)).sqrt()
        value, before = a * (cosine * value - b * before), value
    return float(value)


@pytest.mark.parametrize("theta", [1e-6, 1e-3, 0.02, 0.7, 1.5, 3.13])
def test_high_precision_at_degree_512(theta):
    found = legendre_functions(np.array([theta]), 513)[:, :, 0]
    for m in (0, 1, 2, 100, 400, 511, 512):
        # A colatitude of the south is known to 2e-16, which P changes by degree times as much.
        assert abs(found[m, 512] - decimal_legendre(m, 512, theta)) < (2e-13 if theta < 2 else 2e-11), m


def test_the_largest_degrees_are_orthonormal():
    """A Gauss rule in x integrates the products of the last degrees; starts of the recurrence reach 1e-245."""
    from sci.spherical import SphereGrid
    from sci.spherical.legendre import recurrence

    grid = SphereGrid(MAX_DEGREES, 1)
    north, weights = grid.colatitudes[: MAX_DEGREES // 2], grid.weights[: MAX_DEGREES // 2]
    for m in (0, MAX_DEGREES // 4, int(MAX_DEGREES / np.e), MAX_DEGREES - 2):
        rows = recurrence(north, MAX_DEGREES, range(m, m + 1))[0, m::2][-40:]
        np.testing.assert_allclose(2 * (rows * weights) @ rows.T, np.eye(len(rows)), rtol=0, atol=1e-12)


def test_what_is_refused():
    for theta, degrees, orders, message in (
        (-0.1, 4, None, "0 to pi"),
        (3.2, 4, None, "0 to pi"),
        (0.5, MAX_DEGREES + 1, 1, "1 to 1536"),
        (0.5, 0, None, "1 to 1536"),
        (0.5, 4, 5, "above the degree"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            legendre_functions(np.array([theta]), degrees, orders)
