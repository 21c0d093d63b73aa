"""Exclusions, 1-4 factors and charges of AMBER, CHARMM and GROMACS topologies that ParmEd reads."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from sci.errors import FileFormatError
from sci.interop.packages import missing
from sci.potentials import Exclusions

try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import parmed
except ImportError as error:
    raise missing("ParmEd") from error

__all__ = ["charges", "exclusions", "read_topology"]


def read_topology(path: str | Path) -> Any:
    """Read a topology: PRMTOP (AMBER, CHAMBER), PSF (CHARMM), TOP (GROMACS) and all else that ParmEd knows.

    Parameters
    ----------
    path : path

    Returns
    -------
    parmed.Structure

    Raises
    ------
    FileFormatError
        With the reason of ParmEd.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parmed.load_file(str(path))
    except Exception as error:  # its readers raise nearly every class
        reason = " ".join(str(error).split())[:200]
        raise FileFormatError(f"{path}: ParmEd cannot read it ({reason}); expected a topology") from error


def charges(structure: Any) -> np.ndarray:
    """Return the charges of the atoms of a `parmed.Structure`.

    Parameters
    ----------
    structure : parmed.Structure

    Returns
    -------
    (n,) float64, e
    """
    return np.array([atom.charge for atom in structure.atoms], dtype=np.float64)


def exclusions(structure: Any, *, scale14: float | None = None) -> Exclusions:
    """Return the exclusions of a topology with the 1-4 factor of each pair.

    Parameters
    ----------
    structure : parmed.Structure
    scale14 : float, optional
        One factor for all 1-4 pairs. Unless given it is that of the dihedral types of the pair (1/scee), else of
        its entry in [pairs] of a GROMACS topology, else 1, as in CHARMM.

    Returns
    -------
    Exclusions

    Raises
    ------
    InvalidValueError
        For a factor out of range.

    Notes
    -----
    Pairs one and two bonds apart are left out, and those that the topology excludes by itself. Bonds of AMBER waters
    with their extra H-H bond do no harm.
    """
    n = len(structure.atoms)
    bonds = np.array([[bond.atom1.idx, bond.atom2.idx] for bond in structure.bonds], dtype=np.int64).reshape(-1, 2)
    found = Exclusions.from_bonds(bonds, n, scale14=1.0 if scale14 is None else scale14)
    scales = {(int(i), int(j)): float(s) for (i, j), s in zip(found.pairs, np.asarray(found.scales))}
    if scale14 is None:
        scales |= {pair: s for pair, s in _factors(structure).items() if scales.get(pair, 1.0) > 0}
    for atom in structure.atoms:
        scales |= {_ordered(atom, other): 0.0 for other in getattr(atom, "exclusion_partners", ())}
    pairs = np.array(list(scales), dtype=np.int64).reshape(-1, 2)
    return Exclusions(pairs, n, np.array(list(scales.values()), dtype=np.float64))


def _factors(structure: Any) -> dict[tuple[int, int], float]:
    """Return the factors that dihedrals and adjusted pairs name."""
    found: dict[tuple[int, int], float] = {}
    for dihedral in structure.dihedrals:
        kinds = dihedral.type if isinstance(dihedral.type, list) else [dihedral.type]
        factor = [kind.scee for kind in kinds if getattr(kind, "scee", None)]
        if factor and not dihedral.ignore_end and not dihedral.improper:
            found[_ordered(dihedral.atom1, dihedral.atom4)] = 1.0 / factor[0]
    for pair in structure.adjusts:
        if pair.type is not None:
            found[_ordered(pair.atom1, pair.atom2)] = float(pair.type.chgscale)
    return found


def _ordered(one: Any, other: Any) -> tuple[int, int]:
    return min(one.idx, other.idx), max(one.idx, other.idx)
