"""Prediction from coarser grids is exact on cubics, quantized within half a step, and the same integers everywhere."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.compression.transforms.interpolation import decode_levels, encode_levels, levels_of

SHAPES = ((1,), (2,), (9,), (5, 40), (40, 3), (17, 18, 33), (3, 2, 5, 17), (7, 9, 4, 6))


def _steps(shape: tuple[int, ...]) -> np.ndarray:
    return np.array([64, 51, 40, *[32] * 60][: levels_of(shape)], np.int64)


@pytest.mark.parametrize("scale", [300.0, 3e9])
@pytest.mark.parametrize("shape", SHAPES)
def test_integers_come_back_within_half_a_step(shape, scale):
    field = np.random.default_rng(1).normal(size=shape).cumsum(-1)
    q, x, top, square = encode_levels(field, scale, _steps(shape), 0.5)
    assert x.dtype == (np.int64 if scale > 1e6 else np.int32)
    miss = scale * field - x
    np.testing.assert_allclose([np.abs(miss).max(), np.square(miss).sum()], [top, square], rtol=1e-6)
    assert top <= 32
    np.testing.assert_array_equal(decode_levels(q, _steps(shape)), x)
    with sci.options(threads=3):
        np.testing.assert_array_equal(encode_levels(field, scale, _steps(shape), 0.5)[0], q)
        np.testing.assert_array_equal(decode_levels(q, _steps(shape)), x)
    with sci.options(kernels="reference"):
        np.testing.assert_array_equal(decode_levels(q, _steps(shape)), x)


def test_cubics_are_predicted():
    """Only the coarse grid, and the ends, whose neighbors lie on one side, take more than rounding."""
    t = np.linspace(-1.0, 1.0, 65)
    field = np.add.outer(t**3 - t, 0.5 * t**3) * 2000
    q = encode_levels(field, 1.0, np.ones(levels_of(field.shape), np.int64), 0.5)[0]
    fine = np.abs(q[34:63, 34:63])
    assert fine.max() <= 2 < np.abs(q[:9, :9]).max()


def test_a_call_before_lends_its_arrays():
    field = np.random.default_rng(2).normal(size=(9, 8))
    first = encode_levels(field, 100.0, _steps(field.shape), 0.5)
    again = encode_levels(field, 200.0, _steps(field.shape), 0.5, first[:2])
    assert again[0] is first[0]
    assert again[1] is first[1]
    np.testing.assert_array_equal(again[0], encode_levels(field, 200.0, _steps(field.shape), 0.5)[0])
