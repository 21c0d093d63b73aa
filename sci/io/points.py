"""Sets of points in files of any program, read block by block: HDF5, npy and npz."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import numpy as np

from sci.errors import FileFormatError, InvalidValueError
from sci.io.codecs.trajectory import KIND
from sci.io.core.datasets import Group, check_size, crc32, member
from sci.io.core.dimensions import is_bare_axis
from sci.io.core.hdf5 import is_foreign, open_any, open_file
from sci.io.readers.state_dict import npz_headers, open_npy, open_npz
from sci.io.store import load
from sci.potentials.trajectory import Trajectory

__all__ = ["PointSet", "read_points"]

BLOCK_BYTES = 2**25
Header: TypeAlias = tuple[tuple[int, ...], Any]
"""Shape and dtype of an array."""
_HOW = "numpy.savez(path, x=points)"
_SINGLE = ("f2", "f4", "b1", "i1", "i2", "u1", "u2")
"""Numbers that float32 holds exactly."""


@dataclass(frozen=True)
class PointSet:
    """Points in a file, which are read block by block.

    Parameters
    ----------
    path : Path
    dataset : str
        Name of the array in the file; empty for an npy file.
    n : int
        Number of points.
    shape : tuple of int
        Of one point, as the file has it.
    dtype : numpy dtype
        float32 where that holds the numbers of the file exactly, float64 otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import read_points
    >>> np.savez("set.npz", x=np.zeros((5, 2, 8), np.float32), label=np.arange(5))
    >>> read_points("set.npz")
    PointSet(5 points of dimension 16, float32, x of 'set.npz')
    """

    path: Path
    dataset: str
    n: int
    shape: tuple[int, ...]
    dtype: Any

    @property
    def dimension(self) -> int:
        """Numbers of one point."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        """Return number and dimension of the points, and where they lie."""
        where = f"{self.dataset} of " if self.dataset else ""
        return f"PointSet({self.n} points of dimension {self.dimension}, {self.dtype}, {where}{str(self.path)!r})"

    def blocks(self, rows: range | None = None) -> Iterator[np.ndarray]:
        """Yield the points in their order, (m, dimension) at a time.

        Parameters
        ----------
        rows : range, optional
            Numbers of the points wanted, ascending; all unless given.

        Raises
        ------
        FileFormatError
            For NaN or Inf in a point that is wanted, and for a checksum that fails, after the last block.

        Notes
        -----
        A block takes about 32 MiB; an array of an npz file is unpacked as a whole.
        """
        wanted = range(self.n) if rows is None else rows
        step = max(1, BLOCK_BYTES // (8 * max(1, self.dimension)))
        for start, block in _raw_blocks(self.path, self.dataset, step):
            chosen = _part(wanted, start, start + len(block))
            part = (
                block[chosen.start : chosen.stop : chosen.step].reshape(len(chosen), self.dimension).astype(self.dtype)
            )
            if not np.isfinite(part).all():
                bad = start + chosen[int(np.argwhere(~np.isfinite(part))[0, 0])]
                raise FileFormatError(
                    f"{self.path}: point {bad} of {self.dataset or 'the array'} holds NaN or Inf; clean them first"
                )
            yield part


def read_points(path: str | Path, dataset: str | None = None) -> PointSet:
    """Return a set of points in an HDF5, npy or npz file; the first axis of the array counts the points.

    Parameters
    ----------
    path : path
        HDF5 of any program, our samples and trajectories among them, or .npy, .npz.
    dataset : str, optional
        Name of the array. Unless given: `x` where there is one, or the only array of two axes or more; the forces of a
        file of `sci trajectory`.

    Returns
    -------
    PointSet

    Raises
    ------
    FileFormatError
        For a missing or damaged file, or an array that is missing, has no axis, or holds no real numbers.
    InvalidValueError
        If several arrays may be meant; with their names.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import read_points, save_samples
    >>> save_samples("set.h5", np.ones((5, 8)), np.zeros((5, 2, 8)), grid_axes=1)
    >>> points = read_points("set.h5")
    >>> points, sum(len(block) for block in points.blocks())
    (PointSet(5 points of dimension 8, float64, x of 'set.h5'), 5)
    """
    path = Path(path)
    names = _arrays(path)
    name = _chosen(path, names, dataset) if dataset is None else dataset.strip("/")
    if name not in names:
        raise FileFormatError(f"{path}: there is no array {name!r} of real numbers; found {_listed(names)}")
    shape, dtype = names[name]
    if not shape:
        raise FileFormatError(f"{path}: {name} is one number; expected (points, ...)")
    if math.prod(shape) == 0:
        raise FileFormatError(f"{path}: {name or 'the array'} has shape {shape}; expected at least one number")
    if path.suffix.lower() not in (".npy", ".npz") and _trajectory(path) is None:
        with _opened(path) as file:
            check_size(member(file, name), name)
    single = dtype.str[1:] in _SINGLE
    return PointSet(path, name, shape[0], tuple(shape[1:]), np.dtype(np.float32 if single else np.float64))


def _chosen(path: Path, names: dict[str, Header], dataset: str | None) -> str:
    """Return the array that is meant where none is named."""
    if "x" in names or list(names) == [""]:
        return "x" if "x" in names else ""
    if f"{KIND}/forces" in names:
        return f"{KIND}/forces"
    several = [name for name, (shape, _) in names.items() if len(shape) > 1]
    if len(several) == 1:
        return several[0]
    raise InvalidValueError(
        f"{path}: {'several arrays' if several else 'no array of two axes'} may be the points; choose one of "
        f"{_listed(names)} with dataset="
    )


def _listed(names: dict[str, Header]) -> str:
    found = [f"{name or 'the array'} {shape}" for name, (shape, _) in names.items()]
    return ", ".join(found[:20]) + (f" and {len(found) - 20} more" if len(found) > 20 else "") or "no array"


def _arrays(path: Path) -> dict[str, Header]:
    """Return shape and dtype of the arrays of real numbers in a file."""
    if path.suffix.lower() == ".npy":
        with open_npy(path) as array:
            return _of_numbers({"": (array.shape, array.dtype)})
    if path.suffix.lower() == ".npz":
        with open_npz(path, _HOW) as archive:
            return _of_numbers({name.removesuffix(".npy"): header for name, header in npz_headers(archive).items()})
    done = _trajectory(path)
    if done is not None:
        return {name: (a.shape, a.dtype) for name, a in done.items()}
    listed: dict[str, Header] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.shape and item.dtype.kind in "biuf" and not is_bare_axis(item):
            listed[name] = (item.shape, item.dtype)

    with _opened(path) as file:
        file.visititems(note)
    return listed


def _of_numbers(found: dict[str, Header]) -> dict[str, Header]:
    return {name: (shape, dtype) for name, (shape, dtype) in found.items() if dtype.kind in "biuf"}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Group]:
    """Yield an open HDF5 file of any program; the header of ours is checked."""
    if is_foreign(path):
        with open_any(path) as file:
            yield file
    else:
        with open_file(path) as (file, _):
            yield file


def _trajectory(path: Path) -> dict[str, np.ndarray] | None:
    """Return the results of the finished frames of a file of `sci trajectory`, None for another file."""
    if is_foreign(path):
        return None
    with open_file(path) as (_, header):
        if header.kind != KIND:
            return None
    done: Trajectory = load(path)
    return {f"{KIND}/forces": done.forces, f"{KIND}/energies": done.energies}


def _raw_blocks(path: Path, name: str, step: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield start and numbers of each block of `step` points, as the file has them."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        with open_npy(path) as array:
            yield from ((k, np.asarray(array[k : k + step])) for k in range(0, len(array), step))
        return
    if suffix == ".npz":
        with open_npz(path, _HOW) as archive:
            whole = archive[name]
        yield from ((k, whole[k : k + step]) for k in range(0, len(whole), step))
        return
    done = _trajectory(path)
    if done is not None:
        yield 0, done[name]
        return
    with _opened(path) as file:
        dataset = member(file, name)
        if not isinstance(dataset, h5py.Dataset):
            raise FileFormatError(f"the dataset {name} is missing")
        check_size(dataset, name)
        checksum = 0
        for start in range(0, len(dataset), step):
            block = np.asarray(dataset[start : start + step])
            checksum = crc32(block, checksum)
            yield start, block
        if dataset.attrs.get("crc32", checksum) != checksum:
            raise FileFormatError(f"the dataset {name} fails its checksum; the file is damaged: make it again")


def _part(rows: range, start: int, stop: int) -> range:
    """Return the numbers of `rows` from start to below stop, counted from start."""
    first = max(0, -(-(start - rows.start) // rows.step))
    last = min(len(rows), max(0, -(-(stop - rows.start) // rows.step)))
    return range(rows[first] - start, rows[last - 1] - start + 1, rows.step) if first < last else range(0)
