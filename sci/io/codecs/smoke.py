"""Frames of a smoke plume in a file, written one by one while the computation goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sci.errors import FileFormatError
from sci.io.core.hdf5 import create, make_header, open_file, read_array, write_array

__all__ = ["load_smoke", "save_smoke"]

KIND = "smoke"


def save_smoke(path: str | Path, frames: Iterable[Any], *, command: str | None = None) -> int:
    """Write frames as they come, each to a group of its own; return their number.

    Parameters
    ----------
    path : path
        Appears when the last frame is written.
    frames : iterable of SmokeFrame
    command : str, optional

    Raises
    ------
    FileFormatError
        If the folder cannot be written to or the disk is full.
    """
    count = 0
    with create(path, make_header(KIND, "", command)) as file:
        for count, frame in enumerate(frames, start=1):
            group = file.create_group(f"frame_{count - 1:06d}")
            numbers = np.array([frame.time, frame.result.iterations, frame.result.residual_norms[-1]])
            write_array(group, "time_iterations_residual", numbers)
            for name in ("density", "pressure"):
                write_array(group, name, getattr(frame, name).astype(np.float32))
            for axis, values in enumerate(frame.velocity):
                write_array(group, f"velocity_{axis}", values.astype(np.float32))
    return count


def load_smoke(path: str | Path) -> Iterator[dict[str, Any]]:
    """Yield each frame of a file of `save_smoke`: time, iterations, residual, density, pressure and velocity.

    Raises
    ------
    FileFormatError
        For a missing, damaged or foreign file.
    """
    with open_file(path, (KIND,)) as (file, _):
        names = sorted(name for name in file if name.startswith("frame_"))
        if names != [f"frame_{k:06d}" for k in range(len(names))]:
            raise FileFormatError(f"{path}: a frame is missing among {len(names)}; the file is damaged: make it again")
        for name in names:
            group = file[name]
            time, iterations, residual = read_array(group, "time_iterations_residual", (3,))
            axes = sum(member.startswith("velocity_") for member in group)
            yield {
                "time": float(time),
                "iterations": int(iterations),
                "residual": float(residual),
                "density": read_array(group, "density", None, ("f4",)),
                "pressure": read_array(group, "pressure", None, ("f4",)),
                "velocity": tuple(read_array(group, f"velocity_{axis}", None, ("f4",)) for axis in range(axes)),
            }
