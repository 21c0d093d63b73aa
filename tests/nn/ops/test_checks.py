"""What NumPy would refuse in its own words is refused in ours."""

from __future__ import annotations

import numpy as np
import pytest
from op_cases import real

import sci.nn as P
from sci.errors import DTypeError, InvalidValueError, ShapeError


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: P.einsum("ii->", real(3, 3)), InvalidValueError, "twice"),
        (lambda: P.einsum("ij,i->i", real(3, 3), real(3)), InvalidValueError, "in no other term"),
        (lambda: P.einsum("...i->i", real(3, 3)), InvalidValueError, "expected like"),
        (lambda: P.einsum("i,i", real(3), real(3)), InvalidValueError, "expected like"),
        (lambda: P.embedding(real(3, 2), np.array([3])), InvalidValueError, "from 3 to 3 in a table of 3"),
        (lambda: P.embedding(real(3, 2), np.array([-1])), InvalidValueError, "from -1"),
        (lambda: P.group_norm(real(2, 4, 3), real(4), real(4), groups=3), ShapeError, "4 channels in 3 groups"),
        (lambda: P.cross_entropy(real(2, 3), np.array([0, 3])), InvalidValueError, "outside of the 3 classes"),
        (lambda: P.cross_entropy(real(2, 3), np.array([0.0, 1])), DTypeError, "expected integers"),
        (lambda: P.cross_entropy(real(2, 3), np.array([0])), ShapeError, r"expected \(2,\)"),
        (lambda: P.concatenate(real(2), real(2).astype("f4"), axis=0), InvalidValueError, "one dtype"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: P.matmul(real(3), real(3, 4)), ShapeError, "a second axis of length 1"),
        (lambda: P.matmul(real(2, 3), real(4, 5)), ShapeError, r"\(\.\.\., n, k\) and"),
        (lambda: P.matmul(real(2, 2, 3), real(3, 3, 5)), ShapeError, "equal, or 1, along each axis"),
        (lambda: P.linear(real(2, 3), real(4, 5)), ShapeError, r"expected \(\.\.\., in\)"),
        (lambda: P.linear(real(2, 3), real(4, 3), real(3)), ShapeError, r"bias \(3,\); expected"),
        (lambda: P.pointwise_conv(real(2, 3, 4), real(4, 5)), ShapeError, r"expected \(batch, in, \*grid\)"),
        (lambda: P.einsum("bi,io->bo", real(2, 3), real(4, 5)), ShapeError, "one length for each index"),
        (lambda: P.einsum("bi,io->bo", real(2, 3), real(3, 5, 1)), ShapeError, "one length for each index"),
        (lambda: P.add(real(2), real(3)), ShapeError, r"add of shapes \(2,\) and \(3,\)"),
        (lambda: P.multiply(real(2, 3), real(2)), ShapeError, "multiply of shapes"),
        (lambda: P.channel_scale(real(2, 3, 4), real(4)), ShapeError, r"\(channel,\)"),
        (lambda: P.scale_shift(real(3), scale=real(2, 3), shift=0.0), ShapeError, "expected constants that fit"),
        (lambda: P.reshape(real(2, 3), shape=(4, 2)), ShapeError, "of product 6"),
        (lambda: P.reshape(real(2, 3), shape=(2.0, 3)), InvalidValueError, r"shape\[0\] is 2.0; expected an integer"),
        (lambda: P.transpose(real(2, 3), axes=(0,)), InvalidValueError, "each once"),
        (lambda: P.transpose(real(2, 3), axes=(0, 0)), InvalidValueError, "twice"),
        (lambda: P.concatenate(axis=0), InvalidValueError, "one dtype"),
        (lambda: P.concatenate(real(2, 3), real(2, 4), axis=0), ShapeError, "along the other axes"),
        (lambda: P.concatenate(real(2, 3), real(2, 3), axis=2), InvalidValueError, "axis 2 of an array of 2 axes"),
        (lambda: P.pad(real(2, 3), ((0, 1),)), InvalidValueError, "for each axis"),
        (lambda: P.pad(real(2), ((-1, 1),)), InvalidValueError, "of 0 or more"),
        (lambda: P.crop(real(5), ((3, 3),)), InvalidValueError, "at most its length"),
        (lambda: P.select(real(3), index=3), InvalidValueError, "index 3 is out of bounds"),
        (lambda: P.embedding(real(3, 2), np.array([0.5])), DTypeError, "expected integers"),
        (lambda: P.embedding(real(3), np.array([0])), ShapeError, r"expected \(n, width\)"),
        (lambda: P.softmax(real(3, 2), axis=2), InvalidValueError, "axis 2 of an array of 2 axes"),
        (lambda: P.softmax(np.empty((3, 0))), ShapeError, "one class or more"),
        (lambda: P.gather_tokens(real(3)), InvalidValueError, "gather_tokens: axis -2 of an array of 1 axes"),
        (lambda: P.log_softmax(real(3).astype("f2")), DTypeError, "expected float32 or float64"),
        (lambda: P.mean_squared_error(np.empty(0), np.empty(0)), ShapeError, "with entries"),
        (lambda: P.relative_l2(np.empty((0, 1, 4)), target=np.empty((0, 1, 4))), ShapeError, "with entries"),
    ],
)
def test_errors_of_numpy_are_ours(call, error, message):
    with pytest.raises(error, match=message):
        call()
