"""Fields without loss."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression.coding.bytes import ByteReader
from sci.compression.fields.codecs.lossless import decode_constant, decode_lossless, pack_constant, pack_lossless
from sci.compression.fields.header import Header
from sci.errors import FileFormatError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_bit_comes_back(dtype):
    field = (np.random.default_rng(1).normal(size=(5, 6)) * 1e-30).astype(dtype)
    header = Header(field.shape, dtype, "lossless")
    assert decode_lossless(ByteReader(pack_lossless(field)), header).tobytes() == field.tobytes()
    whole = decode_constant(ByteReader(pack_constant(field)), header)
    np.testing.assert_array_equal(whole, np.full_like(field, field[0, 0]))


def test_other_bytes_are_an_error():
    packed = pack_lossless(np.arange(30.0))
    header = Header((30,), "float64", "lossless")
    for bad in (packed[:-4], b"", b"\xff" * 20, packed[:5] + b"\x55\x55" + packed[7:]):
        with pytest.raises(FileFormatError):
            decode_lossless(ByteReader(bad), header)
    with pytest.raises(FileFormatError, match="bytes for a field"):
        decode_lossless(ByteReader(packed), Header((2**50,), "float64", "lossless"))
