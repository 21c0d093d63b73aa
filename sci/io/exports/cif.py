"""Crystals as CIF files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from sci.arguments import entry
from sci.atomistic import Configuration
from sci.generative import Crystals
from sci.generative.crystals.crystals import fractions_of
from sci.generative.crystals.table import cell_parameters
from sci.io.core.atomic_write import replacing

__all__ = ["cif_text", "write_cif"]


@entry
def write_cif(path: str | Path, crystal: Configuration, *, overwrite: bool = False) -> None:
    """Write a crystal as a CIF file: cell, space group P 1, and all atoms of the cell with labels like Na1.

    Parameters
    ----------
    path : path
    crystal : Configuration
        Of elements, periodic along three axes.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InvalidValueError
        For atoms that are no crystal, or a file that exists.
    FileFormatError
        For a disk that is full.

    Notes
    -----
    CIF keeps lengths and angles of a cell, not how it lies in space, so that `read_cif` returns it turned. Numbers have
    all their digits.

    Examples
    --------
    >>> from sci.generative import ionic_crystals
    >>> from sci.io import read_cif, write_cif
    >>> write_cif("salt.cif", ionic_crystals().configurations[0])
    >>> read_cif("salt.cif")
    Configuration(8 atoms: F 4, Li 4; periodic along 3 axes)
    """
    text = cif_text(crystal)
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")


def cif_text(crystal: Configuration) -> str:
    """Return a crystal in the format of CIF.

    Raises
    ------
    InvalidValueError
    """
    (formula,) = Crystals([crystal]).formulas
    fractions, cell = fractions_of(crystal)
    names = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
    lines = [f"data_{formula}", "_chemical_formula_sum '" + _formula_sum(crystal) + "'"]
    lines += [f"_cell_{name} {float(value)!r}" for name, value in zip(names, cell_parameters(cell))]
    lines += ["_space_group_name_H-M_alt 'P 1'", "_space_group_IT_number 1"]
    lines += ["loop_", "_space_group_symop_operation_xyz", "'x, y, z'", "loop_"]
    lines += [f"_atom_site_{name}" for name in ("label", "type_symbol", "fract_x", "fract_y", "fract_z", "occupancy")]
    seen: Counter[str] = Counter()
    for symbol, place in zip(crystal.species, np.asarray(fractions)):
        seen[symbol] += 1
        lines.append(f"{symbol}{seen[symbol]} {symbol} {' '.join(repr(float(x)) for x in place)} 1")
    return "\n".join(lines) + "\n"


def _formula_sum(crystal: Configuration) -> str:
    counts = Counter(crystal.species)
    return " ".join(f"{symbol}{n if n > 1 else ''}" for symbol, n in sorted(counts.items()))
