"""Exact tensor attention against the dense sum, and its scratch."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import tensor_arrays, tensor_dense

import sci
from sci.sequence import (
    tensor_attention,
)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("lengths", [(1, 1, 1), (5, 7, 9), (20, 130, 50), (3, 1, 200)])
def test_exact_is_the_dense_sum(lengths: tuple[int, int, int], kernels: str) -> None:
    *given, dout = tensor_arrays(lengths, 4, size=2.0)
    expected, gradients = tensor_dense(*given, 0.25, dout)
    with sci.options(kernels=kernels):
        out, residuals = tensor_attention.forward(*given)
        found = tensor_attention.vjp(dout, residuals)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-13)
    for one, want in zip(found, gradients):
        np.testing.assert_allclose(one, want, rtol=0, atol=1e-12 * max(1.0, np.abs(want).max()))


def test_scratch_is_a_tile_and_not_a_square() -> None:
    """Memory of the exact method grows with the length; n^2 weights of 8 bytes would be 128 MB."""
    import tracemalloc

    given = tensor_arrays((10, 4000, 4000), 2)[:5]
    tracemalloc.start()
    tensor_attention(*given)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16e6
