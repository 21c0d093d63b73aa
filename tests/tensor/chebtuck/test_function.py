"""The Chebyshev-Tucker class: evaluation, calculus, arithmetic and conversions, against exact functions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from smooth_functions import BOX, inside, random_function, smooth

from sci import chebyshev
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.tensor import ChebTuck


@pytest.fixture(scope="module")
def f() -> ChebTuck:
    return ChebTuck.from_function(smooth, BOX, 1e-12)


def test_integral_of_a_known_function() -> None:
    g = ChebTuck.from_function(lambda x, y, z: np.exp(x + 2.0 * y) * np.sin(z) ** 2, BOX, 1e-13)
    along_x = np.exp(2.0) - np.exp(-1.0)
    along_y = 0.5 * (np.exp(3.0) - np.exp(1.0))
    along_z = 0.5 * (2.0 - 0.5 * (np.sin(-2.0) - np.sin(-6.0)))
    assert_allclose(g.integral(), along_x * along_y * along_z, rtol=1e-12)
    assert g.tucker_ranks == (1, 1, 1)


def test_inner_product_and_norm_agree_with_gauss_quadrature() -> None:
    a, b = random_function((5, 3, 4), (2, 3, 2), 0), random_function((2, 6, 3), (3, 2, 2), 1)
    u, w = np.polynomial.legendre.leggauss(12)
    axes = [0.5 * (high + low) + 0.5 * (high - low) * u for low, high in BOX]
    weights = np.einsum("i,j,k->ijk", w, w, w) * np.prod([0.5 * (high - low) for low, high in BOX])
    values_a, values_b = a.on_grid(*axes), b.on_grid(*axes)
    assert_allclose(a.inner(b), (weights * values_a * values_b).sum(), rtol=1e-11)
    assert_allclose(a.norm(), np.sqrt((weights * values_a**2).sum()), rtol=1e-12)
    assert_allclose(a.integral(), (weights * values_a).sum(), rtol=1e-11)


@given(st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_arithmetic_is_pointwise(seed: int) -> None:
    a, b = random_function((5, 3, 4), (2, 3, 2), seed), random_function((2, 6, 3), (3, 2, 2), seed + 1)
    points = inside(20, seed)
    scale = np.abs(a(points)).max() + np.abs(b(points)).max()
    assert_allclose((a + b)(points), a(points) + b(points), atol=1e-11 * scale)
    assert_allclose((a - b)(points), a(points) - b(points), atol=1e-11 * scale)
    assert_allclose((-a)(points), -a(points))
    assert_allclose((2.0 * a)(points), (a * 2.0)(points))
    assert_allclose((np.float64(2.0) * a / 4.0)(points), 0.5 * a(points))
    assert (a + b).degree == (5, 6, 4)
    product = a.multiply(b, 1e-13)
    assert product.degree == (7, 9, 7)
    assert_allclose(product(points), a(points) * b(points), atol=1e-10 * scale**2)
    assert_allclose(product.integral(), a.inner(b), atol=1e-10 * a.norm() * b.norm())


def test_products_through_ranks_and_through_values_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    from sci.tensor.decompose import arithmetic

    a, b = random_function((30, 31, 32), (1, 2, 2), 3), random_function((29, 30, 28), (2, 1, 2), 4)
    by_ranks = a.multiply(b, 1e-12)
    assert all(r <= s * t for r, s, t in zip(by_ranks.tucker_ranks, a.tucker_ranks, b.tucker_ranks))
    c, d = random_function((3, 3, 3), (4, 4, 4), 5), random_function((2, 2, 2), (3, 3, 3), 6)
    points = inside(30)
    assert_allclose(by_ranks(points), a(points) * b(points), rtol=1e-8, atol=1e-8)
    assert_allclose(c.multiply(d, 1e-13)(points), c(points) * d(points), rtol=1e-9, atol=1e-9)
    monkeypatch.setattr(arithmetic, "PRODUCT_ENTRIES", 10)
    with pytest.raises(InvalidValueError, match="truncate both first"):
        c.multiply(d, 1e-13)


def test_truncation_keeps_its_tolerance(f: ChebTuck) -> None:
    total = f.coefficients.norm()
    for tol in (1e-2, 1e-5, 1e-9):
        short = f.truncate(tol)
        assert np.linalg.norm(short.coefficients.to_dense() - f.coefficients.to_dense()) <= tol * total
        assert all(r <= s for r, s in zip(short.tucker_ranks, f.tucker_ranks))
    assert f.truncate(1e-2).nbytes < f.nbytes
    difference = f.add(-f.truncate(1e-5), 1e-3)
    assert 0.0 < difference.norm() < 1e-4 * f.norm()
    assert (f - f).norm() == 0.0


def test_grid_tucker_and_cp_hold_the_same_function(f: ChebTuck) -> None:
    x, y, z = (np.linspace(a, b, n) for (a, b), n in zip(BOX, (20, 21, 22)))
    grid = f.to_tucker(x, y, z)
    assert_allclose(grid.to_dense(), f.on_grid(x, y, z), atol=1e-13)
    assert grid.tucker_ranks == f.tucker_ranks
    for factor in grid.factors:
        assert_allclose(factor.T @ factor, np.eye(factor.shape[1]), atol=1e-13)
    cp = f.to_cp(1e-10)
    again = ChebTuck.from_cp_coefficients(cp, BOX, 1e-10)
    points = inside(100)
    assert_allclose(again(points), f(points), atol=1e-8)
    low, middle, _ = sorted(f.tucker_ranks)
    assert cp.cp_rank <= low * middle


def test_lists_and_boxes_as_arrays_are_taken(f: ChebTuck) -> None:
    again = ChebTuck(f.core.tolist(), [v.tolist() for v in f.factors], np.array(BOX))  # type: ignore[arg-type]
    assert again.domain == BOX
    point = [[0.0, 1.0, -2.0]]
    assert_allclose(again(point), f(np.array(point)))  # type: ignore[arg-type]
    single = ChebTuck(f.core.astype(np.float32), tuple(v.astype(np.float32) for v in f.factors), BOX)
    assert single.dtype == np.float32
    assert_allclose(single(np.array(point)), f(np.array(point)), rtol=1e-5)


def test_misuse_is_refused(f: ChebTuck) -> None:
    other = ChebTuck(f.core, f.factors, ((-1.0, 1.0),) * 3)
    with pytest.raises(InvalidValueError, match="domains"):
        f + other
    with pytest.raises(InvalidValueError, match="domains"):
        f.inner(other)
    with pytest.raises(DTypeError, match=r"domain is .*; expected"):
        ChebTuck(f.core, f.factors, ((0.0, 1.0), (0.0, 1.0)))  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match=r"domain\[1\]"):
        ChebTuck(f.core, f.factors, ((0.0, 1.0), (1.0, 0.0), (0.0, 1.0)))
    with pytest.raises(DTypeError, match="real"):
        ChebTuck(f.core * 1j, f.factors, BOX)
    with pytest.raises(ShapeError, match="three axes"):
        ChebTuck(np.ones((1, 1)), (np.ones((2, 1)), np.ones((2, 1))), BOX)
    with pytest.raises(InvalidValueError, match="axis"):
        f.derivative(3)
    with pytest.raises(TypeError):
        f * f  # type: ignore[operator]
    with pytest.raises(ShapeError, match="out has shape"):
        f.on_grid(np.zeros(2), np.ones(2), np.full(2, -2.0), out=np.empty((2, 2, 3)))
    with pytest.raises(ShapeError, match="C-contiguous"):
        f.on_grid(np.zeros(2), np.ones(2), np.full(2, -2.0), out=np.empty((2, 2, 2)).transpose())


def test_exact_polynomials_need_no_more_than_their_degree() -> None:
    x, y, z = (chebyshev.nodes(d, interval) for d, interval in zip((3, 2, 1), BOX))
    values = x[:, None, None] ** 3 * y[None, :, None] ** 2 + z[None, None, :]
    g = ChebTuck.from_values(values, BOX, 1e-13)
    assert g.tucker_ranks == (2, 2, 2)
    points = inside(50)
    assert_allclose(g(points), points[:, 0] ** 3 * points[:, 1] ** 2 + points[:, 2], atol=1e-12)
    again = ChebTuck.from_coefficients(g.coefficients.to_dense(), BOX)
    assert_allclose(again(points), g(points), atol=1e-12)
