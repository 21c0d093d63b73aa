"""CP and Tucker tensors: identities against dense arrays, and what they refuse."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.tensor import CP, Tucker
from sci.tensor.decompose import arithmetic
from sci.tensor.formats import cp as cp
from sci.tensor.formats.modes import cheapest_order, khatri_rao, mode_product, normalize_signs


def random_tucker(shape: tuple[int, ...], ranks: tuple[int, ...], seed: int = 0) -> Tucker:
    rng = np.random.default_rng(seed)
    return Tucker(rng.normal(size=ranks), tuple(rng.normal(size=(n, r)) for n, r in zip(shape, ranks)))


def random_cp(shape: tuple[int, ...], terms: int, seed: int = 0) -> CP:
    rng = np.random.default_rng(seed)
    return CP(rng.normal(size=terms), tuple(rng.normal(size=(n, terms)) for n in shape))


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_mode_product_is_the_contraction_of_one_axis(axis: int) -> None:
    rng = np.random.default_rng(0)
    tensor, matrix = rng.normal(size=(3, 4, 5, 2)), rng.normal(size=(6, (3, 4, 5, 2)[axis]))
    expected = np.moveaxis(np.tensordot(matrix, tensor, axes=(1, axis)), 0, axis)
    result = mode_product(tensor, matrix, axis)
    assert_allclose(result, expected, atol=1e-14)
    assert result.flags.c_contiguous
    out = np.empty_like(result)
    assert mode_product(tensor, matrix, axis, out) is out
    assert_allclose(out, expected, atol=1e-14)


def test_cheapest_order_shrinks_first_and_grows_last() -> None:
    assert cheapest_order((100, 10, 10), (2, 10, 10))[0] == 0
    assert cheapest_order((5, 5, 5), (5, 100, 20))[-1] == 1
    assert sorted(cheapest_order((4,) * 8, (2,) * 8)) == list(range(8))


def test_khatri_rao_columns_are_kronecker_products() -> None:
    factors = random_cp((2, 3, 4), 5).factors
    product = khatri_rao(factors)
    for k in range(5):
        expected = np.kron(np.kron(factors[0][:, k], factors[1][:, k]), factors[2][:, k])
        assert_allclose(product[:, k], expected, atol=1e-15)


def test_signs_do_not_depend_on_the_sign_given() -> None:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(9, 6)) + 1j * rng.normal(size=(9, 6))
    phases = np.exp(1j * rng.uniform(0, 6, 6))
    assert_allclose(normalize_signs(vectors * phases), normalize_signs(vectors), atol=1e-14)
    odd = np.array([[-1.0], [0.2], [-0.2], [1.0 + 1e-16]])
    assert_allclose(normalize_signs(odd), normalize_signs(-odd))
    assert_allclose(normalize_signs(np.zeros((3, 1))), 0.0)


@given(st.integers(2, 4), st.integers(1, 4), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_cp_agrees_with_its_dense_tensor(ndim: int, terms: int, seed: int) -> None:
    shape = tuple(np.random.default_rng(seed).integers(1, 6, ndim))
    a, b = random_cp(shape, terms, seed), random_cp(shape, 3, seed + 1)
    dense = sum(w * functools.reduce(np.multiply.outer, [f[:, k] for f in a.factors]) for k, w in enumerate(a.weights))
    assert_allclose(a.to_dense(), dense, atol=1e-12)
    assert_allclose(a.norm(), np.linalg.norm(dense), atol=1e-7)
    assert_allclose(a.inner(b), (dense * b.to_dense()).sum(), atol=1e-10)
    assert a.shape == shape
    assert a.nbytes == a.weights.nbytes + sum(f.nbytes for f in a.factors)


def test_blocks_of_terms_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    a = random_cp((4, 5, 6), 11)
    dense, norm = a.to_dense(), a.norm()
    monkeypatch.setattr(cp, "BLOCK_ENTRIES", 70)
    assert_allclose(a.to_dense(), dense, atol=1e-13)
    assert_allclose(a.norm(), norm)


def test_complex_inner_product_is_conjugate_linear_in_the_first() -> None:
    a, b = random_cp((3, 4), 2), random_cp((3, 4), 2, 1)
    turned = CP(a.weights * 1j, a.factors)
    assert_allclose(turned.inner(b), -1j * a.inner(b))
    assert_allclose(b.inner(turned), 1j * b.inner(a))


@given(st.integers(2, 4), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_tucker_agrees_with_its_dense_tensor(ndim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, ranks = tuple(rng.integers(1, 6, ndim)), tuple(rng.integers(1, 7, ndim))
    a, b = random_tucker(shape, ranks, seed), random_tucker(shape, (2,) * ndim, seed + 1)
    dense = a.core
    for axis, factor in enumerate(a.factors):
        dense = np.moveaxis(np.tensordot(factor, dense, axes=(1, axis)), 0, axis)
    assert_allclose(a.to_dense(), dense, atol=1e-11)
    assert_allclose(a.norm(), np.linalg.norm(dense), rtol=1e-12)
    assert_allclose(a.inner(b), (dense * b.to_dense()).sum(), atol=1e-9)
    straight = a.orthogonalized()
    assert_allclose(straight.to_dense(), dense, atol=1e-11)
    for factor in straight.factors:
        assert_allclose(factor.T @ factor, np.eye(factor.shape[1]), atol=1e-13)


@given(st.integers(0, 10**6), st.sampled_from([1e-1, 1e-4, 1e-12]))
@settings(max_examples=25, deadline=None)
def test_sum_and_truncation_keep_their_tolerance(seed: int, tol: float) -> None:
    a, b = random_tucker((7, 6, 8), (3, 2, 4), seed), random_tucker((7, 6, 8), (2, 3, 2), seed + 1)
    exact = a.to_dense() + b.to_dense()
    total = arithmetic.add(a, b, tol)
    assert np.linalg.norm(total.to_dense() - exact) <= tol * np.linalg.norm(exact) * (1 + 1e-9) + 1e-13 * a.norm()
    assert all(r <= s + t for r, s, t in zip(total.tucker_ranks, a.tucker_ranks, b.tucker_ranks))
    assert arithmetic.add(a, a, 1e-12).tucker_ranks == a.tucker_ranks


def test_a_difference_that_cancels_is_zero_with_ranks_one() -> None:
    a = random_tucker((7, 6, 8), (3, 2, 4))
    nothing = arithmetic.add(a, Tucker(-a.core, a.factors), 1e-12)
    assert nothing.tucker_ranks == (1, 1, 1)
    assert nothing.norm() == 0.0


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1e-8, 0.2, 0.9]))
@settings(max_examples=25, deadline=None)
def test_conversion_to_cp_keeps_its_tolerance_and_its_bound_of_terms(seed: int, tol: float) -> None:
    ranks = tuple(np.random.default_rng(seed).integers(1, 5, 3))
    a = random_tucker((6, 7, 5), ranks, seed)
    result = arithmetic.to_cp(a, tol)
    low, middle, _ = sorted(ranks)
    assert result.cp_rank <= low * middle
    assert np.linalg.norm(result.to_dense() - a.to_dense()) <= (tol + 1e-13) * a.norm()
    assert (np.diff(result.weights) <= 0).all()


def test_misfits_are_refused() -> None:
    with pytest.raises(ShapeError, match="at least 2"):
        CP(np.ones(2), (np.ones((3, 2)),))
    with pytest.raises(ShapeError, match=r"factors\[1\] has shape \(3, 1\); expected \(n, 2\)"):
        CP(np.ones(2), (np.ones((3, 2)), np.ones((3, 1))))
    with pytest.raises(ShapeError, match=r"factors\[0\]"):
        Tucker(np.ones((2, 2)), (np.ones((3, 1)), np.ones((3, 2))))
    with pytest.raises(ShapeError, match="expected one an axis"):
        Tucker(np.ones((2, 2, 2)), (np.ones((3, 2)), np.ones((3, 2))))
    with pytest.raises(InvalidValueError, match="NaN"):
        Tucker(np.full((1, 1), np.nan), (np.ones((3, 1)), np.ones((3, 1))))
    with pytest.raises(DTypeError, match="weights"):
        CP(np.array(["a"]), (np.ones((3, 1)), np.ones((3, 1))))
    with pytest.raises(ShapeError, match="equal shapes"):
        random_tucker((3, 3), (1, 1)).inner(random_tucker((3, 4), (1, 1)))
    with pytest.raises(ShapeError, match="equal shapes"):
        random_cp((3, 3), 1).inner(random_cp((3, 4), 1))
    with pytest.raises(ShapeError, match="equal shapes"):
        arithmetic.add(random_tucker((3, 3), (1, 1)), random_tucker((3, 4), (1, 1)), 1e-3)
