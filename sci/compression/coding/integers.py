"""Arrays of integers to bytes that say how they were coded: by the range coder, or by LZMA where nothing compiles."""

from __future__ import annotations

import lzma

import numpy as np

from sci.compression.coding.bytes import ByteReader, damaged, foreign, varint
from sci.compression.coding.range_coder import coder_kernels, decode_streams, encode_streams
from sci.kernels import use_compiled

__all__ = ["pack_integers", "unpack_integers"]

STREAM = 1 << 20
"""Integers of a stream, about: streams are coded side by side."""

_EMPTY, _RANGE, _LZMA = range(3)
_WIDE = 4
_VERSION_AT, VERSION = 3, 0
"""The bit of the first byte where the version of the formats begins, and the one that this library writes and reads."""

_NARROW_LIMIT, _LIMIT = 1 << 30, 1 << 62
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 6}]
_MOST_FOR_A_BYTE = 400_000
"""Integers that a byte of the range coder can stand for: the probability of a zero is at most 1 - 2^-16."""


def pack_integers(q: np.ndarray) -> bytes:
    """Return the bytes of an array of integers, without its shape.

    Trailing planes of zeros along any axis are cut. Magnitudes lie below 2^62.
    """
    ends = _box(q)
    if not ends:
        return bytes([_EMPTY])
    inside = q[tuple(slice(end) for end in ends)]
    wide = int(max(inside.max(), -int(inside.min()))) >= _NARROW_LIMIT
    planes = np.ascontiguousarray(inside.reshape(_planes(inside.shape)), np.int64 if wide else np.int32)
    flags, box = VERSION << _VERSION_AT | _WIDE * wide, b"".join(map(varint, ends))
    if not use_compiled(coder_kernels(planes.dtype)[0], planes):
        data = _by_lzma(planes)
        return b"".join([bytes([flags | _LZMA]), box, varint(len(data)), data])
    streams = encode_streams(planes, _share(planes.shape))
    lengths = b"".join(varint(len(s)) for s in streams)
    return b"".join([bytes([flags | _RANGE]), box, lengths, *(s.tobytes() for s in streams)])


def unpack_integers(reader: ByteReader, shape: tuple[int, ...]) -> np.ndarray:
    """Return the int32 or int64 array of `shape` whose bytes `pack_integers` made.

    Raises
    ------
    FileFormatError
        If the bytes are damaged, and it shows.
    """
    flags = reader.byte()
    if flags >> _VERSION_AT != VERSION:
        raise foreign(
            f"integers in version {flags >> _VERSION_AT} of the format, of which this library reads {VERSION}"
        )
    if flags == _EMPTY:
        return np.zeros(shape, np.int32)
    if flags & ~_WIDE not in (_RANGE, _LZMA):
        raise damaged(f"its integers are coded in the unknown way {flags}")
    ends = tuple(reader.number() for _ in shape)
    if any(not 0 < end <= n for end, n in zip(ends, shape)):
        raise damaged(f"a box of {ends} integers in an array of {shape}")
    dtype, planes = np.dtype(np.int64 if flags & _WIDE else np.int32), _planes(ends)
    found = _read_range(reader, planes, dtype) if flags & ~_WIDE == _RANGE else _read_lzma(reader, planes, dtype)
    if ends == shape:
        return found.reshape(shape)
    out = np.zeros(shape, dtype)
    out[tuple(slice(end) for end in ends)] = found.reshape(ends)
    return out


def _box(q: np.ndarray) -> tuple[int, ...]:
    """Return the ends of the box, from 0, of all integers that are not zero; nothing without any."""
    ends, left = [], q
    for axis in range(q.ndim - 1, -1, -1):
        rows = left.reshape(int(np.prod(q.shape[:axis], dtype=np.int64)), q.shape[axis])
        used = np.flatnonzero(np.bitwise_or.reduce(rows, axis=0))
        if not used.size:
            return ()
        ends.append(int(used[-1]) + 1)
        left = np.bitwise_or.reduce(rows, axis=1)
    return tuple(reversed(ends))


def _planes(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return a shape as planes, rows and columns."""
    if len(shape) == 2:
        return (shape[0], 1, shape[1])  # rows as planes can be shared out
    rows, columns = (1, 1, *shape)[-2:]
    return int(np.prod(shape[:-2], dtype=np.int64)), rows, columns


def _share(shape: tuple[int, int, int]) -> int:
    """Return the planes of a stream."""
    return max(1, -(-STREAM // (shape[1] * shape[2])))


def _read_range(reader: ByteReader, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
    share = _share(shape)
    lengths = [reader.number() for _ in range(_counted(-(-shape[0] // share), reader))]
    if np.prod(shape, dtype=object) > _MOST_FOR_A_BYTE * (sum(lengths) + 64):
        raise damaged(f"{sum(lengths)} bytes for {' x '.join(map(str, shape))} integers")
    streams = [np.frombuffer(reader.piece(n), np.uint8) for n in lengths]
    q = np.empty(shape, dtype)
    if not decode_streams(streams, q, share):
        raise damaged("a stream holds what no coder writes")
    return q


def _counted(streams: int, reader: ByteReader) -> int:
    if streams > reader.left:
        raise damaged(f"{streams} streams in {reader.left} bytes")
    return streams


def _by_lzma(q: np.ndarray) -> bytes:
    """Return the bytes of integers, of as few bytes each as the largest takes, the low bytes of all first."""
    signed = ((q << 1) ^ (q >> (8 * q.itemsize - 1))).view(f"u{q.itemsize}").ravel()  # the sign in the lowest bit
    size = max(1, -(-int(signed.max()).bit_length() // 8))
    columns = signed.astype(f"<u{q.itemsize}").view(np.uint8).reshape(-1, q.itemsize)[:, :size]
    return bytes([size]) + lzma.compress(columns.T.tobytes(), lzma.FORMAT_RAW, filters=_FILTERS)


def _read_lzma(reader: ByteReader, shape: tuple[int, int, int], dtype: np.dtype) -> np.ndarray:
    data = reader.piece(reader.number())
    size, count = data[0] if data else 0, int(np.prod(shape, dtype=object))
    if not 0 < size <= dtype.itemsize:
        raise damaged(f"integers of {size} bytes")
    if count * size > 8000 * (len(data) + 64):  # LZMA makes at most one byte of 7,000
        raise damaged(f"{len(data)} bytes for {count} integers")
    try:
        raw = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=_FILTERS).decompress(data[1:], count * size)
    except lzma.LZMAError as error:
        raise damaged(str(error)) from error
    if len(raw) != count * size:
        raise damaged(f"{len(raw)} bytes where {count * size} are expected")
    columns = np.zeros((count, dtype.itemsize), np.uint8)
    columns[:, :size] = np.frombuffer(raw, np.uint8).reshape(size, count).T
    signed = columns.view(f"<u{dtype.itemsize}").astype(f"u{dtype.itemsize}").ravel()
    q = (signed >> 1).astype(dtype)
    return np.where(signed & 1, ~q, q).reshape(shape)
