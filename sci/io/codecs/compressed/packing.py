"""Whole files whose fields are compressed: everything else is copied exactly."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import sci
from sci.arguments import collective_entry
from sci.compression import CompressedField
from sci.compression.chunks.grid import compress_chunks, total_errors
from sci.compression.chunks.plans import ChunkPlan, plan_chunks
from sci.compression.fields.field import BoundKind
from sci.compression.fields.header import METHODS, Method
from sci.distributed import Comm, agreed, rank_of
from sci.errors import FileFormatError, InvalidValueError
from sci.io.codecs.compressed.arrays import GRID, about_array, write_chunks
from sci.io.codecs.compressed.rules import (
    NUMPY,
    RECORD,
    copy_root,
    full_disk_told,
    opened_npy,
    stored_fields,
)
from sci.io.core.datasets import PACKED, Group, read_text, write_text
from sci.io.core.dimensions import copy_attributes, copy_data
from sci.io.core.hdf5 import create, open_file
from sci.io.core.header import Header, make_header
from sci.io.core.outputs import reserve

__all__ = ["CompressedDataset", "compress_file"]


@dataclass(frozen=True)
class CompressedDataset:
    """What became of a field of a file.

    Parameters
    ----------
    name : str
        Path in the file; "" for the array of a .npy file.
    shape : tuple of int
    dtype : str
    nbytes, stored : int
        Bytes before and after.
    chunks : int
    l2_error, maximum_error, l2_norm, value_range : float
        As in `CompressedGrid`.
    methods : tuple of str
        That were the best of some chunk.

    Examples
    --------
    >>> from sci.io import CompressedDataset
    >>> CompressedDataset("x", (64, 64), "float64", 32768, 512, 1, 0.09, 0.01, 100.0, 5.0, ("tucker",))
    CompressedDataset('x', 64 to 1, relative L2 error 0.0009, maximum 0.002 of the range)
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int
    stored: int
    chunks: int
    l2_error: float
    maximum_error: float
    l2_norm: float
    value_range: float
    methods: tuple[str, ...]

    def __repr__(self) -> str:
        kept = f"relative L2 error {self.relative_l2_error:.3g}, maximum {self.relative_maximum_error:.3g} of the range"
        return f"CompressedDataset({self.name!r}, {self.ratio:.3g} to 1, {kept})"

    @property
    def ratio(self) -> float:
        """Bytes before divided by bytes after."""
        return self.nbytes / max(1, self.stored)

    @property
    def relative_l2_error(self) -> float:
        """The error over the field in the L2 norm; 0 for a field of zeros."""
        return self.l2_error / self.l2_norm if self.l2_norm > 0 else 0.0

    @property
    def relative_maximum_error(self) -> float:
        """The largest error over the range; 0 for a constant field."""
        return self.maximum_error / self.value_range if self.value_range > 0 else 0.0


@collective_entry
def compress_file(
    path: str | Path,
    out: str | Path,
    tol: float,
    *,
    bound: BoundKind = "l2",
    relative: bool = True,
    chunk: int | Sequence[int] | None = None,
    methods: Sequence[Method] = METHODS,  # type: ignore[assignment]
    datasets: Sequence[str] | None = None,
    command: str | None = None,
    overwrite: bool = False,
    comm: Comm = None,
) -> tuple[CompressedDataset, ...]:
    """Write a file again with its fields compressed; all else is copied exactly.

    The new file is of the same kind, with the same header, and `load` reads it as before, with an error in its fields.

    Parameters
    ----------
    path : path
        A file of sci; or a .npy file, which becomes one of kind compressed_grid.
    out : path
        The new file.
    tol, bound, relative, chunk, methods
        As in `sci.compression.compress_grid`, for each field.
    datasets : sequence of str, optional
        Compress these datasets and no others, whatever they are; `stored_fields` tells which they are otherwise.
    command : str, optional
        What made the file; kept in it.
    overwrite : bool
        Replace a file that exists.
    comm : mpi4py communicator, optional
        Ranks compress chunks of their own, and rank 0 writes; the file depends on no number of ranks.

    Returns
    -------
    tuple of CompressedDataset
        What became of each field. A field of integers alone is copied exactly, and missing here.

    Raises
    ------
    FileFormatError
        As `stored_fields`; for a file without a field; if the folder cannot be written to or the disk is full. On every
        rank.
    InvalidValueError
        For other settings, for NaN or Inf; if `out` is the input, or exists and is not to be replaced. On every rank.

    Notes
    -----
    Collective. Fields are read in chunks, twice. Memory of each rank: at most 16 chunks, whatever the size of the
    field, which are 270 MB of chunks of 2^21 numbers in double precision.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import compress_file, load, save_samples
    >>> x = np.sin(np.linspace(0.0, 9.0, 64))[:, None] * np.ones((10, 64, 64))
    >>> save_samples("set.h5", x, x, grid_axes=2)
    >>> done = compress_file("set.h5", "small.h5", 1e-3)
    >>> [one.name for one in done], load("small.h5").x.shape
    (['x', 'y'], (10, 64, 64))
    """
    path, out = Path(path), Path(out)
    with agreed(comm, "compress_file") as agreement:
        agreement.same(path=str(path), out=str(out), tol=tol, bound=bound, relative=relative, datasets=datasets)
        agreement.same(methods=methods, command=command, overwrite=overwrite, chunk=chunk)
    with agreed(comm, "compress_file"):
        if out.exists() and path.exists() and out.samefile(path):
            raise InvalidValueError(f"{out} is the input; choose another name for the output")
        fields = [one for one in stored_fields(path, datasets=datasets) if not one.reason]
        if not fields:
            raise FileFormatError(f"{path}: holds no field to compress; `datasets` chooses arrays by name")
    job = _Job(tol, bound, relative, chunk, methods, command, datasets is not None, comm)
    with reserve(out, overwrite=overwrite, comm=comm), agreed(comm, "compress_file"):
        if path.suffix.lower() == NUMPY:
            return job.of_array(path, opened_npy(path), out)
        return job.of_file(path, [one.name for one in fields], out)


@dataclass(frozen=True)
class _Job:
    """The settings of a compression."""

    tol: float
    bound: BoundKind
    relative: bool
    chunk: int | Sequence[int] | None
    methods: Sequence[Method]
    command: str | None
    asked: bool
    comm: Comm

    def of_array(self, path: Path, field: np.ndarray, out: Path) -> tuple[CompressedDataset, ...]:
        plan = self.plan_of(str(path), field)
        with self.writing(out, make_header(GRID, "", self.command)) as new:
            group = None if new is None else new.create_group(GRID)
            return (self.write(group, "", field, plan, (), "about"),)

    def of_file(self, path: Path, names: Sequence[str], out: Path) -> tuple[CompressedDataset, ...]:
        done = []
        with open_file(path) as (file, header), full_disk_told(out):
            plans = {name: self.plan_of(name, file[name]) for name in names}
            packed = [name for name in names if self.asked or not plans[name].integral]
            if not packed:
                raise FileFormatError(f"{path}: its fields hold integers alone, which are copied exactly")
            with self.writing(out, header) as new:
                if new is not None:
                    copy_root(file, new, header)
                    copy_data(file, new, packed)
                for name in packed:
                    group = None if new is None else new.create_group(name)
                    if group is not None:
                        copy_attributes(file[name], group, ("crc32",))
                    periodic = _periodic_axes(file, header, file[name])
                    done.append(self.write(group, name, file[name], plans[name], periodic, PACKED))
                if new is not None:
                    self.note(new, file, done)
        return tuple(done)

    def plan_of(self, name: str, field: Any) -> ChunkPlan:
        """Return the plan of a field, and name the field in errors."""
        try:
            return self.plan(field)
        except InvalidValueError as error:
            raise InvalidValueError(f"{name}: {error}") from error

    def plan(self, field: Any) -> ChunkPlan:
        settings = {"bound": self.bound, "relative": self.relative, "chunk": self.chunk, "comm": self.comm}
        return plan_chunks(field, self.tol, **settings)

    @contextlib.contextmanager
    def writing(self, out: Path, header: Header) -> Iterator[Group | None]:
        """Yield the new file on rank 0, and None elsewhere."""
        if rank_of(self.comm) > 0:
            yield None
            return
        with create(out, header) as new:
            yield new

    def write(
        self,
        group: Group | None,
        name: str,
        field: Any,
        plan: ChunkPlan,
        periodic: tuple[int, ...],
        attribute: str,
    ) -> CompressedDataset:
        """Compress a field on all ranks, and write it on rank 0."""
        seen: list[tuple[float, float, int, str]] = []
        chunks = compress_chunks(field, plan, methods=self.methods, periodic=periodic, comm=self.comm)

        def noted() -> Iterator[CompressedField]:
            for chunk in chunks:
                seen.append((chunk.l2_error, chunk.maximum_error, chunk.nbytes, chunk.method))
                yield chunk

        settings = (self.tol, self.bound, self.relative, plan.value_range)
        about = about_array(plan.shape, plan.dtype, plan.edges, *settings)
        about["checked"] = "crc32" in getattr(field, "attrs", ())
        if group is None:
            for _ in noted():
                pass
        else:
            write_chunks(group, noted(), about, attribute)
        l2_errors, largest, sizes, used = zip(*seen)
        errors = total_errors(l2_errors, largest)
        nbytes = math.prod(plan.shape) * np.dtype(plan.dtype).itemsize
        numbers = (nbytes, sum(sizes), len(sizes), *errors, plan.l2_norm, plan.value_range)
        return CompressedDataset(name, plan.shape, plan.dtype, *numbers, tuple(sorted(set(used))))

    def note(self, new: Group, file: Group, done: Sequence[CompressedDataset]) -> None:
        """Note in the header how the fields were compressed, and what was noted so before."""
        record: dict[str, Any] = {"tol": self.tol, "bound": self.bound, "relative": self.relative}
        record |= {"command": self.command or "", "created": datetime.now(UTC).isoformat(timespec="seconds")}
        record |= {"sci_version": sci.__version__, "errors": {one.name: _errors(one) for one in done}}
        if RECORD in file.attrs:
            record["before"] = json.loads(read_text(file, RECORD))
        write_text(new, RECORD, json.dumps(record))


def _errors(one: CompressedDataset) -> dict[str, float]:
    return {"relative": one.relative_l2_error, "worst": one.relative_maximum_error}


def _periodic_axes(file: Group, header: Header, dataset: Any) -> tuple[int, ...]:
    """Return the axes of a dataset of samples on a periodic grid."""
    axes = int(file.attrs.get("grid_axes", 0)) if header.kind == "samples" and file.attrs.get("periodic", 0) else 0
    return tuple(range(dataset.ndim - axes, dataset.ndim)) if axes < dataset.ndim else ()
