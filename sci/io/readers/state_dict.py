"""State dicts of other libraries in npz files."""

from __future__ import annotations

import lzma
import math
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from sci.errors import FileFormatError
from sci.io.readers.text import require_file

__all__ = ["read_state_dict"]

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
    require_file(Path(path))
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileFormatError(f"{path}: this is one array; expected an npz file of named arrays")
        with archive:
            _check_size(Path(path), archive)
            arrays = {name: archive[name] for name in archive.files if name != "_metadata"}
            text = _text(archive)
            return arrays if text is None else {**arrays, "_metadata": text}
    except FileFormatError:
        raise
    except MemoryError as error:
        raise FileFormatError(f"{path}: an array claims more memory than there is; the file is damaged") from error
    except _FOREIGN as error:
        raise FileFormatError(
            f"{path}: not an npz file of plain arrays ({' '.join(str(error).split())[:200]}); write it by "
            "numpy.savez(path, **{name: tensor.numpy() for name, tensor in model.state_dict().items()})"
        ) from error


def _check_size(path: Path, archive: Any) -> None:
    """Refuse an archive that unpacks to far more than trained numbers do, and arrays that claim more than they hold."""
    n_bytes, limit = sum(entry.file_size for entry in archive.zip.infolist()), max(_LIMIT, _RATIO * path.stat().st_size)
    if n_bytes > limit:
        raise FileFormatError(
            f"{path}: it unpacks to {n_bytes / 1e6:.0f} MB; expected at most {limit / 1e6:.0f} MB for its size: "
            "if it is yours, write it uncompressed, by numpy.savez"
        )
    for entry in archive.zip.infolist():
        with archive.zip.open(entry) as member:
            version = np.lib.format.read_magic(member)
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            shape, _, dtype = header(member)
        if math.prod(shape) * dtype.itemsize > entry.file_size:
            raise FileFormatError(
                f"{path}: {entry.filename} claims shape {shape} of {dtype} in {entry.file_size} bytes; it is damaged"
            )


def _text(archive: Any) -> np.ndarray | None:
    """Return the text "_metadata" of an archive, and None if there is none or it is a pickle."""
    try:
        found = np.asarray(archive["_metadata"])
    except (KeyError, ValueError):
        return None
    return found if found.dtype.kind == "U" and found.ndim == 0 else None
