"""Tiles of softmax attention against the dense sum, and the join of partial results."""

from __future__ import annotations

import itertools
import mmap
import sys

import numpy as np
import pytest
from attention_oracle import attention_arrays, dense, dense_vjp, relative, seen_by
from hypothesis import given, settings
from hypothesis import strategies as st

import sci
from sci.sequence import (
    merge_attention,
    softmax_attention,
)
from sci.sequence.attention.tiles import KeyRange, attend


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (47, 3), (48, 64), (127, 8), (129, 16), (300, 33)])
def test_tiles_of_any_size_give_the_dense_sum(n: int, d: int, kernels: str) -> None:
    q, k, v, dout = attention_arrays(n, d=d)
    for causal in (False, True):
        seen = seen_by(n, causal, None)
        with sci.options(kernels=kernels):
            (out, lse), residuals = softmax_attention.forward(q, k, v, causal=causal)
            gradients = softmax_attention.vjp((dout, lse), residuals)
        expected = dense(q, k, v, d**-0.5, seen)
        assert relative(out, expected[0]) < 1e-13
        np.testing.assert_allclose(lse, expected[1], rtol=0, atol=1e-13)
        for found, want in zip(gradients, dense_vjp(q, k, v, d**-0.5, seen, dout, lse)):
            assert relative(found, want) < 1e-12


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


@pytest.mark.skipif(sys.platform != "linux", reason="needs memory without reserve")
def test_keys_beyond_2_to_31_elements() -> None:
    """The last keys lie beyond 2^31 elements, in memory that is not there; the tiles before them are skipped."""
    m, d = 2**25 + 5, 64

    def sparse(*shape: int, dtype: type) -> np.ndarray:
        n_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize
        try:
            memory = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000)
        except OSError as error:
            pytest.skip(f"no address space: {error}")
        return np.frombuffer(memory, dtype).reshape(shape)

    k, v, positions = sparse(1, m, d, dtype=np.float32), sparse(1, m, d, dtype=np.float32), sparse(m, dtype=np.int64)
    assert k.size > 2**31
    v[0, -1], positions[-1] = np.arange(d), 7
    out, lse = np.zeros((1, 3, d), np.float32), np.full((1, 3), -np.inf, np.float32)
    seven = np.full(3, 7)
    attend(np.ones((1, 3, d), np.float32), k, v, KeyRange(seven, seven), positions, out, lse)
    np.testing.assert_array_equal(out[0], [np.arange(d)] * 3)
    np.testing.assert_array_equal(lse, 0)
