"""Sets of samples, inputs and outputs of an operator: one plain file, whatever the number of ranks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sci.backend import to_host
from sci.distributed import Comm, agree, allgather_rows, rank_of, recv, send
from sci.errors import DTypeError, FileFormatError, InvalidValueError, SciError, ShapeError
from sci.io.core.datasets import Group, crc32, read_array, read_foreign, write_array
from sci.io.core.hdf5 import create, is_foreign, open_any, open_file
from sci.io.core.header import make_header
from sci.io.core.registry import codec

__all__ = ["Samples", "load_inputs", "load_samples", "save_samples"]

KIND = "samples"
_BLOCK_BYTES = 2**25


class Samples(NamedTuple):
    """Inputs and outputs of an operator; the first axis of both counts the samples.

    Parameters
    ----------
    x : (n, ...) array
    y : (n, ...) array
    """

    x: Any
    y: Any


@codec(Samples, kind=KIND, in_root=True)
class _SamplesCodec:
    """`x`, `y` (n, ...): inputs and outputs of an operator."""

    @staticmethod
    def write(group: Group, samples: Samples) -> None:
        arrays = {name: np.asarray(to_host(array)) for name, array in samples._asdict().items()}
        _require_samples(arrays)
        for name, array in arrays.items():
            write_array(group, name, array)

    @staticmethod
    def read(group: Group) -> Samples:
        return _paired(*(read_array(group, name, None, ("f4", "f8")) for name in ("x", "y")))


def save_samples(
    path: str | Path, x: Any, y: Any, *, command: str | None = None, units: str = "", comm: Comm = None
) -> None:
    """Write inputs and outputs, whose first axis counts the samples, to one HDF5 file with datasets x and y.

    Parameters
    ----------
    path : path
    x, y : array (n_local, ...)
        float32 or float64; this rank's samples. Their other axes are the same on all ranks. The file holds the samples
        in the order of the ranks.
    command : str, optional
        What made the samples; kept in the file.
    units : str
    comm : mpi4py communicator, optional

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError
    FileFormatError
        If the folder cannot be written to or the disk is full; on every rank.

    Notes
    -----
    Collective. Rank 0 writes; the others send their samples in blocks of at most 32 MiB. The file appears complete or
    not at all.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> path = pathlib.Path(tempfile.mkdtemp(), "set.h5")
    >>> save_samples(path, np.zeros((5, 8)), np.ones((5, 2, 8)))
    >>> [array.shape for array in load_samples(path)]
    [(5, 8), (5, 2, 8)]
    """
    arrays = {"x": np.asarray(to_host(x)), "y": np.asarray(to_host(y))}
    counts = _agreed_counts(arrays, comm)
    problem: Exception | None = None
    if rank_of(comm) == 0:
        n_bytes = sum(int(counts.sum()) * math.prod(a.shape[1:]) * a.dtype.itemsize for a in arrays.values())
        streams = {name: _blocks(local, counts, comm) for name, local in arrays.items()}
        try:
            with create(path, make_header("samples", units, command), n_bytes) as file:
                for name, local in arrays.items():
                    _write(file, name, (int(counts.sum()), *local.shape[1:]), local.dtype, streams[name])
        except Exception as error:  # the other ranks wait for the verdict, whatever went wrong
            problem = error
            for stream in streams.values():
                for _ in stream:  # what the others are sending must be taken, or they never get there
                    pass
    else:
        for local in arrays.values():
            _send(local, comm)
    agree(comm, problem)


def load_samples(path: str | Path) -> Samples:
    """Return inputs and outputs from a file of samples, or from any HDF5 file with datasets x and y.

    Returns
    -------
    x, y : ndarray (n, ...)
        Of the file's own dtypes.

    Raises
    ------
    FileFormatError
        For a missing, damaged or foreign file, one without x and y, or with different numbers of samples.
    """
    if is_foreign(path):
        with open_any(path) as file:
            return _paired(*(read_foreign(file, name) for name in ("x", "y")))
    with open_file(path, (KIND,)) as (file, _):
        return _SamplesCodec.read(file)


def load_inputs(path: str | Path) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the dataset x (n, ...) of a file of samples, or of any HDF5 file that has one, and y or None.

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


def _paired(x: np.ndarray, y: np.ndarray) -> Samples:
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise FileFormatError(f"x has shape {x.shape} and y has {y.shape}; expected as many samples in both")
    return Samples(x, y)


def _require_samples(arrays: Mapping[str, np.ndarray]) -> None:
    x, y = arrays.values()
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            raise DTypeError(f"{name} has dtype {array.dtype}; expected float32 or float64")
        if not np.isfinite(array).all():
            raise InvalidValueError(f"{name} holds NaN or Inf; nothing was written")
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise ShapeError(f"x has shape {x.shape} and y has {y.shape}; expected as many samples in both")


def _agreed_counts(arrays: dict[str, np.ndarray], comm: Comm) -> np.ndarray:
    """Return every rank's number of samples after checking that the ranks' arrays fit together."""
    problem: Exception | None = None
    try:
        _require_samples(arrays)
    except SciError as error:
        problem = error
    agree(comm, problem)
    x, y = arrays.values()
    form = [int(n) for a in (x, y) for n in (a.ndim, a.dtype.itemsize, *a.shape[1:])]
    row = np.full((1, 64), -1, dtype=np.int64)
    row[0, : len(form)] = form
    rows = np.asarray(allgather_rows(row, comm))
    if (rows != rows[0]).any():
        problem = ShapeError("the ranks' samples differ in shape or dtype; expected one of each")
    agree(comm, problem)
    return np.asarray(allgather_rows(np.array([len(x)], dtype=np.int64), comm))


def _block(array: np.ndarray) -> int:
    return max(1, _BLOCK_BYTES // max(1, math.prod(array.shape[1:]) * array.dtype.itemsize))


def _send(local: np.ndarray, comm: Comm) -> None:
    for start in range(0, len(local), _block(local)):
        send(np.ascontiguousarray(local[start : start + _block(local)]), 0, comm=comm).wait()


def _blocks(local: np.ndarray, counts: np.ndarray, comm: Comm) -> Iterator[np.ndarray]:
    """Yield the samples of all ranks in their order, on rank 0."""
    for rank, count in enumerate(counts.tolist()):
        for start in range(0, count, _block(local)):
            stop = min(start + _block(local), count)
            if rank == 0:
                yield local[start:stop]
            else:
                yield np.asarray(recv((stop - start, *local.shape[1:]), local.dtype, rank, comm=comm).wait())


def _write(file: Group, name: str, shape: tuple[int, ...], dtype: Any, blocks: Iterator[np.ndarray]) -> None:
    dataset = file.create_dataset(name, shape, dtype=dtype)
    at = checksum = 0
    for block in blocks:
        dataset[at : at + len(block)] = block
        checksum = crc32(block, checksum)
        at += len(block)
    dataset.attrs["crc32"] = checksum
