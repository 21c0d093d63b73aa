"""Damaged fields are an error, and never a crash, a loop or a huge array."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from smooth_fields import smooth_field

from sci.compression import compress
from sci.compression.fields.decode import decode_field, rescaled
from sci.compression.fields.header import METHODS, Header
from sci.errors import FileFormatError

FIELD = smooth_field((6, 7, 8))
MADE = [
    compress(FIELD, tol, bound=bound, methods=[method]).data
    for method in METHODS
    for bound, tol in (("l2", 0.03), ("maximum", 0.03))
]


@pytest.mark.parametrize("made", MADE, ids=range(len(MADE)))
@given(st.data())
@settings(max_examples=50, deadline=None)
def test_a_body_that_is_damaged_is_an_error_or_another_field(made, data):
    """The checksum is made anew, so that the damage is met by the decoder."""
    header, reader = Header.read(made)
    body = bytearray(reader.piece(reader.left))
    for _ in range(data.draw(st.integers(0, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    body = body[: data.draw(st.integers(0, len(body)) | st.just(len(body)))]
    with contextlib.suppress(FileFormatError):
        assert decode_field(header.pack(bytes(body))).shape == FIELD.shape


@given(st.binary(max_size=60))
def test_any_bytes_are_an_error(data):
    with pytest.raises(FileFormatError):
        decode_field(np.frombuffer(data, np.uint8))


def test_a_shape_of_others_is_an_error():
    header, reader = Header.read(MADE[0])
    body = reader.piece(reader.left)
    with pytest.raises(FileFormatError):
        decode_field(Header((3, 3, 3), *list(vars(header).values())[1:]).pack(body))


def test_the_exponent_is_put_back():
    assert rescaled(np.array([[0.0, -0.5]], np.float32), 3, np.dtype(np.float64))[0, 1] == -4.0
