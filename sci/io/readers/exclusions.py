"""Exclusions of the atoms of a trajectory: from the bonds of its topology, or from distances in its first frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from sci.errors import FileFormatError, InvalidValueError
from sci.io.readers.trajectory import open_universe, read_frames
from sci.potentials.forcefield.bonds import bonds_by_distance
from sci.potentials.forcefield.exclusions import Exclusions

__all__ = ["BondSource", "read_exclusions"]

BondSource = Literal["topology", "distance"]


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


def _elements(path: Path, topology: Path) -> list[str]:
    """Return the elements that a topology names, or that MDAnalysis guesses from its types and names."""
    universe: Any = open_universe(path, topology)
    if not hasattr(universe.atoms, "elements"):
        universe.guess_TopologyAttrs(to_guess=["elements"])
    return [str(element) for element in universe.atoms.elements]
