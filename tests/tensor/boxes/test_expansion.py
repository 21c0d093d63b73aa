"""Piecewise Chebyshev expansions: exact for polynomials of their degree, continuous where the function is."""

from __future__ import annotations

import numpy as np
import pytest
from box_systems import GRID, points_in_grid
from numpy.polynomial.chebyshev import chebval3d

import sci
from sci.tensor import ChebTuck
from sci.tensor.boxes.expansion import BOX_DEGREES, BoxExpansion
from sci.tensor.boxes.grid import Tiles


def evaluated(f: BoxExpansion, points: np.ndarray, columns: int, kernels: str) -> np.ndarray:
    out = np.full((len(points), columns), np.nan)
    with sci.options(kernels=kernels):
        f.evaluate_into(out, points, Tiles.of(points, GRID))
    return out


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("degree", BOX_DEGREES)
def test_a_polynomial_of_the_degree_is_exact_in_every_box(degree: int, kernels: str) -> None:
    """A random polynomial of degrees 3, 2 and 4 in the Tucker form, with its gradient."""
    x, y, z = points_in_grid(80).T
    rng = np.random.default_rng(4)
    core, factors = rng.normal(size=(2, 3, 2)), [rng.normal(size=(m, r)) for m, r in ((4, 2), (3, 3), (5, 2))]
    f = BoxExpansion.of_chebtuck(core, tuple(factors), GRID, degree)
    found = evaluated(f, points_in_grid(80), 4, kernels)
    low, high = np.array(GRID.domain).T
    u = [2 * (v - a) / (b - a) - 1 for v, a, b in zip((x, y, z), low, high)]
    coefficients = np.einsum("abc,ia,jb,kc->ijk", core, *factors)
    np.testing.assert_allclose(found[:, 0], chebval3d(*u, coefficients), atol=1e-11)
    whole = ChebTuck(core, tuple(factors), GRID.domain)
    np.testing.assert_allclose(found[:, 1:], whole.gradient(points_in_grid(80)), atol=1e-10)


def test_values_are_overwritten_not_added() -> None:
    f = BoxExpansion(np.ones([c * (BOX_DEGREES[0] + 1) for c in GRID.counts]), GRID)
    first, second = (evaluated(f, points_in_grid(20), 1, "compiled") for _ in range(2))
    assert np.array_equal(first, second)


def test_a_function_is_continuous_across_faces() -> None:
    """The point (-1, 2, 0.25) lies on a face; its box and the next agree to the error of the expansion."""
    f = ChebTuck.from_function(lambda x, y, z: np.exp(0.3 * x) * np.cos(y) / (3 + z), GRID.domain, 1e-12)
    boxed = BoxExpansion.of_chebtuck(f.core, f.factors, GRID, 17)
    point = np.array([[-1.0, 2.0, 0.25]])
    around = np.concatenate([point - 1e-9, point, point + 1e-9])
    values = evaluated(boxed, around, 1, "compiled")[:, 0]
    np.testing.assert_allclose(values, f(around), rtol=1e-11)


def test_repr_says_the_size() -> None:
    f = BoxExpansion(np.zeros([c * 6 for c in GRID.counts]), GRID)
    assert repr(f) == f"BoxExpansion(counts=(4, 3, 2), degree=5, {24 * 18 * 12 * 8} bytes)"
