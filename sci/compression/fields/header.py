"""The first bytes of a compressed field: version, method, dtype, shape and checksum."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from sci.compression.coding.bytes import ByteReader, damaged, foreign, varint

__all__ = ["DTYPES", "METHODS", "Header"]

Method: TypeAlias = Literal["tucker", "transform", "wavelet", "interpolation"]
"""Codecs of fields, of which the smallest result is kept."""

METHODS: tuple[str, ...] = get_args(Method)
STORED = ("constant", "lossless", *METHODS)
"""What a field may be stored by; the place is its number in files."""

DTYPES = ("float32", "float64")
VERSION = 1
_MOST_AXES = 4
_DOUBLE, _ACCURATE, _REST = 1, 2, 4


@dataclass(frozen=True)
class Header:
    """What a decoder must know before it reads the body.

    Parameters
    ----------
    shape : tuple of int
    dtype : str
        Of the field.
    method : str
        One of `STORED`.
    accurate : bool
        Whether the decoder computes in float64; else in float32.
    rest : bool
        Whether what the method leaves is coded behind it.
    periodic : tuple of int
        Axes of Hartley's transform.
    """

    shape: tuple[int, ...]
    dtype: str
    method: str
    accurate: bool = False
    rest: bool = False
    periodic: tuple[int, ...] = ()

    @property
    def work_dtype(self) -> np.dtype:
        """The dtype in which the decoder computes."""
        return np.dtype(np.float64 if self.accurate else np.float32)

    def pack(self, body: bytes) -> np.ndarray:
        """Return header, checksum and body as bytes."""
        flags = _DOUBLE * (self.dtype == "float64") | _ACCURATE * self.accurate | _REST * self.rest
        flags |= sum(16 << axis for axis in self.periodic)
        first = bytes([VERSION, STORED.index(self.method), flags, len(self.shape)])
        head = first + b"".join(map(varint, self.shape))
        check = zlib.crc32(body, zlib.crc32(head)).to_bytes(4, "little")
        out = np.frombuffer(head + check + body, np.uint8)
        out.flags.writeable = False
        return out

    @classmethod
    def read(cls, data: np.ndarray) -> tuple[Header, ByteReader]:
        """Return the header of compressed bytes, and a reader of the body."""
        raw = data.tobytes()
        reader = ByteReader(raw)
        version, method, flags, ndim = (reader.byte() for _ in range(4))
        if version != VERSION:
            raise foreign(f"a field in version {version} of the format, of which this library reads {VERSION}")
        if method >= len(STORED):
            raise foreign(f"a field by method {method}, of which this library reads 0 to {len(STORED) - 1}")
        if not 1 <= ndim <= _MOST_AXES:
            raise damaged(f"{ndim} axes")
        shape = tuple(reader.number() for _ in range(ndim))
        if 0 in shape or np.prod(shape, dtype=object) >= 2**62:
            raise damaged(f"a field of shape {shape}")
        head = raw[: len(raw) - reader.left]
        check = int.from_bytes(reader.piece(4), "little")
        if zlib.crc32(raw[len(head) + 4 :], zlib.crc32(head)) != check:
            raise damaged("its checksum does not fit")
        periodic = tuple(axis for axis in range(_MOST_AXES) if flags & 16 << axis)
        if any(axis >= ndim for axis in periodic):
            raise damaged(f"axes {periodic} of {ndim} are periodic")
        dtype = DTYPES[bool(flags & _DOUBLE)]
        return cls(shape, dtype, STORED[method], bool(flags & _ACCURATE), bool(flags & _REST), periodic), reader
