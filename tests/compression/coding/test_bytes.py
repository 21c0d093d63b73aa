"""Numbers as bytes: there and back, and errors where bytes end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sci.compression.coding.bytes import ByteReader, damaged, floats, varint
from sci.errors import FileFormatError


@given(st.lists(st.integers(0, 2**63 - 1)))
def test_integers_come_back(numbers):
    reader = ByteReader(b"".join(map(varint, numbers)))
    assert [reader.number() for _ in numbers] == numbers
    assert reader.left == 0


def test_floats_come_back_in_single_precision():
    reader = ByteReader(floats(0.5, -3.25) + b"x")
    assert reader.floats(2) == (0.5, -3.25)
    assert reader.byte() == ord("x")


def test_bytes_that_end_are_an_error():
    with pytest.raises(FileFormatError, match="3 bytes are expected where 2 are left"):
        ByteReader(b"ab").piece(3)
    with pytest.raises(FileFormatError, match="damaged or cut off"):
        ByteReader(b"\x80\x80").number()
    with pytest.raises(FileFormatError, match="63 bits"):
        ByteReader(b"\xff" * 12).number()
    with pytest.raises(FileFormatError, match="not finite"):
        ByteReader(floats(float("nan"))).floats(1)
    assert "expected the bytes that compress made" in str(damaged("a"))
