"""XYZ and extended XYZ files, whose atoms carry charges where a potential is computed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sci.errors import FileFormatError
from sci.io.readers.frame import Frame
from sci.io.readers.text import Atoms, number, open_lines, pick_model, read_lines, to_particles
from sci.potentials.particles import Particles

__all__ = [
    "CHARGE_NAMES",
    "frame_table",
    "lattice",
    "numbers_of",
    "periodic_axes",
    "property_places",
    "read_xyz",
    "xyz_frames",
    "xyz_positions",
    "xyz_texts",
]

_KEY = re.compile(r"""([A-Za-z_][\w-]*)\s*=\s*("[^"]*"|'[^']*'|\[(?:[^\[\]]|\[[^\[\]]*\])*\]|\{[^{}]*\}|\S+)""")
_WORD = re.compile(r"[^\s,\[\]{}]+")
"""A number or a flag in a list, whatever its brackets and separators."""
_FLAGS = {"T": True, "TRUE": True, "1": True, "F": False, "FALSE": False, "0": False}
_COUNT = re.compile(r"\+?[0-9]{1,12}")
CHARGE_NAMES = ("initial_charges", "charges", "charge", "q")
_RADIUS_NAMES = ("radii", "radius")
_WIDTHS = {"species": 1, "z": 1, "pos": 3, **dict.fromkeys((*CHARGE_NAMES, *_RADIUS_NAMES), 1)}
"""Columns of the properties that are read."""
_HOW = (
    "give the charges in e as a fifth column, or as extended XYZ with "
    "Properties=species:S:1:pos:R:3:initial_charges:R:1 in the comment line"
)


def read_xyz(path: str | Path, *, model: int | None = None) -> Particles:
    """Read an XYZ file with a fifth column of charges, or an extended XYZ file with a charge property.

    Parameters
    ----------
    path : path
    model : int, optional
        Which frame to read, counted from 1; needed only where the file holds several.

    Returns
    -------
    Particles
        The names are the species. `cell` is the `Lattice` of extended XYZ, unless `pbc` says that the system is not
        periodic. Radii come from a property named radii or radius.

    Raises
    ------
    FileFormatError
        With one line `file:line: what; expected; fix`.
    """
    path = Path(path)
    lines = [line.strip() for line in read_lines(path)]
    frames: list[Atoms] = []
    headers: list[dict[str, str]] = []
    start = 0
    while start < len(lines):
        if not lines[start]:
            start += 1
            continue
        atoms, header = _frame(path, lines, start)
        frames.append(atoms)
        headers.append(header)
        start += 2 + len(atoms)
    atoms = pick_model(path, frames, model, "frame with atoms")
    return _to_particles(path, atoms, headers[(model or 1) - 1])


def xyz_frames(path: Path, wanted: Callable[[int], bool]) -> Iterator[tuple[int, Particles | None]]:
    """Yield number and particles of every frame of a file, None where a frame is not wanted, and keep one in memory."""
    for frame, skipped, lines in xyz_texts(path, wanted):
        yield frame, None if lines is None else _to_particles(path, *_frame(path, lines, 0, skipped))


def xyz_positions(path: Path, wanted: Callable[[int], bool]) -> Iterator[tuple[int, Frame | None]]:
    """Yield number and positions of every frame, as `xyz_frames` does; charges are not asked for."""
    for frame, skipped, lines in xyz_texts(path, wanted):
        yield frame, None if lines is None else _positions(path, lines, skipped)


def xyz_texts(path: Path, wanted: Callable[[int], bool]) -> Iterator[tuple[int, int, list[str] | None]]:
    """Yield number, lines before it, and lines of every frame; None for one that is whole and not wanted."""
    number_of_line = frame = 0
    with open_lines(path) as lines:
        for line in lines:
            number_of_line += 1
            if not line:
                continue
            count = int(line) if _COUNT.fullmatch(line) else 0
            rest = list(itertools.islice(lines, count + 1))
            chosen = wanted(frame) or len(rest) < count + 1 or count == 0
            yield frame, number_of_line - 1, [line, *rest] if chosen else None
            number_of_line += len(rest)
            frame += 1


def _to_particles(path: Path, atoms: Atoms, header: dict[str, str]) -> Particles:
    radii = any(name in _RADIUS_NAMES for name in property_places(header))
    return to_particles(path, atoms, radii=radii, cell=_cell(path, atoms[0][0] - 1, header))


def _frame(path: Path, lines: list[str], start: int, skipped: int = 0) -> tuple[Atoms, dict[str, str]]:
    """Return the atoms and the header of the frame at `start`; `skipped` lines of the file stand before `lines`."""
    rows, header, columns = frame_table(path, lines, start, skipped)
    return _atoms(path, rows, skipped + start + 3, columns), header


def _positions(path: Path, lines: list[str], skipped: int) -> Frame:
    """Return the frame in `lines`, with the names and positions of its atoms alone."""
    rows, header, columns = frame_table(path, lines, 0, skipped, charges=False)
    tokens, place = [line.split() for line in rows], columns.place
    try:
        # Python's floats take underscores, which are no numbers in a file.
        texts = [t for row in tokens for t in row[place : place + 3]]
        positions = np.array(texts, dtype=float).reshape(len(rows), 3)
        good = not any("_" in t for t in texts) and bool(np.isfinite(positions).all())
        names = tuple(row[columns.species] for row in tokens)
        good = good and all(columns.fits(len(row)) for row in tokens)
    except (ValueError, IndexError):
        good = False
    if not good:  # the error names the line, and what is wrong in it
        atoms = _atoms(path, rows, skipped + 3, columns)
        names, positions = tuple(atom[1] for atom in atoms), np.array([atom[2:5] for atom in atoms])
    return Frame(positions, names, _cell(path, skipped + 2, header))


def frame_table(
    path: Path, lines: list[str], start: int, skipped: int, charges: bool = True
) -> tuple[list[str], dict[str, str], _Columns]:
    """Return the rows of the atoms of the frame at `start`, its header, and which column holds what."""
    count = int(lines[start]) if _COUNT.fullmatch(lines[start]) else 0
    if count < 1:
        raise FileFormatError(
            f"{path}:{skipped + start + 1}: {lines[start][:40]!r} where a frame begins; expected the number of atoms, "
            "1 or more"
        )
    rows = lines[start + 2 : start + 2 + count]
    if len(rows) < count or not all(rows):
        present = next((i for i, row in enumerate(rows) if not row), len(rows))
        raise FileFormatError(
            f"{path}:{skipped + start + 2 + present}: the frame ends after {present} of {count} atoms; expected "
            f"{count}: the file is cut, or the count in its first line is wrong"
        )
    header = {key.lower(): value.strip("\"'") for key, value in _KEY.findall(lines[start + 1])}
    try:
        return rows, header, _columns(header, charges)
    except ValueError as error:
        raise FileFormatError(f"{path}:{skipped + start + 2}: {error}") from error


def _atoms(path: Path, rows: list[str], first: int, columns: _Columns) -> Atoms:
    """Return the atoms in rows of which the first is line `first` of the file."""
    atoms = []
    for row, line in enumerate(rows, first):
        try:
            atoms.append((row, *_atom(line.split(), columns)))
        except ValueError as error:
            raise FileFormatError(f"{path}:{row}: {error}") from error
    return atoms


class _Columns(NamedTuple):
    """Columns of species, x, charge and radius, and their number, None for four or more."""

    species: int
    place: int
    charge: int | None
    total: int | None
    radius: int | None

    def fits(self, count: int) -> bool:
        """Return True for a line of `count` columns."""
        return count >= 4 if self.total is None else count == self.total


def property_places(header: dict[str, str]) -> dict[str, tuple[int, int]]:
    """Return the first column of each property of extended XYZ, and how many it has.

    Raises
    ------
    ValueError
    """
    fields = header.get("properties", "species:S:1:pos:R:3:charge:R:1").split(":")
    triples = list(zip(fields[::3], fields[1::3], fields[2::3]))
    if 3 * len(triples) != len(fields) or not all(n.isdecimal() and t in "SRIL" for _, t, n in triples):
        raise ValueError(f"Properties={':'.join(fields)[:80]} is not name:type:columns, repeated; correct it")
    places: dict[str, tuple[int, int]] = {}
    start = 0
    for name, _, n in triples:
        if name.lower() in places:
            raise ValueError(f"Properties names {name.lower()} twice; correct the comment line")
        places[name.lower()] = start, int(n)
        start += int(n)
    return places


def _columns(header: dict[str, str], charges: bool) -> _Columns:
    """Return the columns of a line; without `charges` it may lack them, and have columns of other programs."""
    if not charges and "properties" not in header:
        return _Columns(0, 1, None, None, None)
    places = property_places(header)
    start, total = {name: first for name, (first, _) in places.items()}, sum(width for _, width in places.values())
    for name, (_, width) in places.items():
        expected = _WIDTHS.get(name, width)
        if width != max(1, expected):
            raise ValueError(
                f"Properties gives {name} {width} columns; expected {max(1, expected)}: correct the comment line"
            )
    charge = next((start[name] for name in CHARGE_NAMES if name in start), None)
    if charges and charge is None:
        raise ValueError(f"Properties names no charges; {_HOW}")
    if "pos" not in start:
        raise ValueError("Properties names no pos:R:3; expected positions in angstrom")
    radius = next((start[name] for name in _RADIUS_NAMES if name in start), None)
    species = start.get("species", start.get("z", start["pos"]))
    return _Columns(species, start["pos"], charge if charges else None, total, radius if charges else None)


def _atom(tokens: list[str], columns: _Columns) -> tuple[str, float, float, float, float, float]:
    if not columns.fits(len(tokens)):
        plain = len(tokens) == 4 and columns.total == 5
        what = "no charge: 4 columns, species x y z" if plain else f"{len(tokens)} columns; expected {columns.total}"
        if columns.charge is None:
            raise ValueError(f"{len(tokens)} columns; expected {columns.total or 'four: species x y z'}")
        raise ValueError(f"{what}; {_HOW}")
    named = {"x": columns.place, "y": columns.place + 1, "z": columns.place + 2}
    named |= {name: at for name, at in (("charge", columns.charge), ("radius", columns.radius)) if at is not None}
    values = {}
    for name, column in named.items():
        value = number(tokens[column])
        if value is None:
            raise ValueError(f"{name} is {tokens[column]!r}; expected a number")
        values[name] = value
    x, y, z = values["x"], values["y"], values["z"]
    return tokens[columns.species], x, y, z, values.get("charge", 0.0), values.get("radius", 0.0)


def _cell(path: Path, row: int, header: dict[str, str]) -> np.ndarray | None:
    if "lattice" not in header:
        return None
    flags = periodic_axes(path, row, header)
    if len(set(flags)) != 1:
        raise FileFormatError(
            f'{path}:{row}: pbc={header["pbc"]!r}; expected "T T T" or "F F F": partly periodic cells are not read'
        )
    return lattice(path, row, header, flags) if flags[0] else None


def periodic_axes(path: Path, row: int, header: dict[str, str]) -> tuple[bool, bool, bool]:
    """Return along which rows of the lattice the atoms of an extended XYZ frame repeat.

    Raises
    ------
    FileFormatError
    """
    flags = [_FLAGS.get(word.upper()) for word in _WORD.findall(header.get("pbc", "T T T"))]
    if len(flags) not in (1, 3) or None in flags:
        raise FileFormatError(f'{path}:{row}: pbc={header["pbc"]!r}; expected three of T and F, like "T T F"')
    a, b, c = (bool(flag) for flag in (flags * 3 if len(flags) == 1 else flags))
    return a, b, c


def lattice(path: Path, row: int, header: dict[str, str], axes: tuple[bool, bool, bool]) -> np.ndarray:
    """Return the lattice of an extended XYZ frame, the periods as rows; those of `axes` are independent.

    Raises
    ------
    FileFormatError
    """
    cell = numbers_of(header["lattice"], 9)
    if cell is None or np.linalg.matrix_rank(np.reshape(cell, (3, 3))[list(axes)], tol=0.0) < sum(axes):
        raise FileFormatError(
            f"{path}:{row}: Lattice={header['lattice'][:80]!r}; expected nine finite numbers, three independent periods"
        )
    found = np.reshape(cell, (3, 3))
    if "[" in header["lattice"] and (found != found.T).any():
        raise FileFormatError(
            f"{path}:{row}: Lattice={header['lattice'][:80]!r}; a matrix may have the periods as rows or as columns: "
            'expected nine numbers, Lattice="ax ay az bx by bz cx cy cz"'
        )
    return found


def numbers_of(text: str, count: int) -> np.ndarray | None:
    """Return so many finite numbers of a list, whatever its brackets and separators; None for anything else."""
    tokens = _WORD.findall(text)
    try:
        values = [v for v in map(number, tokens) if v is not None]
    except ValueError:
        return None
    return np.array(values) if len(values) == len(tokens) == count else None
