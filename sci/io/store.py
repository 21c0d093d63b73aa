"""Save and load: one kind of file for each class that the library stores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

import h5py

from sci.distributed import Comm, agree, rank_of
from sci.errors import FileFormatError, InvalidValueError
from sci.io.codecs import models, periodic, tensors, trajectory
from sci.io.codecs.potential import read_potential, read_results, write_potential, write_results
from sci.io.core.hdf5 import Group, create, make_header, open_file, read_text
from sci.io.core.parallel import save_with_parts
from sci.io.exports.vtkhdf import read_grid, write_grid
from sci.potentials.grid import PotentialGrid

__all__ = ["KINDS", "Kind", "describe", "load", "load_grid", "load_results", "save", "save_potential_file"]


@dataclass(frozen=True)
class Kind:
    """How one class is stored.

    Parameters
    ----------
    class_name : str
        Its name alone, so that loading particles imports no kernels.
    units : str
        What the header says if the caller does not.
    write : callable (group, object) -> None
    read : callable (group) -> object
    in_root : bool
        The functions take the file's root instead of a group with the name of the kind.
    """

    class_name: str
    units: str
    write: Callable[[Group, Any], None]
    read: Callable[[Group], Any]
    in_root: bool = False


KINDS: dict[str, Kind] = {
    "particles": Kind("Particles", "angstrom, e", tensors.write_particles, tensors.read_particles),
    "canonical": Kind("Canonical", "", tensors.write_canonical, tensors.read_canonical),
    "tucker": Kind("Tucker", "", tensors.write_tucker, tensors.read_tucker),
    "chebtuck": Kind("ChebTuck", "", tensors.write_chebtuck, tensors.read_chebtuck),
    "model": Kind("Model", "", models.write_model, models.read_model),
    "checkpoint": Kind("Checkpoint", "", models.write_checkpoint, models.read_checkpoint),
    "periodic": Kind("PeriodicPotential", "angstrom, e, e/angstrom", periodic.write_periodic, periodic.read_periodic),
    "lattice": Kind("LatticePotential", "angstrom, e, e/angstrom", periodic.write_lattice, periodic.read_lattice),
    trajectory.KIND: Kind("Trajectory", trajectory.UNITS, trajectory.write_trajectory, trajectory.read_trajectory),
    "grid": Kind("PotentialGrid", "", write_grid, read_grid, in_root=True),
    "potential": Kind(
        "RangeSeparatedPotential", "angstrom, e, e/angstrom", write_potential, read_potential, in_root=True
    ),
}
"""Every kind of file that `save` writes and `load` reads."""


def save(
    path: str | Path,
    object: Any,
    *,
    command: str | None = None,
    comm: Comm = None,
    parent_uuid: str | None = None,
    units: str | None = None,
) -> None:
    """Write an object to an HDF5 file that appears under `path` complete or not at all.

    Parameters
    ----------
    path : path
    object : Particles, Canonical, Tucker, ChebTuck, PotentialGrid, RangeSeparatedPotential, PeriodicPotential,
        LatticePotential, Trajectory, Model or Checkpoint.
        Device arrays are copied to the host. An object with a method `to_model` is stored as the model it returns.
    command : str, optional
        What made the object; kept in the file.
    comm : mpi4py communicator, optional
        All ranks hold the object; rank 0 writes it.
    parent_uuid : str, optional
        The uuid of the file that the object was made from.
    units : str, optional
        Units of the contents, where they are not those of the class.

    Raises
    ------
    InvalidValueError
        For an object of another class.
    FileFormatError
        If the folder cannot be written to or the disk is full; on every rank.

    Notes
    -----
    Collective over `comm`. The file is flushed to the disk before it gets its name.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sci.io import load, save
    >>> from sci.potentials.particles import Particles
    >>> path = pathlib.Path(tempfile.mkdtemp(), "ions.h5")
    >>> save(path, Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.8]], [1.0, -1.0]))
    >>> load(path).n
    2
    """
    if hasattr(object, "to_model"):
        object = object.to_model()
    name = _kind_of(object)
    kind = KINDS[name]
    header = make_header(name, units or kind.units or str(getattr(object, "units", "")), command, parent_uuid)
    problem: Exception | None = None
    if rank_of(comm) == 0:
        try:
            with create(path, header, _n_bytes(object)) as file:
                kind.write(file if kind.in_root else file.create_group(name), object)
        except Exception as error:  # the other ranks wait for the verdict, whatever went wrong
            problem = error
    agree(comm, problem)


def load(path: str | Path) -> Any:
    """Return the object in a file that `save` wrote, after checking every dataset's shape, dtype and checksum.

    Raises
    ------
    FileFormatError
        For a missing, damaged or foreign file, or a file of parts that misses one.
    SchemaVersionError
        For a file of a newer version of the library.
    """
    with open_file(path, tuple(KINDS)) as (file, header):
        kind = KINDS[header.kind]
        if kind.in_root:
            return kind.read(file)
        group = file.get(header.kind)
        if not isinstance(group, h5py.Group):
            raise FileFormatError(f"the group /{header.kind} is missing; the file is damaged: make it again")
        return kind.read(group)


def save_potential_file(
    path: str | Path,
    potential: Any,
    *,
    grid: PotentialGrid | None = None,
    grid_shape: Sequence[int] | None = None,
    local_start: Sequence[int] | None = None,
    results: Mapping[str, Any] | None = None,
    command: str | None = None,
    parent_uuid: str | None = None,
    comm: Comm = None,
) -> None:
    """Write the file of the main job: the potential, a grid that ParaView opens, and results.

    Parameters
    ----------
    path : path
    potential : RangeSeparatedPotential
        Built over the ranks of `comm`: the file holds the charges of all of them; or the same on all ranks.
    grid : PotentialGrid, optional
        The whole grid; or, with `grid_shape` and `local_start`, this rank's box of it, None if it has no points.
    grid_shape, local_start : (3,) int, optional
        Shape of the whole grid, and index of this rank's first point in it.
    results : mapping, optional
        Numbers, arrays, texts and mappings of them: energy, error_estimate, forces, timings, ...
    command, parent_uuid, comm
        As in `save`.

    Raises
    ------
    InvalidValueError
        If the boxes do not tile the grid.
    FileFormatError
        If the folder cannot be written to or the disk is full; on every rank.

    Notes
    -----
    Collective over `comm`. A grid in boxes is written by all ranks at once, see `save_grid_parallel`.
    """
    header = make_header("potential", KINDS["potential"].units, command, parent_uuid)

    def write(file: Group) -> None:
        write_potential(file, potential)
        write_results(file.create_group("results"), results or {})

    if grid_shape is not None and local_start is not None:
        save_with_parts(path, header, write, grid, grid_shape, local_start, comm)
        return
    problem: Exception | None = None
    if rank_of(comm) == 0:
        try:
            with create(path, header, _n_bytes(potential) + _n_bytes(grid)) as file:
                write(file)
                if grid is not None:
                    write_grid(file, grid)
        except Exception as error:  # the other ranks wait for the verdict, whatever went wrong
            problem = error
    agree(comm, problem)


def load_grid(path: str | Path) -> PotentialGrid:
    """Return the grid of a file of kind grid or potential.

    Raises
    ------
    FileFormatError
        Also if the file holds no grid, or a part of it is missing.
    """
    with open_file(path, ("grid", "potential")) as (file, _):
        return read_grid(file)


def load_results(path: str | Path) -> dict[str, Any]:
    """Return the results in a file of kind potential: numbers, arrays, texts and nested dictionaries."""
    with open_file(path, ("potential",)) as (file, _):
        return read_results(file["results"]) if "results" in file else {}


def describe(path: str | Path) -> dict[str, Any]:
    """Return what a file holds, ready for JSON: the header, the size, and shape and dtype of every dataset.

    Raises
    ------
    FileFormatError, SchemaVersionError
    """
    datasets: dict[str, dict[str, Any]] = {}

    def note(name: str, member: Any) -> None:
        if isinstance(member, h5py.Dataset):
            datasets[name] = {"shape": list(member.shape), "dtype": str(member.dtype), "bytes": int(member.nbytes)}
            if "units" in member.attrs:
                datasets[name]["units"] = read_text(member, "units")

    with open_file(path) as (file, header):
        file.visititems(note)
        entries = {f.name: getattr(header, f.name) for f in fields(header)}
        return {**entries, "file_bytes": Path(path).stat().st_size, "datasets": datasets}


def _kind_of(object: Any) -> str:
    for name, kind in KINDS.items():
        if any(cls.__name__ == kind.class_name for cls in type(object).__mro__):
            return name
    classes = ", ".join(kind.class_name for kind in KINDS.values())
    raise InvalidValueError(f"cannot save a {type(object).__name__}; expected one of {classes}")


def _n_bytes(object: Any) -> int:
    """Estimate the space that an object takes in a file."""
    if isinstance(object, tuple):
        return sum(map(_n_bytes, object))
    if isinstance(object, dict):
        return sum(map(_n_bytes, object.values()))
    if is_dataclass(object):
        return sum(_n_bytes(getattr(object, f.name)) for f in fields(object))
    if hasattr(object, "particles") and (hasattr(object, "modes") or hasattr(object, "repeats")):
        return _n_bytes(object.particles) + int(getattr(getattr(object, "modes", None), "nbytes", 8))
    if hasattr(object, "long_range"):
        return _n_bytes(object.particles) + _n_bytes(object.long_range)
    return int(getattr(object, "nbytes", 8))
