"""Crystals from CIF: all sites of the cell by symmetry, and charges from oxidation states or a column (gemmi)."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sci.distribution import install_command
from sci.errors import FileFormatError, InvalidValueError, MissingDependencyError
from sci.io.readers.text import read_bytes
from sci.potentials.particles import Particles

__all__ = ["read_crystal"]


def read_crystal(path: str | Path, *, charges: Mapping[str, float] | str | None = None) -> Particles:
    """Read the cell of a crystal from a CIF file, with the charges of its ions.

    Parameters
    ----------
    path : path
        CIF of a crystal structure (not mmCIF of a macromolecule, which `read_structure` reads).
    charges : mapping or str, optional
        Charges in e by site label or by element, {"Na": 1, "Cl": -1}; or the name of a column of the sites that holds
        them, such as "_atom_site_charge". By default the oxidation numbers of the file (`_atom_type_oxidation_number`,
        or symbols like "Na1+").

    Returns
    -------
    Particles
        Every site of the conventional cell, inside of it, in angstrom; names are the labels; `cell` is set, with a
        along x and b in the plane of x and y.

    Raises
    ------
    FileFormatError
        For a file that is not such a CIF, without charges, or with partly occupied sites.
    InvalidValueError
        For a mapping that misses a site, or a column that does not exist.
    MissingDependencyError
        Without gemmi (extra `structures`).
    """
    try:
        gemmi: Any = importlib.import_module("gemmi")
    except ImportError as error:
        raise MissingDependencyError(f"CIF needs gemmi: {install_command('structures')}") from error
    path = Path(path)
    block, structure = _parse(path, gemmi)
    sites = list(structure.get_all_unit_cell_sites())
    partial = [site for site in sites if abs(site.occ - 1) > 1e-6]
    if partial:
        raise FileFormatError(
            f"{path}: site {partial[0].label} is occupied by {partial[0].occ:g}; expected whole ions: write an ordered "
            "model of the crystal"
        )
    by_label = _charges(path, block, structure, charges)
    cell = np.array(structure.cell.orth.mat.tolist()).T
    cell[np.abs(cell) < 1e-12 * np.abs(cell).max()] = 0.0
    fractions = np.array([site.fract.tolist() for site in sites])
    fractions -= np.floor(fractions + 1e-6)
    labels = tuple(site.label for site in sites)
    return Particles(fractions @ cell, [by_label[label] for label in labels], names=labels, cell=cell)


def _parse(path: Path, gemmi: Any) -> tuple[Any, Any]:
    read_bytes(path)
    try:
        document = gemmi.cif.read(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        raise FileFormatError(f"{path}: {' '.join(str(error).split())}; expected a CIF file") from error
    blocks = [block for block in document if block.find_loop("_atom_site_fract_x")]
    if len(blocks) != 1:
        raise FileFormatError(f"{path}: {len(blocks)} blocks with fractional coordinates; expected one")
    structure = gemmi.make_small_structure_from_block(blocks[0])
    if not structure.sites or not structure.cell.is_crystal():
        raise FileFormatError(f"{path}: no cell or no sites with coordinates; expected a crystal structure")
    if structure.spacegroup is None and not structure.symops:
        raise FileFormatError(f"{path}: neither a space group nor symmetry operations are known; state one")
    return blocks[0], structure


def _charges(path: Path, block: Any, structure: Any, charges: Mapping[str, float] | str | None) -> dict[str, float]:
    """Return the charge of each site of the asymmetric unit by its label."""
    labels = [site.label for site in structure.sites]
    if len(set(labels)) < len(labels):
        raise FileFormatError(f"{path}: two sites have one label; expected labels that differ")
    if isinstance(charges, str):
        return _column(path, block, charges)
    if charges is None:
        return _oxidation_states(path, block, structure)
    found = {}
    for site in structure.sites:
        names = [name for name in (site.label, site.element.name) if name in charges]
        if not names:
            raise InvalidValueError(
                f"charges has nothing for {site.label} ({site.element.name}); expected each of them"
            )
        found[site.label] = float(charges[names[0]])
    return found


def _column(path: Path, block: Any, name: str) -> dict[str, float]:
    table = block.find(["_atom_site_label", name])
    if not table:
        raise InvalidValueError(f"{path} has no column {name!r} beside _atom_site_label")
    found = {}
    for row in table:
        # A number may carry its uncertainty in brackets, as in 1.02(3).
        text = row.str(1)
        try:
            found[row.str(0)] = float(text.partition("(")[0])
        except ValueError as error:
            raise FileFormatError(f"{path}: {name} of {row.str(0)} is {text!r}; expected a number") from error
    return found


def _oxidation_states(path: Path, block: Any, structure: Any) -> dict[str, float]:
    table = block.find(["_atom_type_symbol", "_atom_type_oxidation_number"])
    try:
        states = {row.str(0): float(row.str(1)) for row in table if row.str(1)}
    except ValueError as error:
        raise FileFormatError(f"{path}: _atom_type_oxidation_number holds {error}; expected numbers") from error
    found = {}
    for site in structure.sites:
        state = states.get(site.type_symbol, float(site.charge) if site.charge else None)
        if state is None:
            raise FileFormatError(
                f"{path}: no oxidation number of {site.label}; add _atom_type_oxidation_number, or pass "
                f"charges={{{site.element.name!r}: ...}}"
            )
        found[site.label] = state
    return found
