"""Chosen frames of a trajectory as an extended XYZ file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sci.errors import FileFormatError, InvalidValueError
from sci.io.core.atomic_write import replacing
from sci.io.readers.frame import Frame
from sci.io.readers.trajectory import XYZ, read_positions
from sci.io.readers.xyz import xyz_texts

__all__ = ["copy_frames"]


def copy_frames(
    path: str | Path,
    out: str | Path,
    frames: Sequence[int],
    *,
    topology: str | Path | None = None,
    overwrite: bool = False,
) -> None:
    """Write some frames of a trajectory to an XYZ file.

    Parameters
    ----------
    path, topology : path
        As in `read_positions`.
    out : path
        Frames of an XYZ file are copied with all that they hold, line by line; others become extended XYZ with names,
        positions, cell, and charges where the file or its topology holds them.
    frames : sequence of int
        Numbers of the frames, from 0, ascending.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    FileFormatError
        For a frame that does not exist, a damaged file, or a disk that is full.
    InvalidValueError
        For numbers that do not ascend; if the file exists and is not to be replaced.
    MissingDependencyError
        If MDAnalysis or gemmi is needed and missing.

    Examples
    --------
    >>> import pathlib
    >>> from sci.io import copy_frames
    >>> _ = pathlib.Path("run.xyz").write_text("1\\n\\nHe 0 0 0\\n1\\n\\nHe 0 0 1\\n1\\n\\nHe 0 0 2\\n")
    >>> copy_frames("run.xyz", "chosen.xyz", [0, 2])
    >>> pathlib.Path("chosen.xyz").read_text().split()
    ['1', 'He', '0', '0', '0', '1', 'He', '0', '0', '2']
    """
    path, wanted = Path(path), [int(k) for k in frames]
    if not wanted or wanted[0] < 0 or (np.diff(wanted) <= 0).any():
        raise InvalidValueError(f"frames are {wanted[:8]}; expected ascending numbers from 0, at least one")
    with replacing(out, overwrite=overwrite) as temporary, open(temporary, "w", encoding="utf-8") as file:
        if topology is None and path.suffix.lower() in XYZ:
            chosen, last = set(wanted), -1
            for number, _, lines in xyz_texts(path, chosen.__contains__):
                last = number
                if number in chosen and lines is not None:
                    file.write("\n".join(lines) + "\n")
                if number == wanted[-1]:
                    break
            if last < wanted[-1]:
                raise FileFormatError(
                    f"{path}: there is no frame {wanted[-1]}, counted from 0; the file has {last + 1}"
                )
        else:
            for _, frame in read_positions(path, topology=topology, frames=wanted):
                file.write(_as_text(frame))


def _as_text(frame: Frame) -> str:
    """Return a frame in the format of extended XYZ."""
    charges = "" if frame.charges is None else ":initial_charges:R:1"
    header = f"Properties=species:S:1:pos:R:3{charges}"
    if frame.cell is not None:
        header = f'Lattice="{" ".join(f"{v:.10g}" for v in frame.cell.ravel())}" {header} pbc="T T T"'
    columns = frame.positions if frame.charges is None else np.column_stack([frame.positions, frame.charges])
    rows = (f"{name} {' '.join(f'{v:.10g}' for v in row)}" for name, row in zip(frame.names, columns))
    return "\n".join([str(len(frame.names)), header, *rows]) + "\n"
