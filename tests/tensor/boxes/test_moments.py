"""Moments of weighted points over boxes, against their definition by NumPy, and merged boxes."""

from __future__ import annotations

import numpy as np
import pytest
from box_systems import GRID, points_in_grid
from numpy.polynomial.chebyshev import chebvander

import sci
from sci.tensor.boxes.expansion import BoxExpansion
from sci.tensor.boxes.grid import BoxGrid, Tiles, local_coordinates
from sci.tensor.boxes.moments import MOMENT_DEGREES, box_moments, merge_moments


def by_definition(points: np.ndarray, weights: np.ndarray, grid: BoxGrid, degree: int) -> np.ndarray:
    p = degree + 1
    cells, local = local_coordinates(points, grid)
    moments = np.zeros([n for c in grid.counts for n in (c, p)])
    for n in range(len(points)):
        x, y, z = (chebvander(u[n], degree).ravel() for u in local)
        moments[cells[0][n], :, cells[1][n], :, cells[2][n], :] += weights[n] * np.einsum("i,j,k", x, y, z)
    return moments.reshape([c * p for c in grid.counts])


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("degree", MOMENT_DEGREES)
def test_moments_are_those_of_the_definition(degree: int, kernels: str) -> None:
    points, weights = points_in_grid(60), np.random.default_rng(1).normal(size=60)
    with sci.options(kernels=kernels):
        found = box_moments(points, weights, GRID, degree)
    np.testing.assert_allclose(found, by_definition(points, weights, GRID, degree), atol=1e-12)


def test_moments_are_the_adjoint_of_evaluation() -> None:
    """sum_n w_n f(x_n) = sum of moments times coefficients, for any f on the boxes."""
    degree = MOMENT_DEGREES[0]
    points, rng = points_in_grid(200), np.random.default_rng(2)
    weights = rng.normal(size=200)
    f = BoxExpansion(rng.normal(size=[c * (degree + 1) for c in GRID.counts]), GRID)
    values = np.empty((200, 1))
    f.evaluate_into(values, points, Tiles.of(points, GRID))
    moments = box_moments(points, weights, GRID, degree)
    assert np.isclose(weights @ values[:, 0], (moments * f.coefficients).sum(), rtol=1e-12)


@pytest.mark.parametrize("counts", [(2, 1, 1), (1, 3, 2), (4, 3, 2)])
def test_merged_moments_are_those_of_the_coarser_grid(counts: tuple[int, int, int]) -> None:
    degree = MOMENT_DEGREES[0]
    points, weights = points_in_grid(150), np.random.default_rng(3).normal(size=150)
    merged = merge_moments(box_moments(points, weights, GRID, degree), GRID, counts)
    coarse = box_moments(points, weights, BoxGrid(GRID.domain, counts), degree)
    np.testing.assert_allclose(merged, coarse, atol=1e-11)


@pytest.mark.parametrize("kernels", ["reference", "compiled"])
def test_slabs_of_moments_are_those_of_the_whole_to_the_last_bit(kernels: str) -> None:
    points, weights, n, p = points_in_grid(60), np.random.default_rng(1).normal(size=60), GRID.counts[0], 8
    with sci.options(kernels=kernels):
        whole = box_moments(points, weights, GRID, p - 1)
        for cut in (0, 1, n):
            parts = [box_moments(points, weights, GRID, p - 1, s) for s in (slice(0, cut), slice(cut, n))]
            np.testing.assert_array_equal(np.concatenate(parts), whole)
