"""Sets of samples, inputs and outputs of an operator: one plain file, whatever the number of ranks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sci.backend import to_host
from sci.distributed import Comm, Deferred, agreed, form, rank_of, recv, send
from sci.errors import DTypeError, FileFormatError, InvalidValueError, ShapeError
from sci.io.core.datasets import Group, axis_dims, crc32, name_axes, read_array, read_foreign, write_array
from sci.io.core.external import external_data as allow_external
from sci.io.core.hdf5 import create, is_foreign, open_any, open_file
from sci.io.core.header import make_header
from sci.io.core.registry import codec
from sci.io.grids.fields import SUFFIX, Fields, write_fields, write_spacing

__all__ = ["Samples", "load_inputs", "load_samples", "read_flags", "save_samples"]

KIND = "samples"
_BLOCK_BYTES = 2**25


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """Inputs and outputs of an operator; the first axis of both counts the samples.

    It unpacks to the two arrays: `x, y = samples`.

    Parameters
    ----------
    x, y : (n, *grid) or (n, channel, *grid) array
        y is None in a file of inputs alone.
    grid_axes : int, optional
        Number of axes of the grid, which the shape alone does not tell: (n, 2, 100) may be two channels on 100 points
        or one on 2 x 100.
    periodic : bool, optional
        True if the fields are periodic along every axis of the grid, False if they are not.

    Raises
    ------
    InvalidValueError
        If the arrays have neither one nor two axes more than the grid.

    Examples
    --------
    >>> import numpy as np
    >>> Samples(np.zeros((5, 2, 100)), np.ones((5, 100)), grid_axes=1, periodic=True)
    Samples(5 samples, x (2, 100), y (100,), grid_axes=1, periodic=True)
    """

    x: Any
    y: Any
    grid_axes: int | None = None
    periodic: bool | None = None

    def __post_init__(self) -> None:
        if self.grid_axes is None:
            return
        if self.grid_axes not in (1, 2, 3):
            raise InvalidValueError(f"grid_axes is {self.grid_axes!r}; expected 1, 2 or 3")
        for name, array in (("x", self.x), ("y", self.y)):
            if array is not None and array.ndim - self.grid_axes not in (1, 2):
                raise InvalidValueError(
                    f"{name} has shape {tuple(array.shape)}; expected (n, *grid) or (n, channel, *grid) with "
                    f"{self.grid_axes} grid axes"
                )

    def __iter__(self) -> Iterator[Any]:
        """Return an iterator over x and y."""
        return iter((self.x, self.y))

    def __repr__(self) -> str:
        """Return the number of samples, the shape of one, and what is known of the grid."""
        shapes = f"x {tuple(self.x.shape[1:])}, y {'none' if self.y is None else tuple(self.y.shape[1:])}"
        return f"Samples({len(self.x)} samples, {shapes}, grid_axes={self.grid_axes}, periodic={self.periodic})"


@codec(Samples, kind=KIND, in_root=True)
class _SamplesCodec:
    """`x`, `y` (n, ...): inputs and outputs of an operator; attributes `grid_axes` (integer) and `periodic` (0 or 1),
    if they are known."""

    compressible = ("x", "y")

    @staticmethod
    def write(group: Group, samples: Samples) -> None:
        arrays = {name: np.asarray(to_host(array)) for name, array in zip("xy", samples)}
        _require_samples(arrays)
        for name, dims in _dims(arrays, samples.grid_axes).items():
            write_array(group, name, arrays[name], dims=dims)
        _write_flags(group, samples.grid_axes, samples.periodic)

    @staticmethod
    def read(group: Group) -> Samples:
        return _paired(group, *(read_array(group, name, None, ("f4", "f8")) for name in ("x", "y")))

    @staticmethod
    def fields(samples: Samples) -> Fields:
        """Return inputs and outputs, a step each sample; channels as fields of their own."""
        axes = samples.grid_axes
        if axes is None or samples.x.shape[-axes:] != samples.y.shape[-axes:]:
            raise InvalidValueError(f"{samples} are no fields on one grid; give grid_axes=, and x and y one grid")
        shape = tuple(int(n) for n in samples.x.shape[-axes:])

        def step(k: int) -> dict[str, Any]:
            found: dict[str, Any] = {}
            for name, array in zip("xy", samples):
                channels = array[k].reshape(-1, *shape)
                names = [name] if array.ndim == axes + 1 else [f"{name}_{c}" for c in range(len(channels))]
                found |= dict(zip(names, channels))
            return found

        return Fields(shape, ((float(k), step(k)) for k in range(len(samples.x))))


def _dims(arrays: Mapping[str, np.ndarray], grid_axes: int | None) -> dict[str, tuple[str, ...]]:
    """Return the names of the axes of x and y: sample, then channel where there is one, then those of the grid."""
    dims: dict[str, tuple[str, ...]] = {}
    grids = [array.shape[array.ndim - (grid_axes or 0) :] for array in arrays.values()]
    for name, array in arrays.items():
        count = array.ndim - 1 if grid_axes is None else grid_axes
        own = "" if grid_axes is not None and grids[0] == grids[1] else f"{name}_"
        channel = (f"{name}_channel",) * (array.ndim - 1 - count)
        dims[name] = ("sample", *channel, *(own + axis for axis in axis_dims(count)))
    return dims


def _write_flags(group: Group, grid_axes: int | None, periodic: bool | None) -> None:
    for name, value in (("grid_axes", grid_axes), ("periodic", periodic)):
        if value is not None:
            group.attrs[name] = int(value)


def read_flags(group: Group) -> tuple[int | None, bool | None]:
    """Return `grid_axes` and `periodic`, None where the file does not have them."""
    axes, periodic = (group.attrs.get(name) for name in ("grid_axes", "periodic"))
    for name, value, allowed in (("grid_axes", axes, (1, 2, 3)), ("periodic", periodic, (0, 1))):
        if value is not None and (np.ndim(value) or value not in allowed):
            raise FileFormatError(f"the attribute {name} is {value!r}; expected one of {allowed}")
    return None if axes is None else int(axes), None if periodic is None else bool(periodic)


def save_samples(
    path: str | Path,
    x: Any,
    y: Any,
    *,
    grid_axes: int | None = None,
    periodic: bool | None = None,
    command: str | None = None,
    units: str = "",
    comm: Comm = None,
    overwrite: bool = False,
    spacing: Sequence[float] | None = None,
) -> None:
    """Write inputs and outputs, whose first axis counts the samples, to one HDF5 file with datasets x and y.

    Parameters
    ----------
    path : path
        With the suffix `.vtkhdf`, the file also holds what ParaView and PyVista draw, a step each sample.
    x, y : array (n_local, ...)
        float32 or float64; this rank's samples. Their other axes are the same on all ranks. The file holds the samples
        in the order of the ranks.
    grid_axes, periodic : optional
        What the file says of the grid, see `Samples`.
    command : str, optional
        What made the samples; kept in the file.
    units : str
    comm : mpi4py communicator, optional
    overwrite : bool
        Replace a file that exists.
    spacing : sequence of float, optional
        Distances of the points along each axis of the grid, for what is drawn.

    Raises
    ------
    ShapeError, DTypeError
    InvalidValueError
        For NaN or Inf; if the file exists and is not to be replaced, or another process or thread writes it. On every
        rank.
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
    >>> save_samples(path, np.zeros((5, 8)), np.ones((5, 2, 8)), grid_axes=1, periodic=True)
    >>> load_samples(path)
    Samples(5 samples, x (8,), y (2, 8), grid_axes=1, periodic=True)
    """
    with agreed(comm, "save_samples") as agreement:
        arrays = {"x": np.asarray(to_host(x)), "y": np.asarray(to_host(y))}
        _require_samples(arrays)
        Samples(arrays["x"], arrays["y"], grid_axes, periodic)
        agreement.same(path=str(path), grid_axes=grid_axes, periodic=periodic, units=units, overwrite=overwrite)
        agreement.same(command=command, **{name: form(a, free=[0]) for name, a in arrays.items()})
        agreement.gather(len(arrays["x"]))
    counts = agreement.table[:, 0]
    work = Deferred()  # the other ranks wait for the verdict, whatever goes wrong
    if rank_of(comm) == 0:
        n_bytes = sum(int(counts.sum()) * math.prod(a.shape[1:]) * a.dtype.itemsize for a in arrays.values())
        streams = {name: _blocks(local, counts, comm) for name, local in arrays.items()}
        with work, create(path, make_header("samples", units, command), n_bytes, overwrite=overwrite) as file:
            for name, dims in _dims(arrays, grid_axes).items():
                local = arrays[name]
                _write(file, name, (int(counts.sum()), *local.shape[1:]), local.dtype, streams[name])
                name_axes(file[name], dims)
            _write_flags(file, grid_axes, periodic)
            write_spacing(file, spacing)
            if Path(path).suffix == SUFFIX:
                fields = _SamplesCodec.fields(Samples(file["x"], file["y"], grid_axes, periodic))
                write_fields(file, replace(fields, spacing=tuple(spacing or ())))
        for stream in streams.values():
            for _ in stream:  # after an error, what the others are sending must be taken, or they never get here
                pass
    else:
        for local in arrays.values():
            _send(local, comm)
    work.settle(comm, "save_samples")


def load_samples(path: str | Path, *, external_data: bool | None = None) -> Samples:
    """Return inputs and outputs from a file of samples, or from any HDF5 file with datasets x and y.

    Attributes `grid_axes` (1 to 3) and `periodic` (0 or 1) of the file say what the shapes do not.

    Parameters
    ----------
    path : path
        The file.
    external_data : bool, optional
        Read also what lies in other files, see `load`.

    Returns
    -------
    Samples
        x and y of the file's own dtypes.

    Raises
    ------
    FileFormatError
        For a missing, damaged or foreign file, one without x and y, or with different numbers of samples.
    """
    if is_foreign(path):
        with allow_external(external_data), open_any(path) as file:
            return _paired(file, *(read_foreign(file, name) for name in ("x", "y")))
    with allow_external(external_data), open_file(path, (KIND,)) as (file, _):
        return _SamplesCodec.read(file)


def load_inputs(path: str | Path, *, external_data: bool | None = None) -> Samples:
    """Return the samples of a file of `save_samples`, or of any HDF5 file with a dataset x; y is None if it has none.

    Parameters
    ----------
    path : path
        The file.
    external_data : bool, optional
        Read also what lies in other files, see `load`.

    Returns
    -------
    Samples

    Raises
    ------
    FileFormatError
        For a missing or damaged file, one without x, or with NaN or Inf in it.
    """
    with allow_external(external_data), open_any(path) as file:
        if "format" not in file.attrs and "y" not in file:
            return _paired(file, read_foreign(file, "x"), None)
    return load_samples(path, external_data=external_data)


def _paired(group: Group, x: np.ndarray, y: np.ndarray | None) -> Samples:
    """Return the samples in a group with what it says of their grid."""
    if y is None and not x.ndim:
        raise FileFormatError("x is one number; expected a dataset x (samples, ...)")
    if y is not None and (not x.ndim or not y.ndim or len(x) != len(y)):
        raise FileFormatError(f"x has shape {x.shape} and y has {y.shape}; expected as many samples in both")
    try:
        return Samples(x, y, *read_flags(group))
    except InvalidValueError as error:
        raise FileFormatError(str(error)) from error


def _require_samples(arrays: Mapping[str, np.ndarray]) -> None:
    x, y = arrays.values()
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float64):
            raise DTypeError(f"{name} has dtype {array.dtype}; expected float32 or float64")
        if not np.isfinite(array).all():
            raise InvalidValueError(f"{name} holds NaN or Inf; nothing was written")
    if not x.ndim or not y.ndim or len(x) != len(y):
        raise ShapeError(f"x has shape {x.shape} and y has {y.shape}; expected as many samples in both")


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
    dataset.flush()
    dataset.attrs["crc32"] = checksum
