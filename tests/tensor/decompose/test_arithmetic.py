"""Sums, truncation and conversion of Tucker tensors keep their tolerance."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.tensor import Tucker
from sci.tensor.decompose import arithmetic
from sci.tensor.formats import cp as cp


def random_tucker(shape: tuple[int, ...], ranks: tuple[int, ...], seed: int = 0) -> Tucker:
    rng = np.random.default_rng(seed)
    return Tucker(rng.normal(size=ranks), tuple(rng.normal(size=(n, r)) for n, r in zip(shape, ranks)))


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
