"""HOSVD, reduced HOSVD and Tucker-ALS: error bounds, orthogonality, agreement, determinism."""

from __future__ import annotations

import numpy as np
import pytest
from decaying_tensors import assert_orthonormal, decaying, error
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sci.chebyshev import nodes, values_to_coefficients
from sci.errors import InvalidValueError, ShapeError
from sci.tensor import CP, Tucker, hooi, hosvd, rhosvd
from sci.tensor.formats.modes import unfold

METHODS = ["auto", "gram", "qr", "randomized"]


@given(
    st.lists(st.integers(2, 9), min_size=2, max_size=4),
    st.floats(0.0, 3.0),
    st.sampled_from([0.3, 1e-3, 1e-6]),
    st.sampled_from(METHODS),
    st.booleans(),
    st.sampled_from([float, complex]),
    st.integers(0, 10**6),
)
@settings(max_examples=120, deadline=None)
def test_the_tolerance_is_kept(
    shape: list[int], rate: float, tol: float, method: str, sequential: bool, dtype: type, seed: int
) -> None:
    tensor = decaying(tuple(shape), rate, seed, dtype)
    result = hosvd(tensor, tol, method=method, sequential=sequential)  # type: ignore[arg-type]
    assert error(result, tensor) <= tol * (1 + 1e-6)
    assert_orthonormal(result)


@given(st.integers(0, 10**6), st.floats(0.5, 6.0), st.sampled_from([1e-9, 1e-12, 1e-13]))
@settings(max_examples=40, deadline=None)
def test_small_tolerances_are_kept_by_the_automatic_choice(seed: int, rate: float, tol: float) -> None:
    tensor = decaying((8, 7, 9), rate, seed)
    result = hosvd(tensor, tol)
    assert error(result, tensor) <= 1.01 * tol + 2e-15
    best = [
        int((np.linalg.svd(unfold(tensor, a), compute_uv=False) > tol * np.linalg.norm(tensor)).sum())
        for a in (0, 1, 2)
    ]
    assert all(r <= b + 2 for r, b in zip(result.tucker_ranks, best))


def test_error_is_the_root_of_the_dropped_tails() -> None:
    tensor = decaying((10, 11, 12), 0.4, 5)
    ranks = (4, 5, 6)
    tails = sum((np.linalg.svd(unfold(tensor, axis), compute_uv=False)[r:] ** 2).sum() for axis, r in enumerate(ranks))
    for sequential in (True, False):
        result = hosvd(tensor, None, ranks, sequential=sequential)
        assert result.tucker_ranks == ranks
        assert np.linalg.norm(result.to_dense() - tensor) ** 2 <= tails * (1 + 1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_methods_agree(method: str) -> None:
    tensor = decaying((70, 12, 90), 0.8, 1)
    reference = hosvd(tensor, 1e-4, method="qr")
    result = hosvd(tensor, 1e-4, method=method)  # type: ignore[arg-type]
    assert result.tucker_ranks == reference.tucker_ranks
    assert_allclose(result.to_dense(), reference.to_dense(), atol=1e-6 * np.abs(tensor).max())
    for mine, theirs in zip(result.factors, reference.factors):
        assert_allclose(mine[:, :5], theirs[:, :5], atol=1e-7)  # the sign convention


def test_randomized_range_finder_is_used_and_repeats() -> None:
    tensor = decaying((120, 110, 100), 1.5, 2)
    first, second = (hosvd(tensor, 1e-9, method="randomized", seed=4) for _ in range(2))
    assert np.array_equal(first.core, second.core)
    assert first.tucker_ranks == hosvd(tensor, 1e-9, method="qr").tucker_ranks
    assert error(first, tensor) <= 1e-9
    bounded = hosvd(tensor, None, (3, 4, 5), method="randomized")
    assert error(bounded, tensor) <= 1.01 * error(hosvd(tensor, None, (3, 4, 5)), tensor)


def test_exact_ranks_are_found() -> None:
    rng = np.random.default_rng(7)
    exact = Tucker(rng.normal(size=(2, 3, 4)), tuple(rng.normal(size=(n, r)) for n, r in zip((9, 10, 11), (2, 3, 4))))
    assert hosvd(exact.to_dense(), 1e-12).tucker_ranks == (2, 3, 4)
    assert hosvd(exact.to_dense(), 1e-6).tucker_ranks == (2, 3, 4)
    assert hosvd(np.zeros((3, 4, 5)), 1e-3).tucker_ranks == (1, 1, 1)
    assert hosvd(np.ones((3, 4)), 1e-12).tucker_ranks == (1, 1)


def test_symmetric_tensors_keep_equal_ranks_in_the_classical_form() -> None:
    x = nodes(64)
    tensor = np.tanh(5.0 * (x[:, None, None] + x[None, :, None] + x[None, None, :]))
    for axis in range(3):
        tensor = values_to_coefficients(tensor, axis)
    assert hosvd(tensor, 1e-7, sequential=False).tucker_ranks == (39, 39, 39)
    assert max(hosvd(tensor, 1e-7).tucker_ranks) == 39


def test_single_precision_keeps_a_tolerance_it_can_reach() -> None:
    tensor = decaying((20, 21, 22), 0.9, 3).astype(np.float32)
    result = hosvd(tensor, 1e-4)
    assert result.dtype == np.float32
    assert error(result, tensor) <= 1.01e-4


def cancelling(seed: int, size: float) -> CP:
    """Terms much larger than their sum: pairs that agree up to 1 / size."""
    rng = np.random.default_rng(seed)
    factors = [rng.normal(size=(12, 6)) for _ in range(3)]
    near = [f + rng.normal(size=f.shape) / size for f in factors]
    weights = rng.normal(size=6)
    both = tuple(np.concatenate([f, g], axis=1) for f, g in zip(factors, near))
    return CP(np.concatenate([weights, -weights]), both)


@given(st.integers(0, 10**6), st.sampled_from([1.0, 1e3]), st.sampled_from([0.1, 1e-3, 1e-6, 1e-9]))
@settings(max_examples=60, deadline=None)
def test_reduced_hosvd_keeps_the_tolerance_where_terms_cancel(seed: int, size: float, tol: float) -> None:
    cp = cancelling(seed, size)
    dense = cp.to_dense()
    result = rhosvd(cp, tol)
    assert error(result, dense) <= tol
    assert_orthonormal(result)


@pytest.mark.parametrize("tol", [1e-3, 1e-7, 1e-10])
def test_reduced_hosvd_finds_the_ranks_of_the_full_one(tol: float) -> None:
    rng = np.random.default_rng(11)
    x = np.linspace(-1.0, 1.0, 40)
    factors = tuple(np.exp(-((x[:, None] - rng.uniform(-1, 1, 150)) ** 2) * 4.0) for _ in range(3))
    cp = CP(rng.normal(size=150) * 10.0 ** rng.uniform(-6, 0, 150), factors)
    dense = cp.to_dense()
    result, full = rhosvd(cp, tol), hosvd(dense, tol)
    assert error(result, dense) <= tol
    assert all(r <= s + 1 for r, s in zip(result.tucker_ranks, full.tucker_ranks))


def test_weights_of_the_columns_matter() -> None:
    # A term of weight 1e-12 must not raise the ranks, whatever the length of its vectors.
    rng = np.random.default_rng(0)
    big, small = (CP(np.ones(1), tuple(rng.normal(size=(8, 1)) for _ in range(3))) for _ in range(2))
    both = CP(
        np.array([1.0, 1e-15]), tuple(np.concatenate([f, 10.0 * g], axis=1) for f, g in zip(big.factors, small.factors))
    )
    assert rhosvd(both, 1e-8).tucker_ranks == (1, 1, 1)
    assert rhosvd(both, None, (1, 1, 1)).tucker_ranks == (1, 1, 1)


def test_reduced_hosvd_of_nothing() -> None:
    zero = CP(np.zeros(2), tuple(np.ones((4, 2)) for _ in range(3)))
    assert rhosvd(zero, 1e-6).norm() == 0.0
    pair = CP(np.array([1.0, -1.0]), tuple(np.ones((4, 2)) for _ in range(3)))
    assert rhosvd(pair, 1e-6).norm() <= 1e-14


def test_bad_arguments_are_refused() -> None:
    tensor = np.ones((3, 4, 5))
    with pytest.raises(InvalidValueError, match="at least one"):
        hosvd(tensor)
    with pytest.raises(InvalidValueError, match="tol is -1"):
        hosvd(tensor, -1.0)
    with pytest.raises(InvalidValueError, match="cannot reach"):
        hosvd(tensor, 1e-10, method="gram")
    with pytest.raises(InvalidValueError, match="method"):
        hosvd(tensor, 1e-3, method="svd")  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="positive integers"):
        hosvd(tensor, None, (1, 0, 2))
    with pytest.raises(InvalidValueError, match="3 positive integers"):
        hosvd(tensor, None, (1, 2))
    with pytest.raises(ShapeError, match="at least 2 axes"):
        hosvd(np.ones(3), 0.1)
    with pytest.raises(InvalidValueError, match="NaN"):
        hosvd(np.full((2, 2), np.nan), 0.1)
    with pytest.raises(ShapeError, match="that of the tensor"):
        hooi(tensor, hosvd(np.ones((3, 4, 6)), 0.1))
    with pytest.raises(InvalidValueError, match="n_sweeps"):
        hooi(tensor, (1, 1, 1), n_sweeps=-1)
