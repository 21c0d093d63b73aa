"""Save and load: one file holds one object, written and read by the codec of its class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py

from sci.distributed import Comm, agreed, rank_of
from sci.errors import FileFormatError, InvalidValueError
from sci.io.core.datasets import Group, member
from sci.io.core.external import external_data as allow_external
from sci.io.core.hdf5 import create, open_file
from sci.io.core.header import make_header
from sci.io.core.registry import kind_named, kind_of, size_of
from sci.io.core.results import RESULTS, read_results, write_results
from sci.io.grids.computed import ComputedGrid, write_slabs
from sci.io.grids.fields import SUFFIX, Fields, write_fields, write_spacing
from sci.io.grids.parts import save_with_parts
from sci.io.grids.vtkhdf import read_grid, write_grid
from sci.io.on_ranks import layout_of, write_parts
from sci.potentials.grid import PotentialGrid

__all__ = ["load", "load_grid", "load_results", "save", "save_potential_file"]


def save(
    path: str | Path,
    object: Any,
    *,
    results: Mapping[str, Any] | None = None,
    command: str | None = None,
    comm: Comm = None,
    parent_uuid: str | None = None,
    units: str | None = None,
    overwrite: bool = False,
    spacing: Sequence[float] | None = None,
) -> None:
    """Write an object to an HDF5 file that appears under `path` complete or not at all.

    Parameters
    ----------
    path : path
        With the suffix `.vtkhdf`, the file also holds what ParaView and PyVista draw of a field on a grid.
    object : object
        Of a class that has a codec: every class of the table in the page on files, and yours after `sci.io.codec`.
        Device arrays are copied to the host.
    results : mapping, optional
        Numbers, arrays, texts and mappings of them that belong to the object; `load_results` gives them back. A
        `Quantity` has units and names of its axes.
    command : str, optional
        What made the object; kept in the file.
    comm : mpi4py communicator, optional
        Rank 0 writes the object that it holds; the others may pass anything. A `Checkpoint` or `ModelState` with a
        `layout` lies in parts on the ranks of the layout: all pass theirs, and the file has whole arrays.
    parent_uuid : str, optional
        The uuid of the file that the object was made from.
    units : str, optional
        Units of the contents, where they are not those of the class.
    overwrite : bool
        Replace a file that exists. Nothing is replaced unasked, but within `sci.io.reserve` of the same name.
    spacing : sequence of float, optional
        Widths of a cell along each axis, of a field that does not know them: a solution, samples, smoke, a composite.

    Raises
    ------
    InvalidValueError
        For an object of another class; a subclass needs a codec of its own. For the suffix `.vtkhdf` and an object that
        is no field on a grid. If the file exists and is not to be replaced, or another process or thread writes it. On
        every rank.
    FileFormatError
        If the folder cannot be written to or the disk is full. On every rank.

    Notes
    -----
    Collective over `comm`. The file is flushed to the disk before it gets its name. Of arrays in parts rank 0 has one
    whole array in memory at a time.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sci.io import load, save
    >>> from sci.potentials import Particles
    >>> path = pathlib.Path(tempfile.mkdtemp(), "ions.h5")
    >>> save(path, Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.8]], [1.0, -1.0]))
    >>> load(path).n
    2
    """
    layout = layout_of(object)
    comm = comm if layout is None else layout.comm
    with agreed(comm, "save") as agreement:
        agreement.same(parts=layout is not None)
        agreement.same(path=str(path), overwrite=overwrite, command=command, parent_uuid=parent_uuid, units=units)
        kind = kind_of(object) if layout is not None or rank_of(comm) == 0 else None
    with agreed(comm, "save"):
        if kind is None:
            return
        header = make_header(kind.name, units or kind.units or str(getattr(object, "units", "")), command, parent_uuid)

        def write(file: Group, object: Any) -> None:
            kind.codec.write(file if kind.in_root else file.create_group(kind.name), object)
            write_spacing(file, spacing)
            if Path(path).suffix == SUFFIX and "VTKHDF" not in file:
                write_fields(file, _with_spacing(kind.fields(object), spacing))
            if results:
                write_results(file.create_group(RESULTS), results)

        def n_bytes(object: Any) -> int:
            return kind.n_bytes(object) + size_of(results or {})

        if layout is not None:
            write_parts(path, header, object, write, n_bytes, overwrite)
            return
        with create(path, header, n_bytes(object), overwrite=overwrite) as file:
            write(file, object)


def _with_spacing(fields: Fields, spacing: Sequence[float] | None) -> Fields:
    return fields if spacing is None else replace(fields, spacing=tuple(spacing))


def load(path: str | Path, *, external_data: bool | None = None, layout: Any = None) -> Any:
    """Return the object in a file that `save` wrote, after checking every dataset's shape, dtype and checksum.

    Parameters
    ----------
    path : path
        The file.
    external_data : bool, optional
        Read also what lies in other files, by links, external storage or virtual datasets; as the option of that name
        says, "off", unless given. For files that you trust: they may show you any file of this machine.
    layout : ParameterLayout, optional
        Read this rank's parts alone, of a checkpoint or a model: a `Checkpoint` or `ModelState` that lies so on the
        ranks of the layout, whatever number of ranks wrote the file.

    Returns
    -------
    object
        Of the class that was saved: arrays in it are those that were written, bit for bit.

    Raises
    ------
    FileFormatError
        For a missing, damaged or foreign file, or a file of parts that misses one; with a layout, for a file of another
        kind, or with arrays of other names or shapes.
    SchemaVersionError
        For a file of a newer version of the library.

    Notes
    -----
    With a layout collective over its ranks, which all read the file.
    """
    with (
        agreed(layout and layout.comm, "load"),
        allow_external(external_data),
        open_file(path) as (file, header),
    ):
        kind = kind_named(header.kind)
        group = file if kind.in_root else member(file, header.kind)  # older schemas keep the old name of the kind
        if not isinstance(group, h5py.Group):
            raise FileFormatError(f"the group /{header.kind} is missing; the file is damaged: make it again")
        if layout is None:
            return kind.codec.read(group)
        if not hasattr(kind.codec, "read_parts"):
            raise FileFormatError(f"the file holds kind {header.kind!r}, which has no parts; expected layout=None")
        return kind.codec.read_parts(group, layout)


def save_potential_file(
    path: str | Path,
    potential: Any,
    *,
    grid: PotentialGrid | ComputedGrid | None = None,
    grid_shape: Sequence[int] | None = None,
    local_start: Sequence[int] | None = None,
    results: Mapping[str, Any] | None = None,
    command: str | None = None,
    parent_uuid: str | None = None,
    comm: Comm = None,
    overwrite: bool = False,
) -> None:
    """Write the file of the main job: the potential, a grid that ParaView opens, and results.

    Parameters
    ----------
    path : path
    potential : RangeSeparatedPotential
        Built over the ranks of `comm`: the file holds the charges of all of them; or the same on all ranks.
    grid : PotentialGrid or ComputedGrid, optional
        The whole grid; one that ranks compute and rank 0 writes, slab by slab, see `save_computed_grid`; or, with
        `grid_shape` and `local_start`, this rank's box of it, None if it has no points.
    grid_shape, local_start : (3,) int, optional
        Shape of the whole grid, and index of this rank's first point in it.
    results : mapping, optional
        As in `save`: energy, error_estimate, forces, timings, ...
    command, parent_uuid, comm, overwrite
        As in `save`.

    Raises
    ------
    InvalidValueError
        If the boxes do not tile the grid; if the file exists and is not to be replaced, or another process or thread
        writes it. On every rank.
    FileFormatError
        If the folder cannot be written to or the disk is full; on every rank.

    Notes
    -----
    Collective over `comm`. A grid in boxes is written by all ranks at once, see `save_grid_parallel`.
    """
    kind = kind_of(potential)
    if Path(path).suffix == SUFFIX and grid is None and grid_shape is None:
        raise InvalidValueError(f"{path}: a potential without a grid is nothing to draw; give grid=, or another suffix")
    header = make_header(kind.name, kind.units, command, parent_uuid)

    def write(file: Group) -> None:
        kind.codec.write(file, potential)
        write_results(file.create_group(RESULTS), results or {})

    with agreed(comm, "save_potential_file") as agreement:
        agreement.same(path=str(path), overwrite=overwrite, command=command, parent_uuid=parent_uuid)
        agreement.same(grid_shape=grid_shape, local_start=local_start is not None)
        if (grid_shape is None) != (local_start is None):
            raise InvalidValueError("grid_shape without local_start, or the reverse; expected both for a grid in boxes")
    if grid_shape is not None and local_start is not None and not isinstance(grid, ComputedGrid):
        save_with_parts(path, header, write, grid, grid_shape, local_start, comm, overwrite)
        return

    computed = isinstance(grid, ComputedGrid)
    with agreed(comm, "save_potential_file") as agreement:
        agreement.same(computed=computed)
        if rank_of(comm) > 0:
            if isinstance(grid, ComputedGrid):
                write_slabs(None, grid, comm)
            return
        n_bytes = kind.n_bytes(potential) + size_of(results or {}) + (0 if grid is None else int(_nbytes(grid)))
        with create(path, header, n_bytes, overwrite=overwrite) as file:
            write(file)
            if isinstance(grid, ComputedGrid):
                write_slabs(file, grid, comm)
            elif grid is not None:
                write_grid(file, grid)


def _nbytes(grid: PotentialGrid | ComputedGrid) -> int:
    return grid.nbytes if isinstance(grid, ComputedGrid) else int(grid.values.nbytes)


def load_grid(path: str | Path) -> PotentialGrid:
    """Return the grid of a file of kind grid or potential.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    PotentialGrid

    Raises
    ------
    FileFormatError
        Also if the file holds no grid, or a part of it is missing.
    """
    with open_file(path, ("grid", "potential")) as (file, _):
        return read_grid(file)


def load_results(path: str | Path) -> dict[str, Any]:
    """Return the results in a file: numbers, arrays, texts and nested dictionaries; empty if it has none.

    Parameters
    ----------
    path : path
        The file.

    Returns
    -------
    dict
        By name: numbers, arrays, texts, and dicts of them.

    Raises
    ------
    FileFormatError, SchemaVersionError
    """
    with open_file(path) as (file, _):
        group = member(file, RESULTS)
        return read_results(group) if isinstance(group, h5py.Group) else {}
