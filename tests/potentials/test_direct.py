"""The pairwise sum: against closed forms, mpmath and SciPy."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from systems import cloud, targets_in

from sci.errors import InvalidValueError, ShapeError
from sci.potentials import Coulomb, Particles, Yukawa, direct_sum

KERNELS = [Coulomb(), Yukawa(0.25)]


def test_two_charges_against_mpmath():
    pair = Particles([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]], [2.0, -0.5])
    mpmath.mp.dps = 30
    x = mpmath.mpf("0.25")
    exact = 2 / x - mpmath.mpf("0.5") / mpmath.sqrt((1 - x) ** 2 + 8)
    assert direct_sum(pair, [[0.25, 0.0, 0.0]])[0] == pytest.approx(float(exact), rel=1e-15)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_potential_against_scipy_distances(kernel):
    particles = cloud(137)
    points = targets_in(particles, 61)
    exact = kernel(cdist(points, particles.positions)) @ particles.charges
    np.testing.assert_allclose(direct_sum(particles, points, kernel=kernel), exact, rtol=2e-12, atol=1e-13)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_gradient_against_central_differences(kernel):
    particles = cloud(40)
    points = targets_in(particles, 20, near=0.0)
    _, gradient = direct_sum(particles, points, kernel=kernel, gradient=True)
    step = 1e-5
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        up, down = (direct_sum(particles, points + s * shift, kernel=kernel) for s in (1, -1))
        np.testing.assert_allclose(gradient[:, axis], (up - down) / (2 * step), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_a_charge_does_not_act_on_itself(kernel):
    particles = cloud(30)
    at_particles, slopes = direct_sum(particles, particles.positions, kernel=kernel, gradient=True)
    distance = cdist(particles.positions, particles.positions)
    np.fill_diagonal(distance, np.inf)
    np.testing.assert_allclose(at_particles, kernel(distance) @ particles.charges, rtol=1e-12, atol=1e-14)
    assert np.isfinite(slopes).all()


def test_a_target_next_to_a_charge_feels_it():
    one = Particles([[1.0, 1.0, 1.0]], [1.0])
    assert direct_sum(one, [[1.0, 1.0, 1.0 + 1e-6]])[0] == pytest.approx(1e6, rel=1e-9)


def test_no_targets():
    assert direct_sum(cloud(3), np.empty((0, 3))).shape == (0,)


def test_bad_targets_are_named():
    with pytest.raises(ShapeError, match=r"points has shape \(4, 2\)"):
        direct_sum(cloud(3), np.zeros((4, 2)))
    with pytest.raises(InvalidValueError, match=r"points holds 1 values .* index \(1, 2\)"):
        direct_sum(cloud(3), [[0.0, 0.0, 0.0], [0.0, 0.0, np.nan]])


def test_a_sum_that_overflows_is_an_error():
    huge = Particles([[0.0, 0.0, 0.0], [1e-3, 0.0, 0.0]], [1e306, 1.0])
    with pytest.raises(InvalidValueError, match="overflows float64"):
        direct_sum(huge, huge.positions)
