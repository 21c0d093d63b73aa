"""Fields on other grids: exact for band-limited ones, derivatives, and splines that keep what splines keep."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp

from sci.operators.spectral.resample import cubic_resample, fourier_resample, resample


def waves(*grid):
    axes = np.meshgrid(*(np.arange(n) / n for n in grid), indexing="ij")
    return sum(np.cos(2 * np.pi * (k + 1) * x + k) for k, x in enumerate(axes))[None, None] + np.prod(
        [np.sin(2 * np.pi * x) for x in axes], axis=0
    )


@pytest.mark.parametrize(("grid", "other"), [((7,), (12,)), ((8, 9), (12, 7)), ((8, 7, 9), (7, 12, 10))])
def test_band_limited_fields_come_out_exactly(grid, other):
    for there, back in ((grid, other), (other, grid)):
        np.testing.assert_allclose(resample(waves(*there), back, "exact"), waves(*back), rtol=0, atol=1e-12)
        np.testing.assert_allclose(fourier_resample(waves(*there), grid=back), waves(*back), rtol=0, atol=1e-12)
    assert resample(waves(*grid), grid, "exact") is not None


@pytest.mark.parametrize(("grid", "other"), [((6,), (8,)), ((6,), (4,)), ((4, 5), (6, 3)), ((4, 3, 4), (5, 6, 2))])
def test_gradients(grid, other):
    x = np.random.default_rng(0).normal(size=(2, 2, *grid))
    for op in (fourier_resample, cubic_resample):
        assert_vjp(op, [x], grid=other)


def test_splines_have_the_ends_in_common():
    line = 2 + 3 * np.linspace(0, 1, 6)[None, None]
    fine = resample(line, (11,), "neuraloperator")
    np.testing.assert_allclose(fine, 2 + 3 * np.linspace(0, 1, 11)[None, None], rtol=1e-14)
    x = np.random.default_rng(1).normal(size=(1, 1, 5, 7))
    fine = cubic_resample(x, grid=(9, 13))
    np.testing.assert_allclose(fine[..., ::2, ::2], x, rtol=0, atol=1e-13)
    np.testing.assert_allclose(cubic_resample(np.ones((1, 1, 4, 4)), grid=(7, 3)), 1, rtol=1e-14)
    assert cubic_resample(x, grid=(1, 1)).shape == (1, 1, 1, 1)
