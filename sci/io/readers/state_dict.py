"""Arrays in npy and npz files, like the state dicts of other libraries."""

from __future__ import annotations

import contextlib
import lzma
import math
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sci.errors import FileFormatError
from sci.io.readers.text import require_file

__all__ = ["npz_headers", "open_npy", "open_npz", "read_state_dict"]

_LIMIT, _RATIO = 2**26, 32
"""Bytes that any archive may unpack to, and how many times its own size a larger one."""
_FOREIGN = (
    *(OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError, AttributeError),
    *(zlib.error, lzma.LZMAError, struct.error, RuntimeError, NotImplementedError),
)
"""Errors of damaged, encrypted and odd archives."""


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file by name; "_metadata" as text, or left out if it is none.

    Nothing is unpickled: other arrays that need it are refused.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict of arrays

    Raises
    ------
    FileFormatError
    """
    how = "numpy.savez(path, **{name: tensor.numpy() for name, tensor in model.state_dict().items()})"
    with open_npz(path, how) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "_metadata"}
        text = _text(archive)
        return arrays if text is None else {**arrays, "_metadata": text}


@contextlib.contextmanager
def open_npz(path: str | Path, how: str) -> Iterator[Any]:
    """Yield an npz file of plain arrays by name, none of which claims more than it holds; `how` says how to write one.

    Raises
    ------
    FileFormatError
        For everything that fails in the block.
    """
    with _plain(path, "not an npz file of plain arrays", how):
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileFormatError(f"{path}: this is one array; expected an npz file of named arrays")
        with archive:
            _check_size(Path(path), archive)
            yield archive


@contextlib.contextmanager
def open_npy(path: str | Path) -> Iterator[np.ndarray]:
    """Yield the array of an npy file, mapped into memory and not read.

    Raises
    ------
    FileFormatError
        For everything that fails in the block.
    """
    with _plain(path, "not an npy file of a plain array", "numpy.save(path, array)"):
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()
            raise FileFormatError(f"{path}: this is an npz file; expected one array: name it {Path(path).stem}.npz")
        yield array


@contextlib.contextmanager
def _plain(path: str | Path, what: str, how: str) -> Iterator[None]:
    """Turn what damaged, encrypted and odd files raise into errors of ours."""
    require_file(Path(path))
    try:
        yield
    except FileFormatError:
        raise
    except MemoryError as error:
        raise FileFormatError(f"{path}: an array claims more memory than there is; the file is damaged") from error
    except FileNotFoundError as error:
        raise FileFormatError(f"{path}: there is no such file; check the name and the folder") from error
    except _FOREIGN as error:
        raise FileFormatError(f"{path}: {what} ({' '.join(str(error).split())[:200]}); write it by {how}") from error


def _check_size(path: Path, archive: Any) -> None:
    """Refuse an archive that unpacks to far more than trained numbers do, and arrays that claim more than they hold."""
    n_bytes, limit = sum(entry.file_size for entry in archive.zip.infolist()), max(_LIMIT, _RATIO * path.stat().st_size)
    if n_bytes > limit:
        raise FileFormatError(
            f"{path}: it unpacks to {n_bytes / 1e6:.0f} MB; expected at most {limit / 1e6:.0f} MB for its size: "
            "if it is yours, write it uncompressed, by numpy.savez"
        )
    sizes = {entry.filename: entry.file_size for entry in archive.zip.infolist()}
    for name, (shape, dtype) in npz_headers(archive).items():
        if math.prod(shape) * dtype.itemsize > sizes[name]:
            raise FileFormatError(
                f"{path}: {name} claims shape {shape} of {dtype} in {sizes[name]} bytes; it is damaged"
            )


def npz_headers(archive: Any) -> dict[str, tuple[tuple[int, ...], Any]]:
    """Return shape and dtype of the members of an open npz file, by their names in the archive, unread."""
    found = {}
    for entry in archive.zip.infolist():
        with archive.zip.open(entry) as member:
            version = np.lib.format.read_magic(member)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(member)
        found[entry.filename] = (shape, dtype)
    return found


def _text(archive: Any) -> np.ndarray | None:
    """Return the text "_metadata" of an archive, and None if there is none or it is a pickle."""
    try:
        found = np.asarray(archive["_metadata"])
    except (KeyError, ValueError):
        return None
    return found if found.dtype.kind == "U" and found.ndim == 0 else None
