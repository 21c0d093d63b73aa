"""Checks that come before HDF5 opens a file, because HDF5 itself crashes or hangs on some damage.

Its metadata carry checksums, but for the global heap, where texts of variable length lie and the names of the parts of
virtual datasets: a flipped bit there was seen to end the process, to loop for ever, and to ask for all memory.
"""

from __future__ import annotations

import mmap
import zlib
from pathlib import Path
from typing import BinaryIO

from sci.errors import FileFormatError

__all__ = ["SEAL_BYTES", "check_heaps", "check_seal", "seal"]

SEAL_BYTES = 512
"""Length of what stands in front of a sealed file, a user block of HDF5."""
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_HEAP = b"GCOL\x01"


def seal(path: Path) -> None:
    """Write the checksum of a file with a user block into that block."""
    with path.open("r+b") as raw:
        text = _seal_of(raw)
        raw.seek(0)
        raw.write(text)


def check_seal(path: Path) -> None:
    """Refuse a file with something in front of HDF5's signature that is not its seal.

    Raises
    ------
    FileFormatError
    """
    try:
        if not path.is_file():
            return  # opening it says what is wrong
        with path.open("rb") as raw:
            first = raw.read(SEAL_BYTES + len(_SIGNATURE))
            behind = first[SEAL_BYTES:]
            if first.startswith(_SIGNATURE) or behind != _SIGNATURE or first.startswith(_seal_of(raw)):
                return
    except OSError:
        return  # HDF5 will say what is wrong
    raise FileFormatError(f"{path}: the checksum of the whole file is wrong; the file is damaged: make it again")


def _seal_of(raw: BinaryIO) -> bytes:
    checksum = 0
    raw.seek(SEAL_BYTES)
    while block := raw.read(2**20):
        checksum = zlib.crc32(block, checksum)
    return f"sci crc32 {checksum:08x}\n".encode()


def check_heaps(path: Path) -> None:
    """Refuse a file whose global heaps are not chains of objects that end where they say.

    Raises
    ------
    FileFormatError

    Notes
    -----
    Reads the file once. For files of other programs with attributes that are texts; lengths of 8 bytes, as usual.

    References
    ----------
    HDF5 File Format Specification 3.0, III.E "Global Heap".
    """
    if not path.is_file() or path.stat().st_size == 0:
        return
    with path.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as data:
        start = data.find(_HEAP)
        while start >= 0:
            if not _is_chain(data, start):
                raise FileFormatError(f"{path}: damaged, its texts cannot be read; make it again")
            start = data.find(_HEAP, start + 1)


def _is_chain(data: mmap.mmap, start: int) -> bool:
    end = start + int.from_bytes(data[start + 8 : start + 16], "little")
    at = start + 16
    if end > len(data):
        return False
    while end - at >= 16:
        index, length = int.from_bytes(data[at : at + 2], "little"), int.from_bytes(data[at + 8 : at + 16], "little")
        step = 16 + (length + 7) // 8 * 8 if index else length  # that of the free space counts its header
        if not 16 <= step <= end - at:
            return False
        at += step
    return True
