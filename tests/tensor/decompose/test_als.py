"""Tucker-ALS: never worse than its start, and exact where the tensor is."""

from __future__ import annotations

import numpy as np
import pytest
from decaying_tensors import assert_orthonormal, decaying, error
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sci.errors import InvalidValueError, ShapeError
from sci.tensor import CP, Tucker, cp_als, hooi, hosvd


@given(st.lists(st.integers(3, 8), min_size=3, max_size=4), st.integers(0, 10**6), st.sampled_from([float, complex]))
@settings(max_examples=40, deadline=None)
def test_als_is_never_worse_than_its_start(shape: list[int], seed: int, dtype: type) -> None:
    tensor = decaying(tuple(shape), 0.2, seed, dtype)
    ranks = [max(1, n // 2) for n in shape]
    start = hosvd(tensor, None, ranks)
    result = hooi(tensor, start)
    assert error(result, tensor) <= error(start, tensor) * (1 + 1e-10) + 1e-14
    assert_orthonormal(result)


def test_als_of_a_cp_tensor_equals_that_of_the_dense_one() -> None:
    rng = np.random.default_rng(9)
    cp = CP(rng.normal(size=30), tuple(rng.normal(size=(n, 30)) for n in (9, 8, 10)))
    dense = cp.to_dense()
    start = hosvd(dense, None, (3, 4, 5))
    from_terms, from_dense = hooi(cp, start, n_sweeps=20), hooi(dense, start, n_sweeps=20)
    assert_allclose(error(from_terms, dense), error(from_dense, dense), rtol=1e-9)
    assert error(from_dense, dense) < error(start, dense)
    assert hooi(cp, (3, 4, 5)).tucker_ranks == (3, 4, 5)
    assert_allclose(hooi(dense, start, n_sweeps=0).to_dense(), start.to_dense(), atol=1e-12)


def test_als_recovers_an_exact_tensor_from_a_poor_start() -> None:
    rng = np.random.default_rng(4)
    exact = Tucker(rng.normal(size=(2, 2, 2)), tuple(rng.normal(size=(8, 2)) for _ in range(3))).to_dense()
    start = Tucker(np.ones((2, 2, 2)), tuple(rng.normal(size=(8, 2)) for _ in range(3)))
    assert error(hooi(exact, start, n_sweeps=50), exact) < 1e-12


@pytest.mark.parametrize("shape", [(7, 5), (4, 5, 6), (3, 4, 2, 5)])
def test_cp_als_finds_a_tensor_of_few_terms(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(2)
    exact = CP(np.array([3.0, 1.0]), tuple(rng.normal(size=(n, 2)) for n in shape)).to_dense()
    found = cp_als(exact, 2)
    assert_allclose(found.to_dense(), exact, atol=1e-6 * np.abs(exact).max())
    assert found.weights[0] >= found.weights[1] > 0
    assert_allclose([np.linalg.norm(f, axis=0) for f in found.factors], 1)


@pytest.mark.parametrize("unit", [1e-170, 1e170])
def test_cp_als_does_not_depend_on_units(unit: float) -> None:
    rng = np.random.default_rng(2)
    exact = CP(np.array([3.0, 1.0]), tuple(rng.normal(size=(n, 2)) for n in (4, 5, 6))).to_dense()
    found = cp_als(exact * unit, 2)
    assert_allclose(found.to_dense() / unit, exact, atol=1e-6 * np.abs(exact).max())


def test_cp_als_of_a_matrix_is_the_truncated_decomposition() -> None:
    matrix = np.random.default_rng(3).normal(size=(6, 4))
    values = np.linalg.svd(matrix)[1]
    assert_allclose(np.linalg.norm(cp_als(matrix, 2).to_dense() - matrix), np.linalg.norm(values[2:]))
    assert_allclose(cp_als(matrix, 7).to_dense(), matrix, atol=1e-12)


def test_cp_als_of_zeros_is_zero_and_misfits_are_refused() -> None:
    assert not cp_als(np.zeros((2, 3, 4)), 2).to_dense().any()
    with pytest.raises(InvalidValueError, match="cp_rank=0"):
        cp_als(np.ones((2, 2)), 0)
    with pytest.raises(ShapeError, match="expected a real tensor"):
        cp_als(np.ones(3), 1)
    with pytest.raises(ShapeError, match="complex"):
        cp_als(np.ones((2, 2)) * 1j, 1)
