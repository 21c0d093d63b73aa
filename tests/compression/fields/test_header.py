"""The header of a compressed field: there and back, and errors for other bytes."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression.fields.header import Header
from sci.errors import FileFormatError

HEADER = Header((300, 1, 7), "float64", "transform", True, True, (0, 2))


def test_a_header_comes_back():
    data = HEADER.pack(b"body")
    found, reader = Header.read(data)
    assert found == HEADER
    assert found.work_dtype == np.float64
    assert reader.piece(4) == b"body"
    assert reader.left == 0


@pytest.mark.parametrize("place", range(HEADER.pack(b"body").size))
def test_another_byte_is_an_error(place):
    data = HEADER.pack(b"body").copy()
    data[place] ^= 0x41
    with pytest.raises(FileFormatError, match="damaged"):
        Header.read(data)


def test_other_versions_and_methods_are_refused_by_their_number():
    for place, number, said in ((0, 9, "in version 9 of the format"), (1, 77, "by method 77")):
        data = HEADER.pack(b"body").copy()
        data[place] = number
        with pytest.raises(FileFormatError, match=said):
            Header.read(data)


def test_bytes_that_end_are_an_error():
    data = HEADER.pack(b"body")
    for size in range(data.size):
        with pytest.raises(FileFormatError):
            Header.read(data[:size])
