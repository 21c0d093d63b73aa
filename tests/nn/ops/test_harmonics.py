"""Harmonics as an op: derivatives of second and third order, lengths far from 1, forces of an energy, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from spherical_cases import vectors

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import directional_derivatives, spherical_harmonics, value_and_gradients
from sci.spherical import spherical_harmonics as plain
from sci.spherical import spherical_harmonics_gradient

RNG = np.random.default_rng(8)


@pytest.mark.parametrize("solid", [False, True])
def test_derivatives_to_third_order_against_differences_of_the_one_below(solid):
    v, d, h = vectors(RNG, 12) / 2, RNG.normal(size=(12, 3)), 1e-5
    v /= np.linalg.norm(v, axis=1, keepdims=True)
    found = directional_derivatives(lambda x: spherical_harmonics(x, degree=4, solid=solid), v, d, order=3)
    gradients = spherical_harmonics_gradient(v, 4, solid=solid)[1]
    np.testing.assert_allclose(found[1], np.einsum("nkw,nk->nw", gradients, d), rtol=0, atol=1e-12)
    for order in (2, 3):
        sides = [
            directional_derivatives(lambda x: spherical_harmonics(x, degree=4, solid=solid), v + s * h * d, d, order=2)
            for s in (1, -1)
        ]
        expected = (sides[0][order - 1] - sides[1][order - 1]) / (2 * h)
        np.testing.assert_allclose(found[order], expected, rtol=0, atol=1e-7 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_lengths_whose_squares_leave_the_dtype(size):
    v, d = vectors(RNG, 9), RNG.normal(size=(9, 3))
    expected = directional_derivatives(lambda x: spherical_harmonics(x, degree=3), v, d)
    found = directional_derivatives(lambda x: spherical_harmonics(x, degree=3), v * size, d * size)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_the_gradient_of_a_force_by_weights():
    """What training on forces takes: the derivative along a direction, recorded, and differentiated by weights."""
    v, d, w = vectors(RNG, 7), RNG.normal(size=(7, 3)), {"w": RNG.normal(size=(1, 25))}

    def slope(parameters):
        def energy(x):
            y = spherical_harmonics(x, degree=4)
            return (y * y * y * parameters["w"]).sum()

        return directional_derivatives(energy, v, d)[1]

    value, gradients = value_and_gradients(slope, w)
    y, dy = spherical_harmonics_gradient(v, 4)
    expected = (3 * y * y * np.einsum("nkw,nk->nw", dy, d)).sum(axis=0)
    np.testing.assert_allclose(gradients["w"][0], expected, rtol=1e-12, atol=1e-12)
    assert value == pytest.approx((expected * w["w"][0]).sum())


def test_values_are_those_of_the_room_of_the_sphere():
    v = vectors(RNG, 5, "f4")
    np.testing.assert_array_equal(spherical_harmonics(v, degree=5), plain(v, 5))
    assert spherical_harmonics(np.zeros((0, 3)), degree=2).shape == (0, 9)


def test_refusals():
    with pytest.raises(InvalidValueError, match=r"vector 1 is .*no direction"):
        spherical_harmonics(np.array([[1.0, 0, 0], [0, 0, 0]]), degree=2)
    with pytest.raises(ShapeError, match=r"expected \(..., 3\)"):
        spherical_harmonics(np.ones((4, 2)), degree=2)
    with pytest.raises(DTypeError, match="expected float32 or float64"):
        spherical_harmonics(np.ones((4, 3), int), degree=2)
    with pytest.raises(InvalidValueError, match="degree is -3"):
        spherical_harmonics(np.ones((4, 3)), degree=-3)
