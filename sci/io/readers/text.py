"""Text input: a file's lines, or one clear line that says why there are none."""

from __future__ import annotations

import contextlib
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sci.errors import FileFormatError
from sci.io.core.outputs import is_too_long, mode_of, too_long, what_is
from sci.potentials.particles import Particles, coincident_pair

__all__ = [
    "Atoms",
    "line_of",
    "number",
    "open_lines",
    "pick_model",
    "read_bytes",
    "read_lines",
    "require_file",
    "to_particles",
]

Atoms = list[tuple[int, str, float, float, float, float, float]]
"""Line number, name, x, y, z, charge and radius of each atom."""

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NON_FINITE = re.compile(r"[-+]?(?:nan|inf|infinity)", re.IGNORECASE)


def require_file(path: Path) -> None:
    """Refuse a device, a pipe or a socket, which may never end.

    Raises
    ------
    FileFormatError
    """
    try:
        mode = mode_of(path)
    except PermissionError:
        return  # reading it says what is wrong
    except OSError as error:
        if is_too_long(error):
            raise too_long(path) from error
        raise FileFormatError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if mode is not None and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise FileFormatError(f"{path}: {what_is(path)}; expected a file")


def read_bytes(path: str | Path, expected: str = "atoms") -> bytes:
    """Return the bytes of a file that exists, is a file, and is not empty.

    Raises
    ------
    FileFormatError
        With one line that begins with the path.
    """
    path = Path(path)
    require_file(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise FileFormatError(f"{path}: there is no such file; check the name and the folder") from error
    except IsADirectoryError as error:
        raise FileFormatError(f"{path}: this is a directory; expected a file") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileFormatError(f"{path}: cannot be read ({reason}); check the path and its permissions") from error
    if not content.strip():
        raise FileFormatError(f"{path}: the file is empty; expected {expected}")
    return content


def read_lines(path: str | Path, expected: str = "atoms") -> list[str]:
    """Return the lines of a UTF-8 text file without their ends; CRLF, CR and a byte order mark are taken off.

    The last entry is empty if and only if the file ends with a line end.

    Raises
    ------
    FileFormatError
        For a file that cannot be read, is empty, holds NUL bytes, or is not UTF-8.
    """
    content = read_bytes(path, expected).removeprefix(b"\xef\xbb\xbf")
    if b"\0" in content or content.startswith(b"\x1f\x8b"):
        raise FileFormatError(f"{path}: this is a binary file; expected text (decompress it first if it is packed)")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = len(re.split(rb"\r\n|\n|\r", content[: error.start]))
        raise FileFormatError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8 or ASCII text"
        ) from error
    return re.split(r"\r\n|\n|\r", text)


@contextlib.contextmanager
def open_lines(path: Path) -> Iterator[Iterator[str]]:
    """Yield the stripped lines of a UTF-8 text file one by one, for files larger than memory.

    Raises
    ------
    FileFormatError
        For a file that cannot be read or is not text.
    """
    require_file(path)
    try:
        with path.open(encoding="utf-8-sig") as file:
            yield (line.strip() for line in file)
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, FileNotFoundError):
            raise FileFormatError(f"{path}: there is no such file; check the name and the folder") from error
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise FileFormatError(f"{path}: cannot be read ({reason}); expected a text file") from error


def number(token: str) -> float | None:
    """Return the finite number that `token` spells in full, else None; raise ValueError for NaN and Inf."""
    if _NUMBER.fullmatch(token):
        value = float(token)
        if value not in (float("inf"), float("-inf")):
            return value
    elif not _NON_FINITE.fullmatch(token):
        return None
    raise ValueError(f"{token} is not a finite number")


def pick_model(path: Path, models: list[Atoms], model: int | None, record: str) -> Atoms:
    """Return the one model that holds atoms, or model number `model`, counted from 1.

    Raises
    ------
    FileFormatError
        If there is no atom, several models and no choice, or fewer models than asked for.
    """
    filled = [atoms for atoms in models if atoms]
    if not filled:
        raise FileFormatError(f"{path}: no atoms; expected at least one {record}")
    if model is None and len(filled) > 1:
        raise FileFormatError(
            f"{path}:{filled[1][0][0]}: a second model begins here, of {len(filled)}; choose one with model=1 to "
            f"model={len(filled)}, or remove the END or MODEL lines between parts of one molecule"
        )
    if not 1 <= (model or 1) <= len(filled):
        raise FileFormatError(f"{path}: there is no model {model}; expected 1 to {len(filled)}")
    return filled[(model or 1) - 1]


def to_particles(path: Path, atoms: Atoms, *, radii: bool = True, cell: np.ndarray | None = None) -> Particles:
    """Return the atoms as particles; two at one place, or at periodic images of it, are an error with both lines."""
    table = np.array([atom[2:] for atom in atoms])
    pair = coincident_pair(table[:, :3] if cell is None else _in_cell(table[:, :3], cell))
    if pair is not None:
        first, second = (atoms[index] for index in pair)
        image = "" if coincident_pair(table[list(pair), :3]) else "a periodic image of "
        raise FileFormatError(
            f"{path}:{second[0]}: atom {second[1]} is at the place of {image}atom {first[1]} in line {first[0]}, "
            f"({first[2]:g}, {first[3]:g}, {first[4]:g}); two charges at one place have infinite energy: remove one"
        )
    if radii and table[:, 4].min() < 0:
        atom = atoms[int(table[:, 4].argmin())]
        raise FileFormatError(
            f"{path}:{atom[0]}: the radius is {atom[6]:g}; expected no negative number: are the charges in its column?"
        )
    names = tuple(atom[1] for atom in atoms)
    return Particles(table[:, :3], table[:, 3], table[:, 4] if radii else None, names, cell)


def line_of(lines: Sequence[str], *values: str) -> int | None:
    """Return the number of the first line, from 1, that holds the values as fields in this order; None if none does."""
    for row, line in enumerate(lines, 1):
        fields = iter(line.split())
        if all(value in fields for value in values):
            return row
    return None


def _in_cell(positions: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """Return positions moved into the cell; those within a millionth below its end go to its beginning."""
    fractions = positions @ np.linalg.inv(cell)
    moved: np.ndarray = (fractions - np.floor(fractions + 1e-6)) @ cell
    return moved
