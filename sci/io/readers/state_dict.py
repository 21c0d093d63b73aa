"""State dicts of other libraries in npz files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from sci.errors import FileFormatError

__all__ = ["read_state_dict"]


def read_state_dict(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file by name; those that need pickle are refused, but for "_metadata", left out.

    Raises
    ------
    FileFormatError
    """
    try:
        archive = np.load(path, allow_pickle=False)
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise FileFormatError(f"{path}: this is one array; expected an npz file of named arrays")
        with archive:
            return {name: archive[name] for name in archive.files if name != "_metadata"}
    except FileFormatError:
        raise
    except (OSError, ValueError, zipfile.BadZipFile, EOFError, KeyError, AttributeError) as error:
        raise FileFormatError(
            f"{path}: not an npz file of plain arrays ({' '.join(str(error).split())[:200]}); write it by "
            "numpy.savez(path, **{name: tensor.numpy() for name, tensor in model.state_dict().items()})"
        ) from error
