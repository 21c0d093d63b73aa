"""Sums and means over one axis, several or all."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import real

import sci.nn as P
from sci.errors import InvalidValueError, ShapeError


@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), np.int64(1), (np.int64(0), -1)], ids=str)
@pytest.mark.parametrize("keepdims", [False, True])
def test_values_are_those_of_numpy(axis, keepdims):
    x = real(2, 3, 4)
    for op, function in ((P.sum, np.sum), (P.mean, np.mean)):
        out, residuals = op.forward(x, axis=axis, keepdims=keepdims)
        np.testing.assert_array_equal(out, function(x, axis=axis, keepdims=keepdims))
        gradient = op.vjp(np.ones_like(out), residuals)[0]
        np.testing.assert_allclose(gradient, 1.0 if op is P.sum else out.size / x.size)


def test_axes_and_empty_means_are_refused_in_our_words():
    for axis in (3, -4, (0, 5)):
        with pytest.raises(InvalidValueError, match="of an array of 3 axes; expected -3 to 2"):
            P.sum(real(2, 3, 4), axis=axis)
    with pytest.raises(InvalidValueError, match="twice"):
        P.mean(real(2, 3), axis=(0, -2))
    with pytest.raises(InvalidValueError, match="expected an integer"):
        P.mean(real(2, 3), axis=1.0)
    with pytest.raises(ShapeError, match="expected entries to average"):
        P.mean(np.empty((0, 3)), axis=0)
    assert P.mean(np.empty((0, 3)), axis=1).shape == (0,)
    assert P.sum(np.empty((0, 3))) == 0
