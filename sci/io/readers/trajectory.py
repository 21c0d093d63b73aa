"""Frames of trajectories: text files through our readers, DCD, XTC and others with a topology through MDAnalysis."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from os.path import isfile
from pathlib import Path
from typing import Any

import numpy as np

from sci.distribution import install_command
from sci.errors import FileFormatError, MissingDependencyError
from sci.io.readers.frame import Frame
from sci.io.readers.macromolecule import model_positions
from sci.io.readers.pqr import pqr_models
from sci.io.readers.xyz import xyz_frames, xyz_positions
from sci.potentials.particles import Particles

__all__ = ["MODELS", "XYZ", "count_frames", "open_universe", "read_frames", "read_positions"]

XYZ = (".xyz", ".extxyz")
MODELS = {".pdb": "pdb", ".ent": "pdb", ".cif": "mmcif", ".mmcif": "mmcif", ".pqr": "pqr"}
"""Formats of structures whose models are frames, by suffix."""


def count_frames(path: str | Path, *, topology: str | Path | None = None, charges: bool = True) -> int:
    """Return the number of frames of a trajectory; a text file is read through once.

    Parameters
    ----------
    path : path
        The file.
    topology : path, optional
        A file that names the charges of the atoms, for formats of MDAnalysis.
    charges : bool
        False counts frames for `read_positions`, which needs no charges.

    Returns
    -------
    int
        Frames in the file, without reading their places.

    Raises
    ------
    FileFormatError, MissingDependencyError
    """
    if topology is None:
        frames = _frames if charges else _positions
        return sum(1 for _ in frames(Path(path), None, lambda frame: False))
    return len(open_universe(Path(path), Path(topology), charges).trajectory)


def read_frames(
    path: str | Path, *, topology: str | Path | None = None, frames: Sequence[int] | None = None
) -> Iterator[tuple[int, Particles]]:
    """Yield number and particles of the frames of a trajectory, one in memory at a time.

    Parameters
    ----------
    path : path
        XYZ or extended XYZ with charges, as `read_structure` takes them; with a `topology` any trajectory that
        MDAnalysis reads: DCD, XTC, TRR, ...
    topology : path, optional
        A file that names the charges of the atoms: PSF, PQR, TPR, PRMTOP, ... Needs the extra `trajectories`.
    frames : sequence of int, optional
        Numbers of the frames wanted, from 0, ascending; all unless given.

    Yields
    ------
    (int, Particles)

    Raises
    ------
    FileFormatError
        With one line, also if a frame that is wanted does not exist.
    MissingDependencyError
        If MDAnalysis is needed and missing.
    """
    yield from _chosen(path, _frames, count_frames, topology, frames)


def read_positions(
    path: str | Path, *, topology: str | Path | None = None, frames: Sequence[int] | None = None
) -> Iterator[tuple[int, Frame]]:
    """Yield number and atoms of the frames of a trajectory, without charges, one in memory at a time.

    Parameters
    ----------
    path : path
        XYZ or extended XYZ; PDB, mmCIF or PQR, whose models are the frames; with a `topology` any trajectory that
        MDAnalysis reads: DCD, XTC, TRR, ...
    topology : path, optional
        A file that names the atoms: PDB, GRO, PSF, TPR, PRMTOP, ... Needs the extra `trajectories`.
    frames : sequence of int, optional
        Numbers of the frames wanted, from 0, ascending; all unless given.

    Yields
    ------
    (int, Frame)

    Raises
    ------
    FileFormatError
        With one line, also if a frame that is wanted does not exist.
    MissingDependencyError
        If MDAnalysis or gemmi is needed and missing.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sci.io import read_positions
    >>> path = pathlib.Path(tempfile.mkdtemp(), "run.xyz")
    >>> _ = path.write_text("1\\n\\nHe 0 0 0\\n1\\n\\nHe 0 0 1.5\\n")
    >>> [(number, frame.positions[0, 2]) for number, frame in read_positions(path)]
    [(0, np.float64(0.0)), (1, np.float64(1.5))]
    """
    yield from _chosen(path, _positions, partial(count_frames, charges=False), topology, frames)


def _chosen(
    path: str | Path, read: Any, count: Callable[..., int], topology: str | Path | None, frames: Sequence[int] | None
) -> Iterator[tuple[int, Any]]:
    """Yield the frames that are wanted; `read` yields None for the others."""
    wanted: Sequence[int] = range(count(path, topology=topology)) if frames is None else frames
    last, chosen = -1, wanted if isinstance(wanted, range) else set(wanted)
    for number, frame in read(Path(path), None if topology is None else Path(topology), chosen.__contains__):
        last = number
        if frame is not None:
            yield number, frame
        if len(wanted) and number >= wanted[-1]:
            return
    if len(wanted) and last < wanted[-1]:
        raise FileFormatError(f"{path}: there is no frame {wanted[-1]}, counted from 0; the file has {last + 1}")


def _positions(path: Path, topology: Path | None, wanted: Callable[[int], bool]) -> Iterator[tuple[int, Frame | None]]:
    suffix = path.suffix.lower()
    if topology is not None:
        yield from _analyzed_positions(path, topology, wanted)
    elif suffix in XYZ:
        yield from xyz_positions(path, wanted)
    elif suffix == ".pqr":
        models = [atoms for atoms in pqr_models(path, trusted=True) if atoms]
        if not models:
            raise FileFormatError(f"{path}: no atoms; expected at least one ATOM or HETATM record")
        for number, atoms in enumerate(models):
            table = np.array([atom[2:] for atom in atoms])
            names = tuple(atom[1] for atom in atoms)
            yield number, Frame(table[:, :3], names, charges=table[:, 3]) if wanted(number) else None
    elif suffix in MODELS:
        for number, frame in enumerate(model_positions(path, MODELS[suffix])):
            yield number, frame if wanted(number) else None
    else:
        raise FileFormatError(
            f"{path}: a trajectory of this kind names no atoms; pass a topology that does (PDB, GRO, PSF, TPR), or a "
            f"file with the suffix {', '.join((*XYZ, *MODELS))}"
        )


def _frames(path: Path, topology: Path | None, wanted: Callable[[int], bool]) -> Iterator[tuple[int, Particles | None]]:
    if topology is not None:
        yield from _analyzed(path, topology, wanted)
        return
    if path.suffix.lower() not in XYZ:
        raise FileFormatError(
            f"{path}: a trajectory of this kind names no charges; pass a topology that does (PSF, PQR, TPR, PRMTOP), "
            f"or a file with the suffix {' or '.join(XYZ)}"
        )
    yield from xyz_frames(path, wanted)


def open_universe(path: Path, topology: Path, charges: bool = True) -> Any:
    """Return the MDAnalysis universe of a trajectory, whose atoms have charges if they are wanted."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import MDAnalysis
    except ImportError as error:
        raise MissingDependencyError(
            f"trajectories with a topology need MDAnalysis: {install_command('trajectories')}"
        ) from error
    for file in (path, topology):
        if not isfile(file):
            raise FileFormatError(f"{file}: there is no such file; check the name and the folder")
    what = ("with the charges", "with charges ") if charges else ("with the atoms", "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            universe = MDAnalysis.Universe(str(topology), str(path))
        len(universe.trajectory)  # a universe without one raises
        found = universe.atoms.charges if charges else ()
    except Exception as error:  # its readers raise nearly every class
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"{path}: MDAnalysis cannot read it {what[0]} of {topology} ({reason}); expected a trajectory and "
            f"a topology {what[1]}of the same atoms"
        ) from error
    if not np.isfinite(found).all():
        raise FileFormatError(f"{topology}: it holds charges that are not finite; expected numbers in e")
    return universe


def _analyzed(path: Path, topology: Path, wanted: Callable[[int], bool]) -> Iterator[tuple[int, Particles | None]]:
    universe = open_universe(path, topology)
    charges = np.asarray(universe.atoms.charges, dtype=np.float64)
    names = tuple(map(str, universe.atoms.names))
    for number, step in _steps(universe, path, wanted):
        if step is None:
            yield number, None
            continue
        positions = np.asarray(universe.atoms.positions, dtype=np.float64)
        yield number, Particles(positions, charges, names=names, cell=_cell(step))


def _analyzed_positions(
    path: Path, topology: Path, wanted: Callable[[int], bool]
) -> Iterator[tuple[int, Frame | None]]:
    universe = open_universe(path, topology, charges=False)
    atoms = universe.atoms
    names = tuple(map(str, getattr(atoms, "names", getattr(atoms, "types", ("X",) * len(atoms)))))
    charges = np.asarray(atoms.charges, dtype=np.float64) if hasattr(atoms, "charges") else None
    for number, step in _steps(universe, path, wanted):
        if step is None:
            yield number, None
            continue
        positions = np.asarray(atoms.positions, dtype=np.float64)
        if not np.isfinite(positions).all():
            raise FileFormatError(f"{path}: frame {number} holds NaN or Inf; the file is damaged")
        yield number, Frame(positions, names, _cell(step), charges)


def _steps(universe: Any, path: Path, wanted: Callable[[int], bool]) -> Iterator[tuple[int, Any]]:
    """Yield number and time step of every frame, None where a frame is not wanted."""
    for number in range(len(universe.trajectory)):
        if not wanted(number):
            yield number, None
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                step = universe.trajectory[number]
            except Exception as error:
                raise FileFormatError(
                    f"{path}: frame {number} cannot be read ({error}); the file is damaged"
                ) from error
        yield number, step


def _cell(step: Any) -> np.ndarray | None:
    if step.dimensions is None or not np.all(step.dimensions[:3]):
        return None
    from MDAnalysis.lib.mdamath import triclinic_vectors

    return np.asarray(triclinic_vectors(step.dimensions), dtype=np.float64)
