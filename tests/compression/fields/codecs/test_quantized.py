"""Quantized coefficients as bytes and back."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression.coding.bytes import ByteReader, floats
from sci.compression.fields.codecs.quantized import QuantizedArray, single
from sci.errors import FileFormatError


def test_what_is_packed_comes_back():
    values = np.random.default_rng(1).laplace(size=(6, 7))
    made = QuantizedArray.of(values, 0.1)
    found = QuantizedArray.read(ByteReader(made.pack()), (6, 7))
    np.testing.assert_array_equal(found.q, made.q)
    for dtype in (np.float32, np.float64):
        np.testing.assert_array_equal(found.values(np.dtype(dtype)), made.values(np.dtype(dtype)))
    assert found.step == single(0.1) != 0.1


def test_a_step_that_is_none_is_an_error():
    with pytest.raises(FileFormatError, match="step"):
        QuantizedArray.read(ByteReader(floats(-1.0, 1.0, 0.0) + b"\0"), (1,))
