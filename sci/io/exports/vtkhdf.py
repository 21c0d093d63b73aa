"""Files of any kind that is a field on a grid as VTKHDF with time, for ParaView and PyVista."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py

from sci.io.core.datasets import member
from sci.io.core.dimensions import copy_data
from sci.io.core.hdf5 import create, open_file
from sci.io.core.header import make_header
from sci.io.core.outputs import reserve
from sci.io.core.registry import kind_of
from sci.io.core.results import RESULTS
from sci.io.grids.fields import read_spacing, write_fields, write_spacing
from sci.io.grids.parts import join_parts
from sci.io.store import load

__all__ = ["export_vtkhdf"]


def export_vtkhdf(path: str | Path, out: str | Path, *, overwrite: bool = False) -> None:
    """Write a file again with its fields as VTKHDF; `load` gives the same object from both.

    Parameters
    ----------
    path : path
        A file of a grid, of a potential with a grid, or of an object that is a field: a Poisson problem, a solution,
        samples, smoke, a composite, an EquiNO model.
    out : path
        The new file; ParaView and PyVista expect the suffix `.vtkhdf`. Its parent_uuid is the uuid of the old one.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InvalidValueError
        If the object is no field; if `out` exists and is not to be replaced, or another process or thread writes it.
    FileFormatError
        For a damaged file, a potential without a grid, or a full disk.

    Notes
    -----
    Grids are copied in slabs of 16 MiB, frames of smoke one by one; other objects are in memory as a whole.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sci.io import describe, export_vtkhdf, save_samples
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> save_samples(folder / "set.h5", np.zeros((5, 8, 8)), np.ones((5, 2, 8, 8)), grid_axes=2)
    >>> export_vtkhdf(folder / "set.h5", folder / "set.vtkhdf")
    >>> describe(folder / "set.vtkhdf")["datasets"]["VTKHDF/CellData/y_0"]["shape"]
    [5, 1, 8, 8]
    """
    with open_file(path) as (file, header):
        spacing = None if header.kind in ("grid", "potential") else read_spacing(file)
    with reserve(out, overwrite=overwrite):
        if header.kind in ("grid", "potential"):
            join_parts(path, out)
            return
        found = load(path)
        kind = kind_of(found)
        fields = kind.fields(found)
        with create(out, make_header(kind.name, header.units, header.command, header.uuid), kind.n_bytes(found)) as new:
            kind.codec.write(new if kind.in_root else new.create_group(kind.name), found)
            if "spacing" not in new.attrs:
                write_spacing(new, spacing)
            with open_file(path) as (old, _):
                results = member(old, RESULTS)
                if isinstance(results, h5py.Group):
                    copy_data(results, new.create_group(RESULTS))
            write_fields(new, fields if spacing is None else replace(fields, spacing=spacing))
