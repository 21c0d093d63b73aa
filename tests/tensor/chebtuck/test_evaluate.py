"""Values, gradients and grids of Chebyshev-Tucker expansions against the function and NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.polynomial import chebyshev as oracle
from numpy.testing import assert_allclose
from smooth_functions import BOX, gradient_of_smooth, inside, random_function, smooth

from sci.errors import InvalidValueError, ShapeError
from sci.tensor import ChebTuck, evaluate_points_reference, gradient_points_reference
from sci.tensor.chebtuck import evaluate as evaluate_module


@pytest.fixture(scope="module")
def f() -> ChebTuck:
    return ChebTuck.from_function(smooth, BOX, 1e-12)


def test_points_and_grid_agree_with_the_function(f: ChebTuck) -> None:
    points = inside(500)
    exact = smooth(*points.T)
    assert np.abs(f(points) - exact).max() <= 1e-12 * np.abs(exact).max() * 2
    x, y, z = (np.linspace(a, b, n) for (a, b), n in zip(BOX, (7, 8, 9)))
    grid = f.on_grid(x, y, z)
    assert_allclose(grid, smooth(x[:, None, None], y[None, :, None], z[None, None, :]), atol=3e-12)
    out = np.empty((7, 8, 9))
    assert f.on_grid(x, y, z, out=out) is out
    assert_allclose(out, grid)


@given(st.tuples(*[st.integers(0, 6)] * 3), st.tuples(*[st.integers(1, 4)] * 3), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_values_agree_with_numpy(degree: tuple[int, int, int], ranks: tuple[int, int, int], seed: int) -> None:
    g = random_function(degree, ranks, seed)
    points = inside(9, seed)
    lower, upper = np.array(BOX).T
    unit = (2.0 * points - lower - upper) / (upper - lower)
    dense = g.coefficients.to_dense()
    assert_allclose(g(points), oracle.chebval3d(*unit.T, dense), rtol=1e-10, atol=1e-10)
    slopes = [
        oracle.chebval3d(*unit.T, oracle.chebder(dense, axis=axis)) * 2.0 / (upper - lower)[axis] for axis in range(3)
    ]
    assert_allclose(g.gradient(points), np.stack(slopes, axis=1), rtol=1e-9, atol=1e-8)
    assert g.degree == degree
    assert g.tucker_ranks == ranks


def test_gradient_and_derivatives_are_those_of_the_function(f: ChebTuck) -> None:
    points = inside(300)
    exact = gradient_of_smooth(*points.T)
    assert_allclose(f.gradient(points), exact, atol=2e-10)
    for axis in range(3):
        assert_allclose(f.derivative(axis)(points), f.gradient(points)[:, axis], atol=1e-12)
        step = 1e-4 * np.eye(3)[axis]
        middle = 0.9 * (points - np.mean(BOX, axis=1)) + np.mean(BOX, axis=1)
        assert_allclose((f(middle + step) - f(middle - step)) / 2e-4, f.gradient(middle)[:, axis], atol=1e-7)


def test_blocks_change_nothing(f: ChebTuck, monkeypatch: pytest.MonkeyPatch) -> None:
    points = inside(57)
    values = evaluate_points_reference(f.core, f.factors, f.domain, points)
    slopes = gradient_points_reference(f.core, f.factors, f.domain, points)
    monkeypatch.setattr(evaluate_module, "BLOCK_ENTRIES", 1)
    assert_allclose(evaluate_points_reference(f.core, f.factors, f.domain, points), values, rtol=1e-14)
    assert_allclose(gradient_points_reference(f.core, f.factors, f.domain, points), slopes, atol=1e-13)
    assert f(np.empty((0, 3))).shape == (0,)
    assert f.gradient(np.empty((0, 3))).shape == (0, 3)


def test_points_outside_are_refused_and_rounding_is_forgiven(f: ChebTuck) -> None:
    corner = np.array([[high for _, high in BOX]])
    assert_allclose(f(corner * (1 + 2e-16)), f(corner))
    with pytest.raises(InvalidValueError, match=r"1 of 2 coordinates along axis 1 lie outside .* index 1"):
        f(np.array([[0.0, 1.0, -2.0], [0.0, 1.6, -2.0]]))
    with pytest.raises(InvalidValueError, match="outside"):
        f.gradient(np.array([[2.0 + 1e-9, 1.0, -2.0]]))
    with pytest.raises(InvalidValueError, match="along axis 2"):
        f.on_grid(np.zeros(2), np.ones(2), np.zeros(2))
    with pytest.raises(InvalidValueError, match="NaN"):
        f(np.array([[np.nan, 1.0, -2.0]]))
    with pytest.raises(ShapeError, match="expected \\(n, 3\\)"):
        f(np.zeros(3))
