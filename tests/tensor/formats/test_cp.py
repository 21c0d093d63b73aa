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


def random_tucker(shape: tuple[int, ...], ranks: tuple[int, ...], seed: int = 0) -> Tucker:
    rng = np.random.default_rng(seed)
    return Tucker(rng.normal(size=ranks), tuple(rng.normal(size=(n, r)) for n, r in zip(shape, ranks)))


def random_cp(shape: tuple[int, ...], terms: int, seed: int = 0) -> CP:
    rng = np.random.default_rng(seed)
    return CP(rng.normal(size=terms), tuple(rng.normal(size=(n, terms)) for n in shape))


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
