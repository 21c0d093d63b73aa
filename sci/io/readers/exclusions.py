"""Exclusions of the atoms of a trajectory or a structure: from bonds of a topology or a list, or from distances."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from sci.errors import FileFormatError, InvalidValueError
from sci.io.readers.text import read_lines, require_file
from sci.io.readers.trajectory import open_universe, read_frames
from sci.potentials.forcefield.bonds import bonds_by_distance
from sci.potentials.forcefield.exclusions import Exclusions
from sci.potentials.particles import Particles

__all__ = ["BondSource", "read_exclusions", "structure_exclusions"]

BondSource = Literal["topology", "distance"]

_LISTS = (".txt", ".dat", ".bonds")
_LETTERS = frozenset("HCNOPSF")
_TWO_LETTERS = frozenset(["CL", "BR", "NA", "MG", "ZN", "MN", "FE", "CU", "LI", "SE", "SI", "AL", "NI"])
"""Elements of the names of atoms: other names begin with that of hydrogen to fluorine."""


def read_exclusions(
    path: str | Path, *, topology: str | Path | None = None, bonds: BondSource = "topology", scale14: float = 1.0
) -> Exclusions:
    """Read the exclusions of the atoms of a trajectory.

    Parameters
    ----------
    path, topology : path
        As in `read_frames`.
    bonds : "topology" or "distance"
        The bonds that the topology names, or those that the distances of the first frame tell, by covalent radii.
    scale14 : float
        As in `Exclusions.from_bonds`.

    Returns
    -------
    Exclusions

    Raises
    ------
    FileFormatError
        For a topology without bonds, or atoms whose elements are not known.
    InvalidValueError
        For bonds of a topology that is not given.
    MissingDependencyError
        If MDAnalysis is needed and missing.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sci.io import read_exclusions
    >>> path = pathlib.Path(tempfile.mkdtemp(), "water.xyz")
    >>> _ = path.write_text("3\\n\\nO 0 0 0 -0.8\\nH 0.96 0 0 0.4\\nH -0.24 0.93 0 0.4\\n")
    >>> read_exclusions(path, bonds="distance")
    Exclusions(3 pairs left out and 0 scaled, of 3 atoms)
    """
    if bonds not in ("topology", "distance"):
        raise InvalidValueError(f"bonds is {bonds!r}; expected 'topology' or 'distance'")
    if bonds == "topology":
        if topology is None:
            raise InvalidValueError("bonds of a topology are asked for, and no topology is given; or use 'distance'")
        universe = open_universe(Path(path), Path(topology))
        found = getattr(universe, "bonds", None)
        if found is None or not len(found):
            raise FileFormatError(f"{topology}: it names no bonds; take them from distances, or another topology")
        return Exclusions.from_bonds(np.asarray(found.indices, dtype=np.int64), len(universe.atoms), scale14=scale14)
    _, first = next(read_frames(path, topology=topology, frames=range(1)))
    names = first.names if topology is None else _elements(Path(path), Path(topology))
    if names is None:
        raise FileFormatError(f"{path}: it names no atoms; expected their elements")
    try:
        pairs = bonds_by_distance(first.positions, names, cell=first.cell)
    except InvalidValueError as error:
        raise FileFormatError(f"{path}: {error}") from error
    return Exclusions.from_bonds(pairs, first.n, scale14=scale14)


def structure_exclusions(
    path: str | Path,
    particles: Particles,
    *,
    bonds: str | Path = "distance",
    scale14: float = 1.0,
    format: str | None = None,
) -> Exclusions:
    """Return the exclusions of the atoms of a structure, from the bonds that distances or a file tell.

    Parameters
    ----------
    path : path
        The structure file.
    particles : Particles
        As `read_structure` returns them, with names.
    bonds : "distance" or path
        By covalent radii; or a file: `.txt`, `.dat` or `.bonds` with two atoms a line, counted from 0, or a topology
        that MDAnalysis reads.
    scale14 : float
        As in `Exclusions.from_bonds`.
    format : {"pqr", "xyz", "pdb", "mmcif"}, optional
        As in `read_structure`. Names in XYZ are elements; in others they begin with them, as CA and HB2 do, and those
        of chlorine, bromine and the usual metals are spelled out.

    Returns
    -------
    Exclusions

    Raises
    ------
    FileFormatError
        For a file without bonds, or one that names something else than two atoms of the structure.
    InvalidValueError
        For names that are no elements.
    MissingDependencyError
        If MDAnalysis is needed and missing.

    Examples
    --------
    >>> from sci.io import structure_exclusions
    >>> from sci.potentials import Particles
    >>> water = Particles([[0.0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]], [-0.8, 0.4, 0.4], names=("O", "H", "H"))
    >>> structure_exclusions("water.xyz", water)
    Exclusions(3 pairs left out and 0 scaled, of 3 atoms)
    """
    if str(bonds) == "distance":
        if particles.names is None:
            raise InvalidValueError("the particles have no names, which tell their elements; expected a file of bonds")
        xyz = (format or Path(path).suffix.lower()) in ("xyz", ".xyz", ".extxyz")
        elements = particles.names if xyz else [_element_of(name) for name in particles.names]
        pairs = bonds_by_distance(particles.positions, elements, cell=particles.cell)
        return Exclusions.from_bonds(pairs, particles.n, scale14=scale14)
    source = Path(bonds)
    require_file(source)
    if not source.exists():
        raise FileFormatError(f"{source}: there is no such file; expected 'distance', a list of bonds, or a topology")
    if source.suffix.lower() in _LISTS:
        pairs = _listed_bonds(source, particles.n)
    else:
        universe: Any = open_universe(Path(path), source, charges=False)
        found = getattr(universe, "bonds", None)
        if found is None or not len(found):
            raise FileFormatError(f"{source}: it names no bonds; take them from distances, or another file")
        if len(universe.atoms) != particles.n:
            raise FileFormatError(
                f"{source}: {len(universe.atoms)} atoms, and the structure has {particles.n}; expected the same atoms"
            )
        pairs = np.asarray(found.indices, dtype=np.int64)
    return Exclusions.from_bonds(pairs, particles.n, scale14=scale14)


def _listed_bonds(path: Path, n: int) -> np.ndarray:
    """Return the bonds of a list of two atoms a line."""
    pairs = []
    for number, line in enumerate(read_lines(path), start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        if len(words) != 2 or not all(w.isdecimal() and int(w) < n for w in words) or int(words[0]) == int(words[1]):
            raise FileFormatError(f"{path}:{number}: {line.strip()!r}; expected two of the atoms 0 to {n - 1}")
        pairs.append([int(word) for word in words])
    if not pairs:
        raise FileFormatError(f"{path}: it names no bonds; expected two atoms a line, counted from 0")
    return np.array(pairs, dtype=np.int64)


def _element_of(name: str) -> str:
    """Return the element of an atom by its name in a PQR or PDB file; the name where it tells none."""
    letters = "".join(c for c in name if c.isalpha()).upper()
    if letters in _TWO_LETTERS:
        return letters.capitalize()
    return letters[0] if letters and letters[0] in _LETTERS else name


def _elements(path: Path, topology: Path) -> list[str]:
    """Return the elements that a topology names, or that MDAnalysis guesses from its types and names."""
    universe: Any = open_universe(path, topology)
    if not hasattr(universe.atoms, "elements"):
        universe.guess_TopologyAttrs(to_guess=["elements"])
    return [str(element) for element in universe.atoms.elements]
