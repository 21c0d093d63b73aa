"""Numbers as bytes, and a reader of bytes that may be damaged."""

from __future__ import annotations

import struct

import numpy as np

from sci.errors import FileFormatError

__all__ = ["ByteReader", "damaged", "floats", "foreign", "varint"]


def varint(number: int) -> bytes:
    """Return an integer of at least 0, seven bits a byte, the low ones first."""
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


class ByteReader:
    """Reads numbers and pieces of bytes one after another, and raises `FileFormatError` where they end too early.

    Parameters
    ----------
    data : bytes
        What was compressed.
    """

    def __init__(self, data: bytes) -> None:
        self._data, self._place = data, 0

    def __repr__(self) -> str:
        return f"ByteReader({self._place} of {len(self._data)} bytes read)"

    @property
    def left(self) -> int:
        """How many bytes are left."""
        return len(self._data) - self._place

    def piece(self, size: int) -> bytes:
        """Return the next `size` bytes."""
        if size > self.left:
            raise damaged(f"{size} bytes are expected where {self.left} are left")
        self._place += size
        return self._data[self._place - size : self._place]

    def byte(self) -> int:
        """Return the next byte."""
        return self.piece(1)[0]

    def number(self) -> int:
        """Return the next integer that `varint` wrote, below 2^63."""
        value = 0
        for shift in range(0, 63, 7):
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise damaged("an integer has more than 63 bits")

    def floats(self, count: int) -> tuple[float, ...]:
        """Return the next `count` float32 numbers."""
        found = struct.unpack(f"<{count}f", self.piece(4 * count))
        if not np.isfinite(found).all():
            raise damaged("a number is not finite")
        return found


def floats(*numbers: float) -> bytes:
    """Return numbers as float32."""
    return struct.pack(f"<{len(numbers)}f", *numbers)


def damaged(what: str) -> FileFormatError:
    """Return the error for compressed bytes that are damaged."""
    return FileFormatError(f"the compressed data is damaged or cut off: {what}; expected the bytes that compress made")


def foreign(what: str) -> FileFormatError:
    """Return the error for compressed bytes of a format that this library does not know."""
    return FileFormatError(
        f"the compressed data is by a newer library, or damaged: {what}; update sci, or write it anew"
    )
