"""Decode a compressed field."""

from __future__ import annotations

import numpy as np

from sci.compression.coding.bytes import ByteReader, damaged
from sci.compression.coding.integers import unpack_integers
from sci.compression.fields.codecs.interpolation import decode_interpolation
from sci.compression.fields.codecs.lossless import decode_constant, decode_lossless
from sci.compression.fields.codecs.transform import decode_transform
from sci.compression.fields.codecs.tucker import decode_tucker
from sci.compression.fields.codecs.wavelet import decode_wavelet
from sci.compression.fields.header import Header
from sci.compression.fields.rest import add_rest

__all__ = ["decode_field", "rescaled", "times_power"]

_DECODERS = {
    "tucker": decode_tucker,
    "transform": decode_transform,
    "wavelet": decode_wavelet,
    "interpolation": decode_interpolation,
}


def decode_field(data: np.ndarray) -> np.ndarray:
    """Return the field whose bytes these are.

    Raises
    ------
    FileFormatError
        If the bytes are damaged or cut off.
    """
    header, reader = Header.read(data)
    if header.method == "constant":
        return decode_constant(reader, header)
    if header.method == "lossless":
        return decode_lossless(reader, header)
    exponent = reader.number() - EXPONENT_SHIFT
    if abs(exponent) > EXPONENT_SHIFT:
        raise damaged(f"an exponent of {exponent}")
    with np.errstate(all="ignore"):
        found = _DECODERS[header.method](reader, header)
        if header.rest:
            add_rest(found, unpack_integers(reader, header.shape), reader.floats(1)[0])
        out = rescaled(found, exponent, np.dtype(header.dtype))
    _put_exceptions(out, reader)
    return out


EXPONENT_SHIFT = 1100
"""Added to the exponent of a field, so that it is no negative number."""


def rescaled(found: np.ndarray, exponent: int, dtype: np.dtype) -> np.ndarray:
    """Return numbers times 2^exponent in the dtype of the field."""
    wide = found.astype(np.result_type(found.dtype, dtype), copy=False)  # of which an exponent may need the range
    return np.asarray(times_power(wide, exponent), dtype)


def times_power(x: np.ndarray, exponent: int) -> np.ndarray:
    """Return numbers times 2^exponent: by one product where that power is a normal number."""
    if abs(exponent) < (126 if x.dtype == np.float32 else 1022):
        return np.asarray(x * x.dtype.type(2.0**exponent))
    return np.asarray(np.ldexp(x, exponent))


def _put_exceptions(out: np.ndarray, reader: ByteReader) -> None:
    """Put the values that are stored as they are into their places."""
    count = reader.number()
    if count == 0:
        return
    if count > out.size or count * out.itemsize > reader.left:
        raise damaged(f"{count} exceptions in {reader.left} bytes")
    places = np.cumsum(unpack_integers(reader, (count,)).astype(np.int64))
    if places.min() < 0 or places.max() >= out.size:
        raise damaged("an exception lies outside of the field")
    raw = reader.piece(count * out.itemsize)
    out.ravel()[places] = np.frombuffer(raw, out.dtype.newbyteorder("<")).astype(out.dtype)
