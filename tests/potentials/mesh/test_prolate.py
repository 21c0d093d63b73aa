"""The prolate split: the eigenfunction itself, and that its long and its short range are those of 1/r."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import chebyshev as series
from scipy.integrate import quad
from scipy.special import pro_ang1

from sci.errors import InvalidValueError
from sci.potentials.mesh.prolate import ProlateSplit


@pytest.mark.parametrize("c", [3.0, 8.0, 14.0])
def test_the_function_is_the_spheroidal_one(c):
    k = np.linspace(0, 0.999, 21)
    scale = pro_ang1(0, 0, c, 0.0)[0]
    found = ProlateSplit(c, 1.0)
    np.testing.assert_allclose(found.transform(c * k), [pro_ang1(0, 0, c, x)[0] / scale for x in k], atol=1e-11)
    np.testing.assert_allclose(
        found.transform_slope(c * k[1:-1]), [pro_ang1(0, 0, c, x)[1] / scale / c for x in k[1:-1]], atol=1e-10
    )


@pytest.mark.parametrize("c", [6.0, 12.0, 30.0])
def test_the_modes_are_the_transform_of_the_potential(c):
    # B(r) = (2 / pi) int_0^k_max g(k) sin(k r) / (k r) dk, up to exp(-c)
    split = ProlateSplit(c, 5.0)
    for r in (0.4, 2.0, 4.9):
        value = quad(lambda k, r=r: 2 / np.pi * split.transform(k) * np.sinc(k * r / np.pi), 0, split.k_max)[0]
        assert split.potential(r) == pytest.approx(value, abs=20 * np.exp(-c) + 1e-12)
    assert split.at_zero == pytest.approx(float(split.potential(0.0)), rel=1e-13)


@pytest.mark.parametrize("c", [6.0, 15.0, 40.0])
def test_polynomials_give_potential_and_slope(c):
    split = ProlateSplit(c, 7.0)
    b, g = split.polynomials(60)
    r = np.linspace(0.0, 7.0, 50)
    u = 2 * (r / 7.0) ** 2 - 1
    np.testing.assert_allclose(series.chebval(u, b), split.potential(r), atol=1e-14)
    step = 1e-5
    slope = (split.potential(r[5:-5] + step) - split.potential(r[5:-5] - step)) / (2 * step)
    np.testing.assert_allclose(series.chebval(u[5:-5], g), -slope / r[5:-5], atol=1e-9)
    assert split.potential(7.0) == pytest.approx(1 / 7.0)
    assert split.potential(9.0) == pytest.approx(1 / 9.0)


def test_the_background_is_the_mean_of_the_short_range():
    split = ProlateSplit(9.0, 4.0)
    mean = quad(lambda r: 4 * np.pi * r**2 * (1 / r - float(split.potential(r))), 1e-12, 4.0)[0]
    assert split.background == pytest.approx(-mean, rel=1e-9)


def test_the_bandwidth_of_an_error():
    for error in (1e-2, 1e-6, 1e-12):
        split = ProlateSplit.of_error(6.0, 0.3, error)
        assert 0.85 * error < split.force_error(0.3) <= error
    assert ProlateSplit.of_error(6.0, 0.3, 1e-18) is None
    assert ProlateSplit.of_error(6.0, 0.3, 1e3).c == 2.0


def test_refusals():
    with pytest.raises(InvalidValueError, match="c is 41"):
        ProlateSplit(41.0, 1.0)
    with pytest.raises(InvalidValueError, match="cutoff is 0"):
        ProlateSplit(10.0, 0.0)
