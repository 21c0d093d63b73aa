"""Fields without loss: one value for all points, or their bytes by LZMA."""

from __future__ import annotations

import lzma

import numpy as np

from sci.compression.coding.bytes import ByteReader, damaged
from sci.compression.fields.header import Header

__all__ = ["decode_constant", "decode_lossless", "pack_constant", "pack_lossless"]

_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 1}]


def pack_constant(field: np.ndarray) -> bytes:
    """Return the bytes of the first value."""
    return _little(field.ravel()[:1]).tobytes()


def decode_constant(reader: ByteReader, header: Header) -> np.ndarray:
    """Return a field of one value."""
    dtype = np.dtype(header.dtype)
    return np.full(header.shape, np.frombuffer(reader.piece(dtype.itemsize), dtype.newbyteorder("<"))[0], dtype)


def pack_lossless(field: np.ndarray) -> bytes:
    """Return all values: bytes of the same place together, as signs and exponents are alike."""
    columns = _little(field).view(np.uint8).reshape(-1, field.itemsize)
    return lzma.compress(columns.T.tobytes(), lzma.FORMAT_RAW, filters=_FILTERS)


def decode_lossless(reader: ByteReader, header: Header) -> np.ndarray:
    """Return the field that was packed."""
    dtype, data = np.dtype(header.dtype), reader.piece(reader.left)
    size = int(np.prod(header.shape, dtype=object)) * dtype.itemsize
    if size > 8000 * (len(data) + 64):  # LZMA makes at most one byte of 7,000
        raise damaged(f"{len(data)} bytes for a field of {size}")
    try:
        raw = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS).decompress(data, size)
    except lzma.LZMAError as error:
        raise damaged(str(error)) from error
    if len(raw) != size:
        raise damaged(f"{len(raw)} bytes where {size} are expected")
    columns = np.frombuffer(raw, np.uint8).reshape(dtype.itemsize, -1).T
    found = np.ascontiguousarray(columns).view(dtype.newbyteorder("<")).astype(dtype)
    return found.reshape(header.shape)


def _little(field: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(field, field.dtype.newbyteorder("<")).ravel()
