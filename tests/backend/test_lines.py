"""Arrays that start where a line of the cache does."""

from __future__ import annotations

import numpy as np
import pytest

from sci.backend.lines import aligned, aligned_zeros


@pytest.mark.parametrize("dtype", [np.int8, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(), (7,), (3, 5, 1000)])
def test_they_start_at_a_line(dtype, shape):
    kept = [aligned(shape, np.ones(1, dtype)) for _ in range(3)] + [aligned_zeros(shape, dtype) for _ in range(3)]
    for found in kept:
        assert found.ctypes.data % 64 == 0
        assert (found.shape, found.dtype, found.flags.c_contiguous) == (shape, np.dtype(dtype), True)
    assert not kept[-1].any()
