"""Which arrays of a file are fields that are compressed, and which are copied exactly."""

from __future__ import annotations

import contextlib
import fnmatch
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.arguments import entry
from sci.errors import FileFormatError, InvalidValueError, SciError
from sci.io.codecs.compressed.arrays import GRID
from sci.io.codecs.compressed.field import FIELD
from sci.io.core.datasets import Group, is_packed, walk
from sci.io.core.dimensions import copy_attributes, is_bare_axis
from sci.io.core.hdf5 import is_foreign, open_file
from sci.io.core.header import Header
from sci.io.core.outputs import is_full, what_is, write_error
from sci.io.core.registry import kinds

__all__ = [
    "FLOATS",
    "NUMPY",
    "RECORD",
    "StoredField",
    "copy_root",
    "full_disk_told",
    "opened_npy",
    "read_block",
    "stored_fields",
]

SMALLEST = 4096
"""Numbers of a field below which it is copied exactly: nothing would be gained."""
RECORD = "compression"
"""Attribute of a file that says how its fields were compressed, which a file that was decompressed keeps."""
NUMPY = ".npy"
FLOATS = ("<f4", "<f8")
_VTK = ("VTKHDF/PointData/*", "VTKHDF/CellData/*")


@dataclass(frozen=True)
class StoredField:
    """A dataset of a file, and whether compression takes it.

    Parameters
    ----------
    name : str
        Path in the file; "" for the array of a .npy file.
    shape : tuple of int
    dtype : str
    reason : str
        Why it is copied exactly; empty for a field, which is compressed.

    Examples
    --------
    >>> from sci.io import save, stored_fields
    >>> from sci.potentials import Particles
    >>> save("ion.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    >>> stored_fields("ion.h5")[0].reason
    'no field of a file of kind particles'
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    reason: str = ""

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.shape))
        return f"StoredField({self.name!r}, {shape} {self.dtype}, {self.reason or 'compressed'})"

    @property
    def nbytes(self) -> int:
        """Bytes of the numbers."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize


@entry
def stored_fields(path: str | Path, *, datasets: Sequence[str] | None = None) -> tuple[StoredField, ...]:
    """Return the arrays of a file, and by which rule each is compressed by `compress_file` or copied exactly.

    A field is a dataset of float32 or float64 with at least 4096 numbers, on a grid: the codec of its kind names it
    (samples, solutions, right-hand sides, minima, smoke, Poisson-Boltzmann potentials), or it lies in the VTKHDF of the
    file. Weights, tensors, positions, indices and results are no fields.

    Parameters
    ----------
    path : path
        A file of sci, or .npy.
    datasets : sequence of str, optional
        Compress these and no others, whatever they are; patterns of `fnmatch`.

    Returns
    -------
    tuple of StoredField

    Raises
    ------
    FileFormatError
        For a missing, damaged or foreign file; one that is compressed already; a grid in parts.
    InvalidValueError
        If a name of `datasets` is that of no array of floats.
    """
    path = Path(path)
    if path.suffix.lower() == NUMPY:
        field = opened_npy(path)
        if datasets is not None:
            raise InvalidValueError(f"{path}: holds one array without a name; leave datasets={datasets!r:.80} out")
        return (StoredField("", field.shape, field.dtype.name),)
    if is_foreign(path):
        raise FileFormatError(f"{path}: no file of sci; expected one, or one array as .npy")
    with open_file(path) as (file, header):
        found = tuple(_listed(file, header, datasets))
    for pattern in datasets or ():
        if not any(not one.reason and fnmatch.fnmatchcase(one.name, pattern.strip("/")) for one in found):
            names = ", ".join(one.name for one in found if one.dtype.startswith("float")) or "none"
            raise InvalidValueError(f"{path}: no array of floats is named {pattern!r}; expected some of {names}")
    return found


def _listed(file: Group, header: Header, datasets: Sequence[str] | None) -> Iterator[StoredField]:
    kind = kinds().get(header.kind)
    patterns = (*(() if kind is None else kind.compressible), *_VTK)
    if header.kind in (GRID, FIELD) or any(is_packed(item) for _, item in walk(file)):
        raise FileFormatError("the file is compressed already; `sci decompress` it first")
    for name, item in walk(file):
        if not isinstance(item, h5py.Dataset) or is_bare_axis(item) or not item.shape:
            continue
        if item.is_virtual:
            raise FileFormatError(f"{item.name} lies in parts beside the file; `sci join` makes one file of them first")
        wanted = [pattern.strip("/") for pattern in (patterns if datasets is None else datasets)]
        reason = _reason(name, item, header.kind, wanted, asked=datasets is not None)
        yield StoredField(name, tuple(item.shape), item.dtype.name, reason)


def _reason(name: str, item: Any, kind: str, patterns: Sequence[str], *, asked: bool) -> str:
    """Return why a dataset is copied exactly; nothing for a field."""
    if item.dtype.str not in FLOATS:
        return f"{item.dtype} is stored exactly"
    if not any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
        return "not asked for" if asked else f"no field of a file of kind {kind}"
    if not asked and item.size < SMALLEST:
        return f"fewer than {SMALLEST} numbers"
    return ""


def opened_npy(path: Path) -> np.ndarray:
    """Return the array of a .npy file, which stays on the disk."""
    if not path.is_file():
        raise FileFormatError(f"{path}: {what_is(path)}; expected an array that `numpy.save` wrote")
    try:
        field = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(f"{path}: cannot be read as .npy ({error}); write it again by `numpy.save`") from error
    if not isinstance(field, np.ndarray):
        field.close()
        raise FileFormatError(f"{path}: this is a .npz archive; save its array by `numpy.save` as .npy")
    if field.dtype.str not in FLOATS or field.ndim == 0:
        raise FileFormatError(
            f"{path}: holds {field.dtype} of shape {field.shape}; expected an array of float32 or float64"
        )
    return field


def read_block(path: Path, name: str, place: tuple[slice, ...]) -> np.ndarray:
    """Return a part of an array of a file, or of a .npy file."""
    if path.suffix.lower() == NUMPY:
        return np.array(opened_npy(path)[place])
    with open_file(path) as (file, _):
        return np.asarray(file[name][place])


@contextlib.contextmanager
def full_disk_told(out: Path) -> Iterator[None]:
    """Name the output in errors of a full disk, which otherwise would count as damage of the input."""
    try:
        yield
    except SciError:
        raise
    except Exception as error:
        if is_full(error):
            raise write_error(out, error) from error
        raise


def copy_root(file: Group, new: Group, header: Header) -> None:
    """Copy the attributes of a file that are not of its header."""
    copy_attributes(file, new, {"format", RECORD, *asdict(header)})
