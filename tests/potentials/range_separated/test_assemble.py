"""The long range: coefficients from moments against Gaussians summed one by one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from systems import cloud, relative

from sci import chebyshev
from sci.potentials import Coulomb, GaussianSum, gaussian_sum
from sci.potentials.range_separated.assemble import box_counts, box_reach, long_range_coefficients, octaves
from sci.tensor.boxes.grid import BoxGrid
from sci.tensor.boxes.moments import box_moments, merge_moments

DOMAIN = ((-1.0, 21.0), (-1.0, 15.0), (-1.0, 10.0))


def at_points(coefficients: np.ndarray, points: np.ndarray) -> np.ndarray:
    rows = [chebyshev.vandermonde(points[:, a], coefficients.shape[a] - 1, DOMAIN[a]) for a in range(3)]
    return np.einsum("ijk,ni,nj,nk->n", coefficients, *rows, optimize=True)


@pytest.mark.parametrize("eps", [1e-4, 1e-7, 1e-10])
@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.3])
def test_coefficients_hold_the_sum_of_gaussians(alpha, eps):
    particles = cloud(200)
    gaussians = gaussian_sum(Coulomb(), 1e-10, 40.0, alpha)
    coefficients = long_range_coefficients(particles.positions, particles.charges, gaussians, DOMAIN, eps)
    points = np.random.default_rng(3).uniform(*np.array(DOMAIN).T, size=(300, 3))
    exact = gaussians.of_square(cdist(points, particles.positions) ** 2) @ particles.charges
    assert relative(at_points(coefficients, points), exact) < 3 * eps


def test_one_gaussian_has_the_degree_of_its_width():
    particles = cloud(50)
    gaussians = GaussianSum(np.array([0.2]), np.array([1.0]))
    coefficients = long_range_coefficients(particles.positions, particles.charges, gaussians, DOMAIN, 1e-8)
    expected = tuple(chebyshev.gaussian_degree(0.2 * (b - a) / 2, 1e-8) + 1 for a, b in DOMAIN)
    assert coefficients.shape == expected


def test_the_result_is_linear_in_the_charges():
    particles = cloud(60)
    gaussians = gaussian_sum(Coulomb(), 1e-7, 40.0, 0.4)
    first = long_range_coefficients(particles.positions, particles.charges, gaussians, DOMAIN, 1e-7)
    twice = long_range_coefficients(particles.positions, -2 * particles.charges, gaussians, DOMAIN, 1e-7)
    np.testing.assert_allclose(twice, -2 * first, atol=1e-13 * np.abs(first).max())


@pytest.mark.parametrize("degree", [7, 15, 23])
def test_moments_are_the_adjoint_of_evaluation(degree):
    rng = np.random.default_rng(5)
    particles = cloud(90)
    grid = BoxGrid(DOMAIN, (3, 2, 1))
    moments = box_moments(particles.positions, particles.charges, grid, degree)
    coefficients = rng.normal(size=moments.shape)
    p, total = degree + 1, 0.0
    for position, charge in zip(particles.positions, particles.charges):
        vectors = []
        for axis, count in enumerate(grid.counts):
            low, high = DOMAIN[axis]
            place = (position[axis] - low) / (high - low) * count
            box = min(int(place), count - 1)
            vector = np.zeros(count * p)
            vector[box * p : (box + 1) * p] = np.polynomial.chebyshev.chebvander(2 * (place - box) - 1, degree)
            vectors.append(vector)
        total += charge * np.einsum("ijk,i,j,k->", coefficients, *vectors, optimize=True)
    assert (coefficients * moments).sum() == pytest.approx(total, rel=1e-11)


def test_merged_moments_are_those_of_the_coarse_grid():
    particles = cloud(90)
    fine, coarse = BoxGrid(DOMAIN, (6, 4, 2)), BoxGrid(DOMAIN, (2, 4, 1))
    merged = merge_moments(box_moments(particles.positions, particles.charges, fine, 15), fine, coarse.counts)
    np.testing.assert_allclose(merged, box_moments(particles.positions, particles.charges, coarse, 15), atol=1e-11)


def test_box_counts_divide_the_finer_ones():
    fine = box_counts(2.0, DOMAIN, 1.2, None)
    coarse = box_counts(0.7, DOMAIN, 1.2, fine)
    assert all(f % c == 0 for f, c in zip(fine, coarse))
    for counts, exponent in ((fine, 2.0), (coarse, 0.7)):
        assert all(exponent * (b - a) / 2 / n <= 1.2 for (a, b), n in zip(DOMAIN, counts))


def test_box_reach_is_the_widest_box_that_a_degree_resolves():
    for eps in (1e-4, 1e-8):
        degree = 15
        reach = box_reach(degree, eps)
        assert chebyshev.gaussian_degree(reach, eps) <= degree < chebyshev.gaussian_degree(1.01 * reach, eps)


def test_octaves_keep_every_exponent_once():
    exponents = np.array([0.0, 1e-9, 0.3, 0.4, 0.9, 1.0])
    groups = octaves(exponents)
    assert sorted(k for g in groups for k in g) == list(range(6))
    assert list(groups[0]) == [4, 5]
