"""State dicts of other libraries in npz files."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from sci.errors import FileFormatError

__all__ = ["read_state_dict"]


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file by name; "_metadata" as text, or left out if it is none.

    Nothing is unpickled: other arrays that need it are refused.

    Raises
    ------
    FileFormatError
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileFormatError(f"{path}: this is one array; expected an npz file of named arrays")
        with archive:
            arrays = {name: archive[name] for name in archive.files if name != "_metadata"}
            text = _text(archive)
            return arrays if text is None else {**arrays, "_metadata": text}
    except FileFormatError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError, AttributeError) as error:
        raise FileFormatError(
            f"{path}: not an npz file of plain arrays ({' '.join(str(error).split())[:200]}); write it by "
            "numpy.savez(path, **{name: tensor.numpy() for name, tensor in model.state_dict().items()})"
        ) from error


def _text(archive: Any) -> np.ndarray | None:
    """Return the text "_metadata" of an archive, and None if there is none or it is a pickle."""
    try:
        found = np.asarray(archive["_metadata"])
    except (KeyError, ValueError):
        return None
    return found if found.dtype.kind == "U" and found.ndim == 0 else None
