"""Products as ops: forces of an energy of invariants, derivatives along directions, broadcast factors, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from spherical_cases import rotations

from sci import spherical
from sci.errors import DTypeError, ShapeError
from sci.nn import (
    clebsch_gordan_product,
    directional_derivatives,
    gaunt_product,
    scale_degrees,
    spherical_harmonics,
    sum,
    value_and_gradients,
)

RNG = np.random.default_rng(5)


def energy(v, w):
    """An invariant of three bodies of a cloud: harmonics, their sum, a product with weights, its square."""
    density = sum(spherical_harmonics(v, degree=3, solid=True), axis=0, keepdims=True).reshape(16, 1)
    mixed = clebsch_gordan_product(density, density, w, degree=2)
    return (gaunt_product(mixed, mixed, degree=0)).sum()


def test_forces_of_an_energy_turn_with_the_cloud():
    v, w = RNG.normal(size=(7, 3)), RNG.normal(size=len(spherical.coupling_paths(3, 3, 2)))
    r = rotations(RNG, 1, False)[0]
    value, force = value_and_gradients(lambda v: energy(v, w), v)
    turned, turned_force = value_and_gradients(lambda v: energy(v, w), v @ r.T)
    assert float(turned) == pytest.approx(float(value), rel=1e-12)
    np.testing.assert_allclose(turned_force, force @ r.T, rtol=0, atol=1e-11 * np.abs(force).max())
    h = 1e-6 * RNG.normal(size=v.shape)
    slope = float(energy(v + h, w) - energy(v - h, w)) / 2
    assert slope == pytest.approx((force * h).sum(), rel=1e-7)


def test_the_gradient_of_a_force_by_weights_of_paths():
    v, w, d = RNG.normal(size=(5, 3)), RNG.normal(size=len(spherical.coupling_paths(3, 3, 2))), RNG.normal(size=(5, 3))
    slope = lambda w: directional_derivatives(lambda x: energy(x, w), v, d)[1]  # noqa: E731
    value, gradient = value_and_gradients(lambda w: slope(w).sum(), w)
    h = 1e-5 * RNG.normal(size=w.shape)
    assert float(slope(w + h) - slope(w - h)) / 2 == pytest.approx((gradient * h).sum(), rel=1e-6)
    assert float(value) == pytest.approx((value_and_gradients(lambda v: energy(v, w), v)[1] * d).sum(), rel=1e-11)


def test_values_are_those_of_the_room_of_the_sphere():
    x, y = RNG.normal(size=(2, 9, 3)), RNG.normal(size=(4, 1))
    np.testing.assert_array_equal(gaunt_product(x, y, degree=3), spherical.gaunt_product(x, y, 3))
    for parity in ("even", "odd"):
        np.testing.assert_array_equal(
            clebsch_gordan_product(x, y, degree=3, parity=parity),
            spherical.clebsch_gordan_product(x, y, 3, parity=parity),
        )


def test_weights_of_degrees_before_and_after_a_product_are_weights_of_its_paths():
    x, w = RNG.normal(size=(9, 2)), RNG.normal(size=3)
    after = scale_degrees(gaunt_product(scale_degrees(x, w), x, degree=2), w)
    paths = spherical.coupling_paths(2, 2, 2)
    ratios = [
        np.abs(spherical.gaunt_coefficients(*p)).max() / np.abs(spherical.clebsch_gordan(*p)).max() for p in paths
    ]
    weights = np.array([w[l1] * w[l3] * ratio for (l1, _, l3), ratio in zip(paths, ratios)])
    np.testing.assert_allclose(clebsch_gordan_product(x, x, weights, degree=2), after, rtol=0, atol=1e-13)


def test_refusals():
    with pytest.raises(DTypeError, match="expected one dtype"):
        scale_degrees(np.ones((4, 1)), np.ones(2, "f4"))
    with pytest.raises(ShapeError, match=r"expected \(2,\) or \(2, 1\)"):
        scale_degrees(np.ones((4, 1)), np.ones(3))
    with pytest.raises(ShapeError, match="no channels"):
        gaunt_product(np.ones(4), np.ones((4, 1)), degree=2)
    with pytest.raises(DTypeError, match="expected float32 or float64"):
        clebsch_gordan_product(np.ones((4, 1), int), np.ones((4, 1)), degree=2)
    with pytest.raises(ShapeError, match="1, 4, 9, 16"):
        gaunt_product(np.ones((5, 1)), np.ones((4, 1)), degree=2)
