"""Grids larger than memory: written and read in slabs of z, each a small grid of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sci.errors import InvalidValueError
from sci.io.core.hdf5 import create, open_file
from sci.io.core.header import make_header
from sci.io.core.outputs import reserve
from sci.io.grids.vtkhdf import Frame, checked_parts, create_image, fill, read_frame, slabs, stored_slabs, z_slab
from sci.potentials.grid import PotentialGrid

__all__ = ["GridSlabs", "read_slabs", "save_slabs"]


@dataclass(frozen=True)
class GridSlabs:
    """A grid in a file, which is read slab by slab: an iteration yields grids (nx, ny, k) from the lowest z up.

    Parameters
    ----------
    path : Path
    shape : (3,) int
        Points of the whole grid.
    origin, spacing : (3,) float, angstrom
    units : str
    dtype : dtype

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import read_slabs, save
    >>> from sci.potentials import PotentialGrid
    >>> save("grid.h5", PotentialGrid(np.zeros((3, 4, 5)), (0, 0, 0), (1, 1, 1)))
    >>> read_slabs("grid.h5").shape
    (3, 4, 5)
    """

    path: Path
    shape: tuple[int, int, int]
    origin: tuple[float, float, float]
    spacing: tuple[float, float, float]
    units: str
    dtype: np.dtype

    def __iter__(self) -> Iterator[PotentialGrid]:
        """Yield the slabs; a checksum that fails raises after the last one of a plain file, before the first of parts.

        Raises
        ------
        FileFormatError
        """
        with open_file(self.path, ("grid", "potential")) as (file, _):
            _, dataset = read_frame(file)
            for data, _ in checked_parts(file, dataset):
                for _ in stored_slabs(data, data.shape[::-1]):
                    pass
            whole = ((part, dataset[part]) for part in slabs(self.shape, self.dtype.itemsize))
            found: Iterator[tuple[slice, np.ndarray]] = (
                whole if dataset.is_virtual else stored_slabs(dataset, self.shape)
            )
            x, y, z = self.origin
            for part, values in found:
                lowest = (x, y, z + part.start * self.spacing[2])
                yield PotentialGrid(values.transpose(2, 1, 0), lowest, self.spacing, self.units)


def read_slabs(path: str | Path) -> GridSlabs:
    """Return the grid of a file of kind grid or potential, to be read slab by slab.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    GridSlabs

    Raises
    ------
    FileFormatError
        For a missing or damaged file, or one without a grid.

    Notes
    -----
    Memory: three slabs of about 16 MiB, whatever the size of the grid; parts that ranks wrote are read twice, the
    first time for their checksums.
    """
    with open_file(path, ("grid", "potential")) as (file, _):
        frame, dataset = read_frame(file)
        return GridSlabs(Path(path), frame.shape, frame.origin, frame.spacing, frame.units, dataset.dtype)


def save_slabs(
    path: str | Path,
    parts: Iterable[PotentialGrid],
    nz: int,
    *,
    compression: int | None = None,
    command: str | None = None,
    parent_uuid: str | None = None,
    overwrite: bool = False,
) -> None:
    """Write a grid that comes in slabs, from the lowest z up, to the file that `save` would write of the whole.

    Parameters
    ----------
    path : path
    parts : iterable of PotentialGrid
        Of shapes (nx, ny, k), any k: each begins where the one before ended; x, y, spacing, units and dtype of all as
        those of the first.
    nz : int
        Points of the whole grid along z.
    compression : int, optional
        gzip level 1 to 9 with byte shuffle; none by default.
    command, parent_uuid, overwrite : optional
        As in `save`.

    Raises
    ------
    InvalidValueError
        If the slabs do not fit together, or are not `nz` points in all. Nothing is left under `path`. Before the first
        slab is asked for: if the file exists and is not to be replaced, or another process or thread writes it.
    FileFormatError
        If the folder cannot be written to or the disk is full.

    Notes
    -----
    Memory: four slabs, that which the caller makes meanwhile included.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sci.potentials import PotentialGrid
    >>> path = pathlib.Path(tempfile.mkdtemp(), "large.h5")
    >>> flat = (PotentialGrid(np.full((4, 5, 2), k), (0, 0, 2 * k), (1, 1, 1)) for k in range(3))
    >>> save_slabs(path, flat, 6)
    >>> [float(slab.values.sum()) for slab in read_slabs(path)], read_slabs(path).shape
    ([120.0], (4, 5, 6))
    """
    with reserve(path, overwrite=overwrite):
        _save_slabs(path, iter(parts), nz, compression, command, parent_uuid)


def _save_slabs(
    path: str | Path,
    rest: Iterator[PotentialGrid],
    nz: int,
    compression: int | None,
    command: str | None,
    parent_uuid: str | None,
) -> None:
    first = next(rest, None)
    if first is None or nz < 1:
        raise InvalidValueError(f"a grid of {nz} points along z in no slab; expected at least one of each")
    nx, ny, _ = first.shape
    frame = Frame((nx, ny, nz), first.origin, first.spacing, first.units)
    dtype = first.values.dtype
    header = make_header("grid", first.units, command, parent_uuid)
    with create(path, header, nx * ny * nz * dtype.itemsize if compression is None else 0) as file:
        dataset = create_image(file, frame, dtype, compression)
        fill(dataset, _checked(first, rest, frame, dtype), frame)


def _checked(
    first: PotentialGrid, rest: Iterator[PotentialGrid], frame: Frame, dtype: np.dtype
) -> Iterator[np.ndarray]:
    """Yield the slabs in the file's order after checking that each continues the one before."""
    (nx, ny, nz), at, slab = frame.shape, 0, first
    while slab is not None:
        step = np.array(slab.origin) - np.array(frame.origin) - (0, 0, at * frame.spacing[2])
        same = (nx, ny, frame.spacing, frame.units, dtype)
        if (*slab.shape[:2], slab.spacing, slab.units, slab.values.dtype) != same or at + slab.shape[2] > nz:
            raise InvalidValueError(
                f"the slab from point {at} on has shape {slab.shape}, spacing {slab.spacing}, units {slab.units!r} and "
                f"dtype {slab.values.dtype}; expected ({nx}, {ny}, up to {nz - at}) and what the first has"
            )
        if np.abs(step).max() > 1e-6 * max(frame.spacing):
            raise InvalidValueError(f"the slab from point {at} on begins {step} angstrom from where the last one ended")
        for part in slabs(slab.shape, dtype.itemsize):
            yield z_slab(slab, part)
        at += slab.shape[2]
        slab = next(rest, None)  # type: ignore[assignment]
    if at != nz:
        raise InvalidValueError(f"the slabs end after {at} points along z; expected nz = {nz}")
