"""Frames of a smoke plume in a file, written one by one while the computation goes on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np

from sci.applications.smoke import SmokeFrame
from sci.errors import FileFormatError
from sci.io.core.datasets import (
    Group,
    axis_dims,
    member,
    member_names,
    read_array,
    read_text,
    write_array,
    write_text,
)
from sci.io.core.hdf5 import create, open_file
from sci.io.core.header import make_header
from sci.io.core.registry import codec
from sci.io.grids.fields import SUFFIX, Fields, FieldWriter, write_spacing
from sci.solvers import SolveResult

__all__ = ["SmokeRun", "save_smoke"]

KIND = "smoke"
_FIELDS = ("density", "pressure", "source")


class SmokeRun(Sequence[SmokeFrame]):
    """The frames of a smoke plume; those of a file are read one by one, when they are asked for.

    Parameters
    ----------
    frames : sequence of SmokeFrame

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sci.applications import SmokePlume
    >>> from sci.io import SmokeRun, load, save
    >>> plume = SmokePlume((8, 12), np.zeros((8, 12), bool), np.eye(8, 12, dtype=bool))
    >>> path = pathlib.Path(tempfile.mkdtemp(), "plume.h5")
    >>> save(path, SmokeRun(list(plume.run(0.1, 3))))
    >>> load(path)
    SmokeRun of 3 frames
    >>> load(path)[-1].density.shape
    (8, 12)
    """

    def __init__(self, frames: Sequence[SmokeFrame]) -> None:
        self._frames = frames

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._frames)

    @overload
    def __getitem__(self, index: int) -> SmokeFrame: ...

    @overload
    def __getitem__(self, index: slice) -> SmokeRun: ...

    def __getitem__(self, index: int | slice) -> SmokeFrame | SmokeRun:
        """Return one frame, or a run of some of them."""
        if isinstance(index, slice):
            return SmokeRun([self[k] for k in range(*index.indices(len(self)))])
        return self._frames[index]

    def __repr__(self) -> str:
        """Return the number of frames."""
        return f"SmokeRun of {len(self)} frames"


@dataclass(frozen=True)
class _StoredFrames(Sequence[SmokeFrame]):
    """The frames of a file, read when they are asked for."""

    path: Path
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: Any) -> Any:
        number = range(self.length)[index]
        with open_file(self.path, (KIND,)) as (file, _):
            return _read_frame(_frame(file, _name(number)))


@codec(SmokeRun, kind=KIND, in_root=True)
class _SmokeCodec:
    """Groups `frame_000000`, `frame_000001`, ...: `density`, `pressure`, `source` (*grid), `velocity_0`, `velocity_1`,
    ... (faces), `residual_norms` of the pressure; attribute `about` (JSON: time, iterations, seconds,
    converged)."""

    compressible = ("frame_*/density", "frame_*/pressure", "frame_*/source", "frame_*/velocity_*")

    @staticmethod
    def write(group: Group, run: SmokeRun) -> None:
        for number, frame in enumerate(run):
            _write_frame(group, number, frame, None)

    @staticmethod
    def read(group: Group) -> SmokeRun:
        names = [name for name in member_names(group) if name.startswith("frame_")]
        if names != [_name(k) for k in range(len(names))]:
            raise FileFormatError(f"a frame is missing among {len(names)}; the file is damaged: make it again")
        for name in names:
            _read_frame(_frame(group, name))  # a damaged frame is named by `load`, not later
        return SmokeRun(_StoredFrames(Path(group.file.filename), len(names)))

    @staticmethod
    def fields(run: SmokeRun) -> Fields:
        """Return density, pressure, its source and the velocity at the centers of the cells, with time."""
        shape = tuple(run[0].density.shape) if len(run) else (1,)
        return Fields(shape, ((frame.time, _at_centers(frame, None)) for frame in run))

    @staticmethod
    def n_bytes(run: SmokeRun) -> int:
        """Return the size of the fields of all frames."""
        first = run[0] if len(run) else None
        return 0 if first is None else len(run) * (4 + first.density.ndim) * int(first.density.nbytes)


def save_smoke(
    path: str | Path,
    frames: Iterable[SmokeFrame],
    *,
    dtype: Any = np.float32,
    command: str | None = None,
    overwrite: bool = False,
    spacing: Sequence[float] | None = None,
) -> int:
    """Write frames as they come, each to a group of its own; return their number.

    Parameters
    ----------
    path : path
        Appears when the last frame is written; `load` gives a `SmokeRun`. With the suffix `.vtkhdf` it also holds what
        ParaView and PyVista draw.
    frames : iterable of SmokeFrame
    dtype : float32 or float64
        Of the fields in the file.
    command : str, optional
    overwrite : bool
        Replace a file that exists.
    spacing : sequence of float, optional
        Widths of a cell, for what is drawn.

    Returns
    -------
    int
        The number of frames that were written.

    Raises
    ------
    InvalidValueError
        If the file exists and is not to be replaced, or another process or thread writes it; before the first frame.
    FileFormatError
        If the folder cannot be written to or the disk is full.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sci.applications import SmokePlume
    >>> plume = SmokePlume((8, 12), np.zeros((8, 12), bool), np.eye(8, 12, dtype=bool))
    >>> save_smoke(pathlib.Path(tempfile.mkdtemp(), "plume.h5"), plume.run(0.1, 3))
    3
    """
    count = 0
    drawn: FieldWriter | None = None
    with create(path, make_header(KIND, "", command), overwrite=overwrite) as file:
        for count, frame in enumerate(frames, start=1):
            _write_frame(file, count - 1, frame, dtype)
            if Path(path).suffix == SUFFIX:
                drawn = drawn or FieldWriter(file, tuple(frame.density.shape), tuple(spacing or ()))
                drawn.append(frame.time, _at_centers(frame, dtype))
        if drawn is not None:
            drawn.close()
        write_spacing(file, spacing)
    return count


def _at_centers(frame: SmokeFrame, dtype: Any) -> dict[str, np.ndarray]:
    """Return the fields of a frame in its cells; the velocity of a cell is the mean of those of its faces."""
    shape, found = frame.density.shape, {}
    for name in _FIELDS:
        values = getattr(frame, name)
        if values is not None:
            found[name] = values if dtype is None else values.astype(dtype)
    velocity = np.zeros((*shape, 3), dtype=found["density"].dtype)
    for axis, faces in enumerate(frame.velocity):
        low, high = (np.take(faces, np.arange(shape[axis]) + step, axis=axis) for step in (0, 1))
        velocity[..., axis] = 0.5 * (low + high)
    return {**found, "velocity": velocity}


def _name(number: int) -> str:
    return f"frame_{number:06d}"


def _write_frame(file: Group, number: int, frame: SmokeFrame, dtype: Any) -> None:
    group, result = file.create_group(_name(number)), frame.result
    about = {"time": float(frame.time), "iterations": int(result.iterations), "seconds": float(result.seconds)}
    about["converged"] = bool(result.converged)
    write_text(group, "about", json.dumps(about))
    write_array(group, "residual_norms", np.asarray(result.residual_norms, dtype=np.float64), dims=("iteration",))
    cells = axis_dims(frame.density.ndim)
    fields = {name: (getattr(frame, name), cells) for name in _FIELDS}
    for axis, values in enumerate(frame.velocity):
        fields[f"velocity_{axis}"] = values, tuple(f"face_{k}" if k == axis else f"axis_{k}" for k in range(len(cells)))
    for name, (values, dims) in fields.items():
        if values is not None:
            write_array(group, name, values if dtype is None else values.astype(dtype), dims=dims)


def _frame(file: Group, name: str) -> Group:
    found = member(file, name)
    if not isinstance(found, h5py.Group):
        raise FileFormatError(f"the group /{name} is missing; the file is damaged: make it again")
    return found


def _read_frame(group: Group) -> SmokeFrame:
    fields = {name: read_array(group, name, None, ("f4", "f8")) for name in _FIELDS if name in group}
    if "density" not in fields or "pressure" not in fields:
        raise FileFormatError(f"{group.name} lacks density or pressure; the file is damaged")
    axes = sum(name.startswith("velocity_") for name in member_names(group))
    velocity = tuple(read_array(group, f"velocity_{axis}", None, ("f4", "f8")) for axis in range(axes))
    if "time_iterations_residual" in group:  # schema 1
        time, iterations, residual = read_array(group, "time_iterations_residual", (3,)).tolist()
        norms, about = np.array([residual]), {"seconds": 0.0, "converged": True}
    else:
        about = json.loads(read_text(group, "about"))
        norms, time, iterations = (
            read_array(group, "residual_norms", (None,)),
            float(about["time"]),
            about["iterations"],
        )
    converged, seconds = bool(about["converged"]), float(about["seconds"])
    found = SolveResult(fields["pressure"], int(iterations), norms, converged, seconds)
    return SmokeFrame(time, fields["density"], velocity, fields["pressure"], fields.get("source"), found)
