"""Both ways of taking rows, and the kernels against plain products."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.nn.grids.correlate import Taps, Weights, correlate, weight_sums
from sci.nn.grids.padded import pad_grid

RNG = np.random.default_rng(5)


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize("out", [(1, 1, 1), (3, 4, 2), (2, 3, 64), (1, 9, 13), (6, 5, 7)])
def test_sums_at_any_offsets(kernels, out):
    lengths = tuple(m + 3 for m in out)
    x, weight, bias = RNG.normal(size=(2, 6, *lengths)), RNG.normal(size=(2, 5, 3, 4)), RNG.normal(size=10)
    cells = RNG.integers(0, 4, (4, 3))
    seen = np.stack([x[(..., *(slice(c, c + m) for c, m in zip(cell, out)))] for cell in cells])
    seen = seen.reshape(4, 2, 2, 3, *out)
    dout = RNG.normal(size=(2, 10, *out))
    with sci.options(kernels=kernels):
        padded = pad_grid(x, (0, 0, 0), lengths)
        offsets = padded.offsets(cells, np.zeros_like(cells))
        found = correlate(padded, Taps.of_one(offsets), Weights(weight, bias), out)[0][(..., *map(slice, out))]
        sums = weight_sums(padded, offsets, dout, 2)
    expected = np.einsum("goct,tbgcijk->bgoijk", weight, seen).reshape(2, 10, *out) + bias[:, None, None, None]
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose(sums, np.einsum("bgoijk,tbgcijk->goct", dout.reshape(2, 2, 5, *out), seen), atol=1e-12)
