"""Margins and joins."""

from __future__ import annotations

import numpy as np
from op_cases import real

import sci.nn as P


def test_axes_count_from_the_end_as_well():
    x = real(2, 3, 4)
    out, residuals = P.transpose.forward(x, axes=(-1, 0, 1))
    np.testing.assert_array_equal(out, x.transpose(2, 0, 1))
    np.testing.assert_array_equal(P.transpose.vjp(out, residuals)[0], x)
    joined, residuals = P.concatenate.forward(x, x, axis=np.int64(-2))
    assert joined.shape == (2, 6, 4)
    assert [g.shape for g in P.concatenate.vjp(joined, residuals)] == [x.shape, x.shape]


def test_pad_and_crop_undo_each_other():
    x, width = real(2, 3), ((1, 2), (0, 3))
    np.testing.assert_array_equal(P.crop(P.pad(x, width), width), x)
    np.testing.assert_array_equal(P.pad(x, pad_width=width), np.pad(x, width))
