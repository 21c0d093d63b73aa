"""Crystals from CIF: all sites of the cell by symmetry, and charges from oxidation states or a column (gemmi)."""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sci.arguments import entry
from sci.atomistic import Configuration
from sci.distribution import install_command
from sci.errors import FileFormatError, InvalidValueError, MissingDependencyError
from sci.io.readers.text import line_of, read_bytes
from sci.potentials.particles import Particles, coincident_pair

__all__ = ["read_cif", "read_crystal"]


def read_crystal(path: str | Path, *, charges: Mapping[str, float] | str | None = None) -> Particles:
    """Read the cell of a crystal from a CIF file, with the charges of its ions.

    Parameters
    ----------
    path : path
        CIF of a crystal structure (not mmCIF of a macromolecule, which `read_structure` reads).
    charges : mapping or str, optional
        Charges in e by site label or by element, {"Na": 1, "Cl": -1}; or the name of a column of the sites that holds
        them row by row, such as "_atom_site_charge": labels may repeat then. By default the oxidation numbers of the
        file (`_atom_type_oxidation_number`, or symbols like "Na1+").

    Returns
    -------
    Particles
        Every site of the conventional cell, inside of it, in angstrom; names are the labels; `cell` is set, with a
        along x and b in the plane of x and y. A space group may be given by its number alone where that has one
        setting.

    Raises
    ------
    FileFormatError
        For a file that is not such a CIF, without charges, with partly occupied sites, or with one label for two sites
        where `charges` names it.
    InvalidValueError
        For a mapping that misses a site, or a column that does not exist.
    MissingDependencyError
        Without gemmi (extra `structures`).
    """
    path = Path(path)
    block, structure = _parse(path, _gemmi())
    found = _charges(path, block, structure, charges)
    sites = _Sites.of(path, structure)
    return Particles(sites.positions, [found[row] for row in sites.rows], names=sites.names, cell=sites.cell)


@entry
def read_cif(path: str | Path) -> Configuration:
    """Read the atoms of a crystal from a CIF file, as elements in the conventional cell.

    Parameters
    ----------
    path : path
        CIF of a crystal structure (not mmCIF of a macromolecule).

    Returns
    -------
    Configuration
        Every atom of the cell by symmetry, without charges, with a along x and b in the plane of x and y.

    Raises
    ------
    FileFormatError
        For a file that is not such a CIF, with partly occupied sites, or atoms in one place.
    MissingDependencyError
        Without gemmi (extra `structures`).
    """
    path = Path(path)
    _, structure = _parse(path, _gemmi())
    symbols = [site.element.name for site in structure.sites]
    sites = _Sites.of(path, structure)
    return Configuration([symbols[row] for row in sites.rows], sites.positions, sites.cell)


def _gemmi() -> Any:
    try:
        return importlib.import_module("gemmi")
    except ImportError as error:
        raise MissingDependencyError(f"CIF needs gemmi: {install_command('structures')}") from error


class _Sites(NamedTuple):
    """The sites of a cell: which row of the file each is of, their labels, places, and the cell."""

    rows: list[int]
    names: tuple[str, ...]
    positions: np.ndarray
    cell: np.ndarray

    @classmethod
    def of(cls, path: Path, structure: Any) -> _Sites:
        """Return all sites of the cell by symmetry; partly occupied ones and two at one place are refused."""
        labels = [site.label for site in structure.sites]
        for row, site in enumerate(structure.sites):
            site.label = str(row)  # labels may repeat; images of a site keep its number
        sites = list(structure.get_all_unit_cell_sites())
        rows = [int(site.label) for site in sites]
        partial = [row for row, site in zip(rows, sites) if abs(site.occ - 1) > 1e-6]
        if partial:
            occupancy = structure.sites[partial[0]].occ
            raise FileFormatError(
                f"{path}: site {labels[partial[0]]} is occupied by {occupancy:g}; expected whole ions: write an "
                "ordered model of the crystal"
            )
        cell = np.array(structure.cell.orth.mat.tolist()).T
        cell[np.abs(cell) < 1e-12 * np.abs(cell).max()] = 0.0
        fractions = np.array([site.fract.tolist() for site in sites])
        fractions -= np.floor(fractions + 1e-6)
        names = tuple(labels[row] for row in rows)
        positions = fractions @ cell
        if (pair := coincident_pair(positions)) is not None:
            first, second = (f"{rows[k] + 1} ({names[k]})" for k in pair)
            raise FileFormatError(
                f"{path}: sites {first} and {second} are at one place of the crystal, counted with symmetry and "
                "periodic images (0 and 1 are the same coordinate); remove one"
            )
        return cls(rows, names, positions, cell)


def _parse(path: Path, gemmi: Any) -> tuple[Any, Any]:
    lines = read_bytes(path).decode("utf-8", "replace").splitlines()
    try:
        document = gemmi.cif.read(str(path))
    except (OSError, RuntimeError, ValueError) as error:
        raise FileFormatError(f"{path}: {' '.join(str(error).split())}; expected a CIF file") from error
    blocks = [block for block in document if block.find_loop("_atom_site_fract_x")]
    if len(blocks) != 1:
        raise FileFormatError(f"{path}: {len(blocks)} blocks with fractional coordinates; expected one")
    _check_values(path, blocks[0], lines)
    try:
        structure = gemmi.make_small_structure_from_block(blocks[0])
    except (RuntimeError, ValueError, IndexError) as error:
        raise FileFormatError(f"{path}: {' '.join(str(error).split())}; expected a crystal structure") from error
    if not structure.sites or not structure.cell.is_crystal():
        raise FileFormatError(f"{path}: no cell or no sites with coordinates; expected a crystal structure")
    if structure.spacegroup is None and not structure.symops:
        structure = _with_only_setting(path, blocks[0], structure, gemmi)
    if len(structure.sites) != len(blocks[0].find_loop("_atom_site_fract_x")):
        raise FileFormatError(f"{path}: some sites are no atoms (dummies?); expected atoms alone: remove the others")
    return blocks[0], structure


def _with_only_setting(path: Path, block: Any, structure: Any, gemmi: Any) -> Any:
    """Return a structure with the operations of the number of its space group, where that alone is given and has one
    setting."""
    number = structure.spacegroup_number
    settings = [group for group in gemmi.spacegroup_table() if group.number == number]
    if not settings:
        named = structure.spacegroup_hm or structure.spacegroup_hall
        unknown = f"the space group {named!r} is unknown" if named else "no space group is given"
        raise FileFormatError(
            f"{path}: {unknown}, and there are no symmetry operations; add a loop of _space_group_symop_operation_xyz, "
            "or _space_group_name_H-M_alt 'P 1' where all atoms of the cell are listed"
        )
    if len(settings) > 1:
        names = ", ".join(repr(group.xhm()) for group in settings)
        raise FileFormatError(
            f"{path}: it names its space group by the number {number} alone, which has {len(settings)} settings; add "
            f"_space_group_name_H-M_alt with the one of the file: {names}"
        )
    _require_isometries(path, structure.cell, settings[0])
    loop = block.init_loop("_space_group_symop_", ["operation_xyz"])
    for operation in settings[0].operations():
        loop.add_row([gemmi.cif.quote(operation.triplet())])
    return gemmi.make_small_structure_from_block(block)


def _require_isometries(path: Path, cell: Any, group: Any) -> None:
    """Refuse a cell that the operations of its space group do not map to itself."""
    lengths, cosines = np.array([cell.a, cell.b, cell.c]), np.cos(np.radians([cell.alpha, cell.beta, cell.gamma]))
    metric = np.eye(3)
    for (i, j), cosine in zip(((1, 2), (0, 2), (0, 1)), cosines):
        metric[i, j] = metric[j, i] = cosine
    metric *= np.outer(lengths, lengths)
    for operation in group.operations():
        rotation = np.array(operation.rot) / operation.DEN
        if np.abs(rotation.T @ metric @ rotation - metric).max() > 1e-3 * np.abs(metric).max():
            raise FileFormatError(
                f"{path}: the space group {group.xhm()!r} of its number does not fit the lengths and angles of the "
                "cell; correct the cell, or add _space_group_name_H-M_alt with the setting of the file"
            )


def _check_values(path: Path, block: Any, lines: list[str]) -> None:
    """Refuse a space-group number or coordinates that are not numbers, and name the line."""
    for tag in ("_space_group_IT_number", "_symmetry_Int_Tables_number"):
        value = (block.find_value(tag) or "?").strip("'\"")
        if value not in "?." and not (value.isdecimal() and 1 <= int(value) <= 230):
            where = _place(path, line_of(lines, tag))
            raise FileFormatError(f"{where}: {tag} is {value!r}; expected a number from 1 to 230")
    for row in block.find("_atom_site_", ["fract_x", "fract_y", "fract_z"]):
        for axis, value in zip("xyz", row):
            try:
                float(value.partition("(")[0])
            except ValueError as error:
                where = _place(path, line_of(lines, *row))
                raise FileFormatError(
                    f"{where}: _atom_site_fract_{axis} is {value!r}; expected a number: complete the site or remove it"
                ) from error


def _place(path: Path, line: int | None) -> str:
    return str(path) if line is None else f"{path}:{line}"


def _charges(path: Path, block: Any, structure: Any, charges: Mapping[str, float] | str | None) -> list[float]:
    """Return the charge of each site of the asymmetric unit, in their order."""
    if isinstance(charges, str):
        return _column(path, block, charges)
    if charges is None:
        return _oxidation_states(path, block, structure)
    labels, found = [site.label for site in structure.sites], []
    for site in structure.sites:
        names = [name for name in (site.label, site.element.name) if name in charges]
        if not names:
            raise InvalidValueError(
                f"charges has nothing for {site.label} ({site.element.name}); expected each of them"
            )
        if names[0] != site.element.name and labels.count(names[0]) > 1:
            first, second = [row for row, label in enumerate(labels, 1) if label == names[0]][:2]
            raise FileFormatError(
                f"{path}: sites {first} and {second} have one label, {names[0]}; give charges by element, or the name "
                "of a column"
            )
        found.append(float(charges[names[0]]))
    return found


def _column(path: Path, block: Any, name: str) -> list[float]:
    table = block.find(["_atom_site_label", name])
    if not table:
        raise InvalidValueError(f"{path} has no column {name!r} beside _atom_site_label")
    found = []
    for row in table:
        # A number may carry its uncertainty in brackets, as in 1.02(3).
        text = row[1]
        try:
            found.append(float(row.str(1).partition("(")[0]))
        except ValueError as error:
            raise FileFormatError(f"{path}: {name} of {row.str(0)} is {text!r}; expected a number") from error
        if not math.isfinite(found[-1]):
            raise FileFormatError(f"{path}: {name} of {row.str(0)} is {text!r}; expected a finite number")
    return found


def _oxidation_states(path: Path, block: Any, structure: Any) -> list[float]:
    table = block.find(["_atom_type_symbol", "_atom_type_oxidation_number"])
    try:
        states = {row.str(0): float(row.str(1)) for row in table if row.str(1)}
    except ValueError as error:
        raise FileFormatError(f"{path}: _atom_type_oxidation_number holds {error}; expected numbers") from error
    found = []
    for site in structure.sites:
        state = states.get(site.type_symbol, float(site.charge) if site.charge else None)
        if state is None:
            raise FileFormatError(
                f"{path}: no oxidation number of {site.label}; add _atom_type_oxidation_number, or pass "
                f"charges={{{site.element.name!r}: ...}}"
            )
        found.append(state)
    return found
