"""The join of partial results, and array code for every rule of scores."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from attention_features import CASES, assert_close, found
from attention_oracle import attention_arrays, dense, seen_by
from hypothesis import given, settings
from hypothesis import strategies as st

import sci
from sci.sequence import merge_attention


@pytest.mark.parametrize("name", CASES)
def test_array_code_gives_the_dense_sum(name: str) -> None:
    with sci.options(kernels="reference"):
        for one in found(CASES[name]):
            assert_close(*one)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6), st.lists(st.integers(0, 11), max_size=4), st.sampled_from([1.0, 1e4]))
def test_merging_any_parts_gives_the_whole(seed: int, cuts: list[int], size: float) -> None:
    q, k, v = attention_arrays(11, count=3, seed=seed)
    whole = dense(q, k, v, size, seen_by(11, False, None))
    out, lse = np.zeros_like(q), np.full(q.shape[:2], -np.inf)
    bounds = [0, *sorted(cuts), 11]
    for a, b in itertools.pairwise(bounds):
        part = np.zeros_like(q), np.full(q.shape[:2], -np.inf)
        if b > a:
            part = dense(q, k[:, a:b], v[:, a:b], size, np.ones((11, b - a), bool))[:2]
        out, lse = merge_attention(out, lse, *part)
    np.testing.assert_allclose(out, whole[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(lse, whole[1], rtol=1e-13)


def test_merging_what_would_overflow() -> None:
    """exp(1e4) is not a number; neither is the difference of two empty parts."""
    one, two = np.ones((1, 4, 2)), np.full((1, 4, 2), 3.0)
    out, lse = merge_attention(one, np.array([[1e4, -1e4, -np.inf, -np.inf]]), two, np.array([[-1e4, 1e4, 5, -np.inf]]))
    np.testing.assert_array_equal(out[0, :3, 0], [1, 3, 3])
    np.testing.assert_array_equal(lse, [[1e4, 1e4, 5, -np.inf]])
    assert np.isfinite(out).all()
