"""Arrays of a file with the names of their axes and their units, for tools that work with labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.io.codecs.trajectory import ERRORS, KIND
from sci.io.core.datasets import Group, member, member_names, read_array, read_text
from sci.io.core.dimensions import axis_names, is_bare_axis
from sci.io.core.hdf5 import open_file
from sci.io.grids.vtkhdf import NAME, read_grid
from sci.io.store import load

__all__ = ["LabelledArray", "load_arrays"]

_DTYPES = (*("f2", "f4", "f8", "c8", "c16", "S"), *("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"))
_VTKHDF = "VTKHDF"


@dataclass(frozen=True, eq=False)
class LabelledArray:
    """An array of a file.

    Parameters
    ----------
    values : array
        The numbers, one axis for each name of `dims`.
    dims : tuple of str
        Names of its axes. The array of one axis that has its own name gives the places on that axis.
    units : str
        "1" for numbers without a dimension, "" where nobody knows.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.io import LabelledArray
    >>> LabelledArray(np.zeros((5, 3)), ("particle", "xyz"), "angstrom")
    LabelledArray(particle: 5, xyz: 3; float64, units 'angstrom')
    """

    values: np.ndarray
    dims: tuple[str, ...]
    units: str = ""

    def __repr__(self) -> str:
        """Return the axes with their lengths, and the units."""
        axes = ", ".join(f"{name}: {length}" for name, length in zip(self.dims, self.values.shape))
        return f"LabelledArray({axes or 'a number'}; {self.values.dtype}, units {self.units!r})"


def load_arrays(path: str | Path) -> dict[str, LabelledArray]:
    """Return every array and number of a file under its name in the file, after checking it.

    Parameters
    ----------
    path : path
        A file of any kind of this library.

    Returns
    -------
    dict of LabelledArray
        Of a trajectory the finished frames; of a grid the values (x, y, z), also where ranks wrote them in parts.

    Raises
    ------
    FileFormatError
        For a missing, damaged or foreign file.
    SchemaVersionError
        For a file of a newer version of the library.

    Examples
    --------
    >>> from sci.io import load_arrays, save
    >>> from sci.potentials import Particles
    >>> save("ions.h5", Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.8]], [1.0, -1.0]))
    >>> load_arrays("ions.h5")["particles/positions"]
    LabelledArray(particle: 2, xyz: 3; float64, units 'angstrom')
    """
    with open_file(path) as (file, header):
        found: dict[str, LabelledArray] = {}
        for name, dataset in _datasets(file):
            group = name.partition("/")[0]
            if group == _VTKHDF or (group == header.kind == KIND):
                continue
            values = read_array(file, name, None, _DTYPES)
            values = np.char.decode(values, "utf-8") if values.dtype.kind == "S" else values
            dims = tuple(axis_names(dataset)) if values.ndim else ()
            found[name] = LabelledArray(values, dims, read_text(dataset, "units", ""))
        if header.kind in ("grid", "potential") and isinstance(member(file, _VTKHDF), h5py.Group):
            found |= _grid(file)
    return found | _trajectory(path) if header.kind == KIND else found


def _datasets(group: Group, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name in member_names(group):
        item = member(group, name)
        if isinstance(item, h5py.Group):
            yield from _datasets(item, f"{prefix}{name}/")
        elif isinstance(item, h5py.Dataset) and not is_bare_axis(item):
            yield prefix + name, item


def _grid(file: Group) -> dict[str, LabelledArray]:
    grid = read_grid(file)
    axes = zip("xyz", grid.origin, grid.spacing, grid.shape)
    found = {f"{_VTKHDF}/{name}": LabelledArray(o + h * np.arange(n), (name,), "angstrom") for name, o, h, n in axes}
    return {**found, f"{_VTKHDF}/PointData/{NAME}": LabelledArray(grid.values, ("x", "y", "z"), grid.units)}


def _trajectory(path: str | Path) -> dict[str, LabelledArray]:
    done = load(path)
    found = {
        "frames": LabelledArray(done.frames, ("frames",), "1"),
        "energies": LabelledArray(done.energies, ("frames",), "e^2/angstrom"),
        "forces": LabelledArray(done.forces, ("frames", "particle", "xyz"), "e^2/angstrom^2"),
    }
    if done.errors is not None:
        for k, name in enumerate(ERRORS):
            found[name] = LabelledArray(done.errors[:, k], ("frames", "relative_and_worst"))
    return {f"{KIND}/{name}": array for name, array in found.items()}
