"""Tiles of softmax attention of any size against the dense sum, and keys beyond 2^31 elements."""

from __future__ import annotations

import mmap
import sys

import numpy as np
import pytest
from attention_oracle import attention_arrays, dense, dense_vjp, relative, seen_by

import sci
from sci.sequence import softmax_attention
from sci.sequence.tiles.attend import attend
from sci.sequence.tiles.seen import Seen


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (47, 3), (48, 64), (127, 8), (129, 16), (300, 33), (20, 300), (40, 576)])
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
    attend(np.ones((1, 3, d), np.float32), k, v, Seen.of(seven, seven, positions, np.zeros(1)), out, lse)
    np.testing.assert_array_equal(out[0], [np.arange(d)] * 3)
    np.testing.assert_array_equal(lse, 0)
