"""Inputs of operators without outputs, and state dicts of other libraries in npz files."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from sci.errors import FileFormatError
from sci.io.codecs.samples import load_samples
from sci.io.core.hdf5 import open_any, read_foreign

__all__ = ["load_inputs", "read_state_dict"]


def load_inputs(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the dataset x (n, ...) of a file of `save_samples`, or of any HDF5 file that has one, and y or None.

    Raises
    ------
    FileFormatError
        For a missing or damaged file, one without x, or with NaN or Inf in it.
    """
    with open_any(path) as file:
        alone = "format" not in file.attrs and "y" not in file
        x = read_foreign(file, "x") if alone else None
        if x is not None and not x.ndim:
            raise FileFormatError("x is one number; expected a dataset x (samples, ...)")
    return load_samples(path) if x is None else (x, None)


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
