"""Records behind the end of an HDF5 file: what a killed writer of a series leaves, and what a reader takes of it.

HDF5 notes in its superblock where its own data end, and looks at nothing behind that. A writer appends one record for
each chunk there by the operating system alone, so the HDF5 file is whole at any moment; a record that was cut short, or
fails its checksum, ends the journal. A kill leaves one such record, the last: where a whole one follows, the file is
damaged.
"""

from __future__ import annotations

import json
import mmap
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from sci.errors import FileFormatError

__all__ = ["Record", "encoded", "end_of_hdf5", "end_of_journal", "records"]

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_MAGIC = b"SCIchunk"
_NUMBERS = struct.Struct("<IQI")
"""Lengths of text and data, and their CRC-32."""
_HEAD = len(_MAGIC) + _NUMBERS.size


@dataclass(frozen=True)
class Record:
    """One chunk of a journal.

    Parameters
    ----------
    about : dict
        What the writer noted of it.
    data : bytes
    end : int
        Place in the file behind the record.
    """

    about: dict[str, Any]
    data: bytes
    end: int

    def __repr__(self) -> str:
        return f"Record({len(self.data)} bytes, {self.about})"


def encoded(about: dict[str, Any], data: bytes) -> bytes:
    """Return a record: magic, lengths of text and data, their CRC-32, the text as JSON, the data."""
    text = json.dumps(about).encode()
    checksum = zlib.crc32(data, zlib.crc32(text))
    return b"".join((_MAGIC, _NUMBERS.pack(len(text), len(data), checksum), text, data))


def end_of_hdf5(path: Path) -> int:
    """Return the place where the data of HDF5 end in a file.

    Raises
    ------
    FileFormatError
        For a file whose superblock is not of version 2 or 3, as this library writes it.

    References
    ----------
    HDF5 File Format Specification 3.0, II.A "Disk Format: Level 0A - Format Signature and Superblock".
    """
    with path.open("rb") as raw:
        block = raw.read(48)
    if not block.startswith(_SIGNATURE) or len(block) < 48 or block[8] not in (2, 3) or block[9] != 8:
        raise FileFormatError(f"{path}: no HDF5 file that this library wrote; a series cannot be continued in it")
    return int.from_bytes(block[28:36], "little")


def records(path: Path) -> Iterator[Record]:
    """Yield the whole records behind the end of an HDF5 file, in their order; none for a file of another layout.

    Raises
    ------
    FileFormatError
        If a whole record follows one that is not.
    """
    try:
        start = end_of_hdf5(path)
    except FileFormatError:
        return
    with path.open("rb") as raw:
        size = raw.seek(0, 2)
        raw.seek(start)
        while (record := _next(raw, size)) is not None:
            start = record.end
            yield record
        _require_last(path, raw, start, size)


def _require_last(path: Path, raw: BinaryIO, end: int, size: int) -> None:
    """Refuse a journal with whole records behind what ends it."""
    if size - end < _HEAD:
        return
    with mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as view:
        place = view.find(_MAGIC, end + 1)
        while place >= 0:
            raw.seek(place)
            if _next(raw, size) is not None:
                raise FileFormatError(
                    f"{path}: the chunk at byte {end} is damaged, and others follow it; take a copy of the file, or "
                    f"keep the frames before that chunk alone by `truncate -s {end} {path.name}`"
                )
            place = view.find(_MAGIC, place + 1)


def _next(raw: BinaryIO, size: int) -> Record | None:
    head = raw.read(_HEAD)
    if len(head) < _HEAD or not head.startswith(_MAGIC):
        return None
    n_text, n_data, checksum = _NUMBERS.unpack(head[len(_MAGIC) :])
    if raw.tell() + n_text + n_data > size:
        return None
    text, data = raw.read(n_text), raw.read(n_data)
    if zlib.crc32(data, zlib.crc32(text)) != checksum:
        return None
    return Record(json.loads(text), data, raw.tell())


def end_of_journal(path: Path) -> int:
    """Return the place behind the last whole record: where the next one goes."""
    end = end_of_hdf5(path)
    for record in records(path):
        end = record.end
    return end
