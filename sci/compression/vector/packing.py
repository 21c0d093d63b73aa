"""Codes as rows of bits: each row of the last axis starts at a whole byte, so that parts of it are read alone."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["pack", "row_bytes", "unpack"]


def row_bytes(length: int, bits: int) -> int:
    """Return the bytes of a row of codes."""
    return -(-length * bits // 8)


def pack(codes: np.ndarray, bits: int) -> np.ndarray:
    """Return codes (..., length) below 2^bits as uint8 (..., row_bytes), the highest bit of each code first."""
    shifts = np.arange(bits - 1, -1, -1)
    rows = ((codes[..., None] >> shifts) & 1).astype(np.uint8)
    found: np.ndarray = np.packbits(rows.reshape(*codes.shape[:-1], codes.shape[-1] * bits), axis=-1)
    return found


def unpack(packed: Any, part: slice, bits: int, lead: tuple[Any, ...] = ()) -> np.ndarray:
    """Return the codes `part` of the rows `lead` that `pack` made, as int64.

    Parameters
    ----------
    packed : uint8 array, or dataset of a file
        Of which no other bytes are read.
    part : slice
        With start and stop.
    bits : int
    lead : tuple of int and slice, optional
        Of the axes before the last; all rows unless given.
    """
    first = part.start * bits // 8
    chosen = packed[(*(lead or (slice(None),) * (packed.ndim - 1)), slice(first, -(-part.stop * bits // 8)))]
    rows = np.unpackbits(np.ascontiguousarray(chosen), axis=-1)
    skipped, count = part.start * bits - 8 * first, part.stop - part.start
    digits = rows[..., skipped : skipped + count * bits].reshape(*rows.shape[:-1], count, bits)
    found: np.ndarray = digits.astype(np.int64) @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64))
    return found
