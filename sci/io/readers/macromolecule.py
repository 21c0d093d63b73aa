"""PDB and mmCIF files as gemmi reads them: their models, with names and positions of atoms."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sci.distribution import install_command
from sci.errors import FileFormatError, MissingDependencyError
from sci.io.readers.frame import Frame
from sci.io.readers.text import line_of, number, read_bytes

__all__ = ["check_coordinates", "model_positions", "one_line", "read_models"]


def model_positions(path: Path, format: str) -> list[Frame]:
    """Return the atoms of every model of a file, of alternative locations the first.

    Parameters
    ----------
    path : path
    format : {"pdb", "mmcif"}

    Raises
    ------
    FileFormatError
    MissingDependencyError
        Without gemmi.

    Notes
    -----
    The cell is that of CRYST1 where the space group is P 1, as programs of molecular dynamics write it; another group
    is that of a crystal that was measured.
    """
    content = read_bytes(path)
    structure = read_models(path, format, needs=("gemmi",))
    check_coordinates(path, format, content.decode("utf-8", "replace").splitlines())
    structure.remove_alternative_conformations()
    cell = None
    if structure.cell.is_crystal() and structure.spacegroup_hm.replace(" ", "") in ("", "P1"):
        cell = np.array(structure.cell.orth.mat.tolist()).T
    frames = []
    for model in structure:
        atoms = [atom for chain in model for residue in chain for atom in residue]
        frames.append(Frame(np.array([a.pos.tolist() for a in atoms]), tuple(a.name for a in atoms), cell))
    return frames


def read_models(path: Path, format: str, *, needs: Sequence[str]) -> Any:
    """Return a file with at least one atom as gemmi's structure.

    Raises
    ------
    FileFormatError
    MissingDependencyError
        Without the packages that are needed.
    """
    for package in needs:
        if importlib.util.find_spec(package) is None:
            what = "with a force field " if "pdb2pqr" in needs else ""
            raise MissingDependencyError(
                f"reading {path} {what}needs {package}; install it with {install_command('structures')}"
            )
    import gemmi

    try:
        if format == "pdb":
            structure = gemmi.read_pdb(str(path))
        else:
            structure = gemmi.make_structure_from_block(gemmi.cif.read(str(path)).sole_block())
    except IndexError as error:
        raise FileFormatError(f"{path}: no data block; expected a {format} file with atoms") from error
    except (RuntimeError, ValueError, UnicodeDecodeError) as error:
        raise FileFormatError(f"{path}: gemmi cannot read this as {format}: {one_line(str(error))}") from error
    if len(structure) == 0 or structure[0].count_atom_sites() == 0:
        raise FileFormatError(f"{path}: no atoms; expected ATOM records ({format})")
    return structure


def check_coordinates(path: Path, format: str, lines: list[str]) -> None:
    """Refuse coordinates that are not numbers, which gemmi reads as 0 or NaN, and name the line."""
    for row, axis, text in _coordinates(path, format, lines):
        try:
            good = number(text.strip()) is not None
        except ValueError:
            good = False
        if not good:
            where = f"{path}:{row}" if row else str(path)
            raise FileFormatError(
                f"{where}: {axis} is {text.strip()!r}; expected a number: complete the atom or remove it"
            )


def _coordinates(path: Path, format: str, lines: list[str]) -> Iterator[tuple[int | None, str, str]]:
    """Yield line, axis and text of every coordinate."""
    if format == "pdb":
        for row, line in enumerate(lines, 1):
            if line.startswith(("ATOM", "HETATM")):
                yield from ((row, axis, line[start : start + 8]) for axis, start in (("x", 30), ("y", 38), ("z", 46)))
        return
    import gemmi

    columns = [f"Cartn_{axis}" for axis in "xyz"]
    for atom in gemmi.cif.read(str(path)).sole_block().find("_atom_site.", ["id", *columns]):
        for axis, text in zip(columns, list(atom)[1:]):
            odd = text in ("?", ".")
            yield (line_of(lines, *atom) if odd else None), axis, text.partition("(")[0]


def one_line(text: str) -> str:
    """Return a text with its white space joined."""
    return " ".join(text.split())
