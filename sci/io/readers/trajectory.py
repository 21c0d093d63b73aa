"""Frames of trajectories: XYZ through our reader, DCD, XTC and others with a topology through MDAnalysis."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sci.distribution import install_command
from sci.errors import FileFormatError, MissingDependencyError
from sci.io.readers.xyz import xyz_frames
from sci.potentials.particles import Particles

__all__ = ["count_frames", "read_frames"]

XYZ = (".xyz", ".extxyz")


def count_frames(path: str | Path, *, topology: str | Path | None = None) -> int:
    """Return the number of frames of a trajectory; a text file is read through once.

    Parameters
    ----------
    path : path
        The file.
    topology : path, optional
        A file that names the charges of the atoms, for formats of MDAnalysis.

    Returns
    -------
    int

    Raises
    ------
    FileFormatError, MissingDependencyError
    """
    if topology is None:
        return sum(1 for _ in _frames(Path(path), None, lambda frame: False))
    return len(_universe(Path(path), Path(topology)).trajectory)


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
    wanted: Sequence[int] = range(count_frames(path, topology=topology)) if frames is None else frames
    last, chosen = -1, set(wanted)
    for number, particles in _frames(Path(path), None if topology is None else Path(topology), chosen.__contains__):
        last = number
        if particles is not None:
            yield number, particles
    if len(wanted) and last < wanted[-1]:
        raise FileFormatError(f"{path}: there is no frame {wanted[-1]}, counted from 0; the file has {last + 1}")


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


def _universe(path: Path, topology: Path) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import MDAnalysis
    except ImportError as error:
        raise MissingDependencyError(
            f"trajectories with a topology need MDAnalysis: {install_command('trajectories')}"
        ) from error
    for file in (path, topology):
        if not file.is_file():
            raise FileFormatError(f"{file}: there is no such file; check the name and the folder")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            universe = MDAnalysis.Universe(str(topology), str(path))
        charges = universe.atoms.charges
    except Exception as error:  # its readers raise nearly every class
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(
            f"{path}: MDAnalysis cannot read it with the charges of {topology} ({reason}); expected a trajectory and "
            "a topology with charges of the same atoms"
        ) from error
    if not np.isfinite(charges).all():
        raise FileFormatError(f"{topology}: it holds charges that are not finite; expected numbers in e")
    return universe


def _analyzed(path: Path, topology: Path, wanted: Callable[[int], bool]) -> Iterator[tuple[int, Particles | None]]:
    universe = _universe(path, topology)
    charges = np.asarray(universe.atoms.charges, dtype=np.float64)
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
        positions = np.asarray(universe.atoms.positions, dtype=np.float64)
        yield number, Particles(positions, charges, names=tuple(map(str, universe.atoms.names)), cell=_cell(step))


def _cell(step: Any) -> np.ndarray | None:
    if step.dimensions is None or not np.all(step.dimensions[:3]):
        return None
    from MDAnalysis.lib.mdamath import triclinic_vectors

    return np.asarray(triclinic_vectors(step.dimensions), dtype=np.float64)
