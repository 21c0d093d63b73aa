"""XYZ and extended XYZ files whose atoms carry charges."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from sci.errors import FileFormatError
from sci.io.readers.text import Atoms, number, open_lines, pick_model, read_lines, to_particles
from sci.potentials.particles import Particles

__all__ = ["read_xyz", "xyz_frames"]

_KEY = re.compile(r"""([A-Za-z_][\w-]*)\s*=\s*("[^"]*"|'[^']*'|\[(?:[^\[\]]|\[[^\[\]]*\])*\]|\{[^{}]*\}|\S+)""")
_WORD = re.compile(r"[^\s,\[\]{}]+")
"""A number or a flag in a list, whatever its brackets and separators."""
_FLAGS = {"T": True, "TRUE": True, "1": True, "F": False, "FALSE": False, "0": False}
_COUNT = re.compile(r"\+?[0-9]{1,12}")
_CHARGE_NAMES = ("initial_charges", "charges", "charge", "q")
_RADIUS_NAMES = ("radii", "radius")
_WIDTHS = {"species": 1, "z": 1, "pos": 3, **dict.fromkeys((*_CHARGE_NAMES, *_RADIUS_NAMES), 1)}
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
    number_of_line = frame = 0
    with open_lines(path) as lines:
        for line in lines:
            number_of_line += 1
            if not line:
                continue
            count = int(line) if _COUNT.fullmatch(line) else 0
            rest = list(itertools.islice(lines, count + 1))
            if wanted(frame) or len(rest) < count + 1 or count == 0:
                yield frame, _to_particles(path, *_frame(path, [line, *rest], 0, number_of_line - 1))
            else:
                yield frame, None
            number_of_line += len(rest)
            frame += 1


def _to_particles(path: Path, atoms: Atoms, header: dict[str, str]) -> Particles:
    radii = any(name in _RADIUS_NAMES for name, _, _ in _properties(header))
    return to_particles(path, atoms, radii=radii, cell=_cell(path, atoms[0][0] - 1, header))


def _frame(path: Path, lines: list[str], start: int, skipped: int = 0) -> tuple[Atoms, dict[str, str]]:
    """Return the atoms and the header of the frame at `start`; `skipped` lines of the file stand before `lines`."""
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
        columns = _columns(header)
    except ValueError as error:
        raise FileFormatError(f"{path}:{skipped + start + 2}: {error}") from error
    atoms = []
    for row, line in enumerate(rows, skipped + start + 3):
        try:
            atoms.append((row, *_atom(line.split(), *columns)))
        except ValueError as error:
            raise FileFormatError(f"{path}:{row}: {error}") from error
    return atoms, header


def _properties(header: dict[str, str]) -> list[tuple[str, str, int]]:
    """Return name, type and number of columns of each property of extended XYZ."""
    fields = header.get("properties", "species:S:1:pos:R:3:charge:R:1").split(":")
    triples = list(zip(fields[::3], fields[1::3], fields[2::3]))
    if 3 * len(triples) != len(fields) or not all(n.isdecimal() and t in "SRIL" for _, t, n in triples):
        raise ValueError(f"Properties={':'.join(fields)[:80]} is not name:type:columns, repeated; correct it")
    return [(name.lower(), kind, int(n)) for name, kind, n in triples]


def _columns(header: dict[str, str]) -> tuple[int, int, int, int, int | None]:
    """Return the columns of species, x and charge, the number of columns, and the column of the radius."""
    start: dict[str, int] = {}
    total = 0
    for name, _, width in _properties(header):
        if name in start:
            raise ValueError(f"Properties names {name} twice; correct the comment line")
        start[name] = total
        total += width
    for name, _, width in _properties(header):
        expected = _WIDTHS.get(name, width)
        if width != max(1, expected):
            raise ValueError(
                f"Properties gives {name} {width} columns; expected {max(1, expected)}: correct the comment line"
            )
    charges = [start[name] for name in _CHARGE_NAMES if name in start]
    if not charges:
        raise ValueError(f"Properties names no charges; {_HOW}")
    if "pos" not in start:
        raise ValueError("Properties names no pos:R:3; expected positions in angstrom")
    radii = [start[name] for name in _RADIUS_NAMES if name in start]
    species = start.get("species", start.get("z", start["pos"]))
    return species, start["pos"], charges[0], total, radii[0] if radii else None


def _atom(
    tokens: list[str], species: int, place: int, charge: int, total: int, radius: int | None
) -> tuple[str, float, float, float, float, float]:
    if len(tokens) != total:
        plain = len(tokens) == 4 and total == 5
        what = "no charge: 4 columns, species x y z" if plain else f"{len(tokens)} columns; expected {total}"
        raise ValueError(f"{what}; {_HOW}")
    named = [("x", place), ("y", place + 1), ("z", place + 2), ("charge", charge)]
    named += [] if radius is None else [("radius", radius)]
    values = []
    for name, column in named:
        value = number(tokens[column])
        if value is None:
            raise ValueError(f"{name} is {tokens[column]!r}; expected a number")
        values.append(value)
    x, y, z, q, r = [*values, 0.0][:5]
    return tokens[species], x, y, z, q, r


def _cell(path: Path, row: int, header: dict[str, str]) -> np.ndarray | None:
    if "lattice" not in header:
        return None
    flags = [_FLAGS.get(word.upper()) for word in _WORD.findall(header.get("pbc", "T T T"))]
    if len(flags) not in (1, 3) or None in flags or len(set(flags)) != 1:
        raise FileFormatError(
            f'{path}:{row}: pbc={header["pbc"]!r}; expected "T T T" or "F F F": partly periodic cells are not read'
        )
    if not flags[0]:
        return None
    tokens = _WORD.findall(header["lattice"])
    try:
        values = [v for v in map(number, tokens) if v is not None]
    except ValueError:
        values = []
    if len(values) != 9 or len(tokens) != 9 or np.linalg.det(np.reshape(values, (3, 3))) == 0:
        raise FileFormatError(
            f"{path}:{row}: Lattice={header['lattice'][:80]!r}; expected nine finite numbers, three independent periods"
        )
    cell = np.reshape(values, (3, 3))
    if "[" in header["lattice"] and (cell != cell.T).any():
        raise FileFormatError(
            f"{path}:{row}: Lattice={header['lattice'][:80]!r}; a matrix may have the periods as rows or as columns: "
            'expected nine numbers, Lattice="ax ay az bx by bz cx cy cz"'
        )
    return cell
