"""Series of frames that are compressed while they come, in one file that a kill at any moment leaves whole."""

from __future__ import annotations

import contextlib
import json
import math
import os
import time as clock
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import to_host
from sci.compression import CompressedGrid
from sci.compression.chunks.grid import NUMBERS, compress_chunk, folded_axes
from sci.compression.chunks.plans import absolute_tolerance
from sci.compression.fields.bounds import norm_of
from sci.compression.fields.field import BoundKind
from sci.compression.fields.header import METHODS, Method
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.io.codecs.compressed.arrays import (
    EXTENT,
    GRID,
    TIMES,
    about_array,
    about_of,
    read_grid_of,
    with_journal,
    write_chunks,
)
from sci.io.codecs.compressed.journal import encoded, end_of_hdf5, end_of_journal, records
from sci.io.core.datasets import read_text, write_array, write_text
from sci.io.core.hdf5 import create, open_file
from sci.io.core.header import Header, make_header
from sci.io.core.outputs import reserve, write_error

__all__ = ["CompressedSeries"]

SYNC_SECONDS = 1.0
"""Chunks are flushed to the disk itself this often: what a loss of power may cost."""


@entry
class CompressedSeries:
    """A file of frames that are compressed as they come; `load` and `read_compressed` read it at any time.

    Parameters
    ----------
    path : path
        The file, of kind compressed_grid: axis 0 are the frames.
    tol : float
        Largest error relative to the L2 norm, or to the range, of all frames.
    bound : "l2" or "maximum"
    relative : bool
        False takes `tol` as the largest difference itself, for `bound="maximum"`.
    frames : int
        Frames of a chunk, which are compressed together: more of them take fewer bytes, and a kill costs more.
    methods, periodic : optional
        As in `compress`; axis 0 of a chunk are the frames.
    resume : bool
        Go on with a file that exists, of the same frames and settings.
    overwrite : bool
        Replace a file that exists.
    command : str, optional
        What made the file; kept in it.

    Raises
    ------
    InvalidValueError
        For other settings; if the file exists and is neither to be continued nor to be replaced; if another process
        writes it. In `append` for NaN and Inf.
    ShapeError, DTypeError
        In `append`, for a frame unlike the first.
    FileFormatError
        If the folder cannot be written to or the disk is full; finished chunks stay.

    Notes
    -----
    A context manager. Each chunk keeps the tolerance relative to its own norm or range, so the whole keeps it at any
    time, whatever comes later; frames of very different size cost more than `compress_grid` of all of them. A process
    that is killed leaves a file that opens, with all finished chunks; at the end the chunks are joined to one HDF5
    dataset, for which they are copied once. The process that holds the whole frames writes: on ranks, gather them.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import CompressedSeries, load
    >>> x = np.linspace(0.0, 6.0, 64)
    >>> with CompressedSeries("waves.h5", 1e-3, frames=4) as series:
    ...     for t in range(10):
    ...         series.append(np.sin(x[:, None] - 0.1 * t) * np.cos(x), time=0.1 * t)
    >>> load("waves.h5").shape, load("waves.h5")[7].shape
    ((10, 64, 64), (64, 64))
    """

    def __init__(
        self,
        path: str | Path,
        tol: float,
        *,
        bound: BoundKind = "l2",
        relative: bool = True,
        frames: int = 8,
        methods: Sequence[Method] = METHODS,  # type: ignore[assignment]
        periodic: Sequence[int] = (),
        resume: bool = False,
        overwrite: bool = False,
        command: str | None = None,
    ) -> None:
        if not 0 < tol < math.inf:
            raise InvalidValueError(f"tol is {tol}; expected a finite number above 0")
        if frames < 1:
            raise InvalidValueError(f"frames is {frames}; expected at least 1 in a chunk")
        if not relative and bound == "l2":
            raise InvalidValueError(
                "relative=False in L2 needs the number of frames; use bound='maximum', or compress_grid of all frames"
            )
        self.path, self.tol, self.bound, self.relative, self.frames = Path(path), tol, bound, relative, frames
        self._periodic, self._methods = tuple(periodic), tuple(methods)
        self._command, self._resume = command, resume
        self._stack = contextlib.ExitStack()
        self._waiting: list[np.ndarray] = []
        self._times: list[float | None] = []
        self._like: tuple[tuple[int, ...], str] | None = None
        self._raw: Any = None
        self._synced = clock.monotonic()
        self._count = 0
        self._stack.enter_context(reserve(self.path, overwrite=overwrite or resume))
        try:
            if resume and self.path.exists():
                self._continue()
        except BaseException:
            self._stack.close()
            raise

    def __repr__(self) -> str:
        """Return file, number of frames and tolerance."""
        return f"CompressedSeries({str(self.path)!r}, {len(self)} frames, tol={self.tol:.3g}, bound={self.bound!r})"

    def __len__(self) -> int:
        return self._count + len(self._waiting)

    def __enter__(self) -> CompressedSeries:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self._abandon()

    def append(self, frame: Any, *, time: float | None = None) -> None:
        """Take the next frame; a chunk that is full is compressed and written.

        Parameters
        ----------
        frame : array
            float32 or float64, of one shape and dtype throughout.
        time : float, optional
            Given for all frames or for none.

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, FileFormatError
        """
        values = np.array(to_host(frame))
        if values.dtype not in (np.float32, np.float64):
            raise DTypeError(f"the frame has dtype {values.dtype}; expected float32 or float64")
        if values.ndim == 0 or not values.size:
            raise ShapeError(f"the frame has shape {values.shape}; expected at least one axis, and none of length 0")
        if not np.isfinite(values).all():
            raise InvalidValueError(f"frame {len(self)} holds NaN or Inf; expected finite numbers")
        if self._like is not None and (values.shape, values.dtype.name) != self._like:
            raise ShapeError(
                f"frame {len(self)} has shape {values.shape} and dtype {values.dtype}; expected {self._like[0]} and "
                f"{self._like[1]} as before"
            )
        if len(self) and (time is None) != (None in self._times[-1:]):
            raise InvalidValueError(f"time of frame {len(self)} is {time}; expected one for all frames or for none")
        if self._raw is None:
            self._begin(values)
        self._waiting.append(values)
        self._times.append(time)
        if len(self._waiting) == self.frames:
            self._write()

    def close(self) -> None:
        """Write the frames that wait, and join all chunks to one dataset; a second time does nothing."""
        if self._raw is None:
            self._stack.close()
            return
        try:
            if self._waiting:
                self._write()
            self._raw.close()
            self._raw = None
            self._join()
        finally:
            self._abandon()

    def _abandon(self) -> None:
        """Leave the file as it is, with all finished chunks."""
        if self._raw is not None:
            self._raw.close()
            self._raw = None
        self._waiting = []
        self._stack.close()

    def _begin(self, first: np.ndarray) -> None:
        """Make the file without frames."""
        self._like = first.shape, first.dtype.name
        empty = about_array((0, *first.shape), first.dtype.name, ((0,),), self.tol, self.bound, self.relative, 0.0)
        with create(self.path, make_header(GRID, "", self._command)) as file:
            group = file.create_group(GRID)
            write_chunks(group, (), empty)
            write_text(group, EXTENT, json.dumps([math.inf, -math.inf]))
        self._open()

    def _open(self) -> None:
        """Open the file behind its last whole record."""
        end = end_of_journal(self.path)
        self._raw = self.path.open("r+b", buffering=0)
        self._raw.truncate(end)
        self._raw.seek(end)

    def _continue(self) -> None:
        with open_file(self.path, (GRID,)) as (file, _):
            group = file[GRID]
            grid = with_journal(read_grid_of(group, lazily=True), group)
            is_series = EXTENT in group.attrs
        then = (grid.tol, grid.bound, grid.relative)
        if not is_series or then != (self.tol, self.bound, self.relative):
            raise InvalidValueError(
                f"{self.path}: tol, bound and relative are {then}, not {(self.tol, self.bound, self.relative)}, or no "
                "CompressedSeries wrote it; give the same again to resume, or write to another file"
            )
        self._like, self._count = (grid.shape[1:], grid.dtype), grid.shape[0]
        self._times = [None] if grid.times is None else [float(grid.times[-1])]
        self._open()

    def _write(self) -> None:
        """Compress the frames that wait, and append their record."""
        values = np.stack(self._waiting)
        low, high = float(values.min()), float(values.max())
        unit = (norm_of(values) if self.bound == "l2" else high - low) if self.relative else 1.0
        axes = folded_axes(values.shape, self._periodic)
        chunk = compress_chunk(values, absolute_tolerance(self.tol, unit), self.bound, self._methods, axes)
        times = [] if None in self._times[-1:] else self._times[-len(values) :]
        about = {name: getattr(chunk, name) for name in ("method", *NUMBERS)}
        about |= {"frames": len(values), "extent": [low, high], "times": times}
        self._put(encoded(about, chunk.data.tobytes()))
        self._count += len(values)
        self._waiting, self._times = [], self._times[-1:]

    def _put(self, record: bytes) -> None:
        start = self._raw.tell()
        try:
            left = memoryview(record)
            while left:
                left = left[self._raw.write(left) :]
            if clock.monotonic() - self._synced > SYNC_SECONDS:
                os.fsync(self._raw.fileno())
                self._synced = clock.monotonic()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._raw.truncate(start)
                self._raw.seek(start)
            raise write_error(self.path, error, len(record)) from error

    def _join(self) -> None:
        """Write the file again with all chunks in one dataset."""
        with open_file(self.path, (GRID,)) as (file, header):
            group = file[GRID]
            grid = with_journal(read_grid_of(group, lazily=True), group)
            extent = json.loads(read_text(group, EXTENT))
        for record in records(self.path):
            low, high = record.about["extent"]
            extent = [min(extent[0], low), max(extent[1], high)]
        _rewrite(self.path, header, grid, extent)


def _rewrite(path: Path, header: Header, grid: CompressedGrid, extent: Sequence[float]) -> None:
    with create(path, header, path.stat().st_size - end_of_hdf5(path)) as new:
        group = new.create_group(GRID)
        write_chunks(group, grid.chunks, about_of(grid))
        if grid.times is not None:
            write_array(group, TIMES, grid.times, "", ("frame",))
        write_text(group, EXTENT, json.dumps(extent))
