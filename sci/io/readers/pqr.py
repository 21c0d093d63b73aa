"""PQR files as they are found in the wild, read by whitespace, by columns, or by the signs of glued numbers."""

from __future__ import annotations

import difflib
import re
import warnings
from pathlib import Path

import numpy as np

from sci.errors import FileFormatError
from sci.io.readers.text import Atoms, number, pick_model, read_lines, to_particles
from sci.potentials.particles import Particles

__all__ = ["parse_atom", "pqr_models", "read_pqr"]

_ATOM = re.compile(r"(ATOM|HETATM)(?=[\s\d*]|$)", re.IGNORECASE)
_WORD = re.compile(r"[^\W\d_]+")
_RESIDUE_NUMBER = re.compile(r"[A-Za-z0-9]?-?[0-9]+[A-Za-z]?")
_ELEMENT = re.compile(r"[A-Z][A-Za-z]?")
_DECIMAL = r"[-+]?[0-9]*\.[0-9]*(?:[eE][-+]?[0-9]+)?"
_GLUED = re.compile(rf"(?:[-+]?[0-9]+(?=[-+]))?{_DECIMAL}(?:[-+]{_DECIMAL.removeprefix('[-+]?')})*")
_PARTS = re.compile(rf"{_DECIMAL}|[-+]?[0-9]+(?=[-+])")
_OCCUPANCY = re.compile(r" +(?:0\.\d\d|1\.00)")
_COLUMN_REMARK = re.compile(r"\b(radi(?:us|i)|charges?)\s+(?:are\s+)?in\s+columns?\s+(\d+)", re.IGNORECASE)
_FIXED = re.compile(r"-?[0-9]+\.([0-9]+)")
_COMMENTS = ("#", ";", "!", "%", "//", "*")
_BOUNDARIES = frozenset({"MODEL", "ENDMDL", "END"})
_RECORDS = re.compile(
    "ANISOU|AUTHOR|CAVEAT|CISPEP|COMPND|CONECT|CRYST|DBREF|EXPDTA|FORMUL|FTNOTE|HEADER|HELIX|HET|HETNAM|HETSYN|"
    "HYDBND|JRNL|KEYWDS|LINK|LINKR|MASTER|MDLTYP|MODRES|MTRIX|NUMMDL|OBSLTE|ORIGX|PQR|REMARK|REVDAT|SCALE|SEQADV|"
    "SEQRES|SHEET|SIGATM|SIGUIJ|SITE|SLTBRG|SOURCE|SPLIT|SPRSDE|SSBOND|TER|TITLE|TURN|TVECT|USER"
)
_COLUMNS = ("x", "y", "z", "charge", "radius")
_EXPECTED = "expected: record serial atom residue [chain] number x y z charge radius"


def read_pqr(path: str | Path, *, model: int | None = None, trusted: bool = False) -> Particles:
    """Read the atoms of a PQR file, with charges in e and radii in angstrom.

    Parameters
    ----------
    path : path
    model : int, optional
        Which model to read, counted from 1; needed only where the file holds several.
    trusted : bool
        The caller knows that this is a PQR file; by default a file that may as well be a PDB file is refused.

    Returns
    -------
    Particles
        The names are the atom names; CRYST1 is the crystal that was measured, not a periodic system, and is not read.

    Raises
    ------
    FileFormatError
        With one line `file:line: what; expected; fix`.

    Notes
    -----
    Only the last five fields need to be numbers. A line is split at white space; where that does not give the right
    count (numbers run together), by the columns of the PDB format; and where those do not fit, at the signs of glued
    numbers. Accepted: a missing chain, a serial number glued to the record name, a residue number glued to the chain,
    insertion codes, a trailing element symbol, lower case, tabs, CRLF, a byte order mark, and every record of the PDB
    format. Lines that start with # ; ! % * or // are comments. A record that looks like a misspelled ATOM is an error.
    `gmx editconf -mead` writes charge and radius where a PDB file has occupancy and B factor, with an element behind
    them: such a file is a PQR file if a charge lies outside of 0 to 1. Radii may come first where remarks name their
    columns, or, with a warning, where the numbers leave no other reading; what may be both is refused.
    """
    path = Path(path)
    return to_particles(path, pick_model(path, pqr_models(path, trusted), model, "ATOM or HETATM record"))


def pqr_models(path: Path, trusted: bool) -> list[Atoms]:
    """Return the atoms of every model of a file; some lists may be empty.

    Raises
    ------
    FileFormatError
    """
    lines = read_lines(path)
    models: list[Atoms] = [[]]
    for row, line in enumerate(lines, 1):
        record = _record(line)
        if record == "ATOM":
            try:
                models[-1].append((row, *parse_atom(line)))
            except ValueError as error:
                raise FileFormatError(f"{path}:{row}: {error}") from error
        elif record == "BOUNDARY":
            models.append([])
        elif record == "UNKNOWN" and (what := _suspicion(line)):
            raise FileFormatError(
                f"{path}:{row}: {what}: {line.strip()[:40]!r}; expected ATOM or HETATM: correct the record name, or "
                "start the line with REMARK if it holds no atom"
            )
    if lines[-1].strip() and _record(lines[-1]) == "ATOM":
        _check_last_line(path, lines)
    if not trusted:
        _refuse_pdb(path, lines, [atom[5] for atoms in models for atom in atoms])
    if _radii_first(path, lines, [atom for atoms in models for atom in atoms]):
        models = [[(*atom[:5], atom[6], atom[5]) for atom in atoms] for atoms in models]
    return models


def parse_atom(line: str) -> tuple[str, float, float, float, float, float]:
    """Return name, x, y, z, charge and radius of one ATOM or HETATM line.

    Raises
    ------
    ValueError
        With the reason and what was expected.
    """
    tokens = _tokens(line)
    found = _by_whitespace(tokens) or _by_columns(line) or _by_signs(tokens)
    if found is None:
        raise ValueError(_diagnosis(tokens))
    return found


def _refuse_pdb(path: Path, lines: list[str], charges: list[float]) -> None:
    """Refuse a file with an element behind what may be occupancy and B factor, if every charge may be an occupancy."""
    if not all(0 <= charge <= 1 for charge in charges):
        return
    for row, line in enumerate(lines, 1):
        if _record(line) == "ATOM" and _OCCUPANCY.fullmatch(line[54:60]) and _ELEMENT.fullmatch(line[76:78].strip()):
            raise FileFormatError(
                f"{path}:{row}: this is a line of a PDB file, with occupancy {line[54:60].strip()} and B factor where "
                "a PQR file has charge and radius; read it with format='pdb' and a forcefield, or with format='pqr' if "
                "these are charge and radius"
            )


_SECOND = 63
"""Where the second of the two columns starts."""
RADII = (0.5, 3.5)
"""Radii of atoms, angstrom; those of hydrogens in polar groups may be 0."""
WHOLE = 0.02
"""How far the charges of a molecule may add up from a whole number: by the rounding of its file."""


def _radii_first(path: Path, lines: list[str], atoms: Atoms) -> bool:
    """Return True if the column of the radii comes before that of the charges: by remarks, or else by the numbers."""
    starts: dict[str, int] = {}
    for row, line in enumerate(lines, 1):
        for what, first in _COLUMN_REMARK.findall(line) if line[:6].upper() == "REMARK" else ():
            name = "radius" if what.lower().startswith("radi") else "charge"
            if starts.setdefault(name, int(first)) != int(first):
                raise FileFormatError(f"{path}:{row}: two remarks name different columns of the {name}; correct one")
    if not starts:
        return _radii_first_by_numbers(path, atoms)
    if len(starts) == 2:
        return starts["radius"] < starts["charge"]
    # A remark on one of the two tells as much.
    return starts.get("radius", _SECOND) < _SECOND or starts.get("charge", 0) >= _SECOND


def _radii_first_by_numbers(path: Path, atoms: Atoms) -> bool:
    """Decide without remarks: radii are not negative, and repeat; charges add up to a whole number.

    Charge before radius is what the format says. Radius before charge is read, with a warning, where negative numbers
    in the second column and all signs of radii in the first leave no other reading; what could be both is refused.
    """
    first, second = (np.array([atom[column] for atom in atoms]) for column in (5, 6))
    if not len(atoms) or first.min() < 0:
        return False  # no radii; a negative second number is an error of its own
    like_radii = bool(((first == 0) | ((first >= RADII[0]) & (first <= RADII[1]))).all()) and bool(first.any())
    repeat = 2 * len(np.unique(first)) <= len(first)
    whole = [abs(float(column.sum()) - round(float(column.sum()))) < WHOLE for column in (first, second)]
    if second.min() < 0 < second.max() and like_radii and repeat and whole[1]:
        warnings.warn(
            f"{path}: the first of the two last numbers of an atom is taken for its radius and the second for its "
            "charge, as no remark names the columns, the second has both signs and a whole sum, and the first repeats "
            "values like radii; to be sure, add the line: REMARK atom radii in columns 55-62",
            stacklevel=4,
        )
        return True
    first_line, both = "REMARK atom radii in columns 55-62", f"sums {first.sum():.6g} and {second.sum():.6g}"
    if second.min() < 0:
        atom = atoms[int(second.argmin())]
        raise FileFormatError(
            f"{path}:{atom[0]}: the radius is {atom[6]:g}; expected no negative number: are the charges in its column? "
            f"The numbers do not tell ({both}); add the line `{first_line}` if they are, or correct the radius"
        )
    if like_radii and repeat and whole[1] and not whole[0]:
        raise FileFormatError(
            f"{path}:{atoms[0][0]}: the numbers do not tell whether charge or radius comes first ({both}, all of one "
            f"sign); add the line `{first_line}` if the radius does, or `{first_line[:-5]}63-70` if the charge does"
        )
    return False


def _record(line: str) -> str:
    """Sort a line into ATOM, BOUNDARY (of models), KNOWN or UNKNOWN."""
    line = line.strip()
    if not line or line.startswith(_COMMENTS) or line[:6].upper() == "REMARK":
        return "KNOWN"
    if _ATOM.match(line):
        return "ATOM"
    word = _first_word(line)
    if word in _BOUNDARIES:
        return "BOUNDARY"
    if word == "HET" and (line[3:] == "" or line[3:].split()[0].upper() in ("ATM", "ATOM")):
        return "UNKNOWN"
    return "KNOWN" if _RECORDS.fullmatch(word) else "UNKNOWN"


def _first_word(line: str) -> str:
    match = _WORD.match(line)
    return (match[0] if match else line.split()[0]).upper()


def _suspicion(line: str) -> str:
    """Say why a line of no known record may hold an atom; empty if it does not look like one."""
    word = _first_word(line.strip())
    if difflib.get_close_matches(word, ("ATOM", "HETATM"), cutoff=0.6) or "ATOM".startswith(word):
        return "unknown record that looks like a misspelled or cut ATOM"
    decimals = sum("." in token and bool(_GLUED.fullmatch(token)) for token in line.split())
    return "unknown record with the numbers of an atom" if decimals >= 3 else ""


def _tokens(line: str) -> list[str]:
    """Split at white space, the record name from its serial number, and drop a trailing element symbol."""
    tokens = line.split()
    match = _ATOM.match(tokens[0])
    if match and match.end() < len(tokens[0]):
        tokens[:1] = [match[1], tokens[0][match.end() :]]
    if len(tokens) > 10 and _ELEMENT.fullmatch(tokens[-1]):
        tokens.pop()
    return tokens


def _numbers(tokens: list[str]) -> tuple[float, ...] | None:
    try:
        values = [number(token) for token in tokens]
    except ValueError:
        return None
    found = tuple(value for value in values if value is not None)
    return found if len(found) == len(tokens) else None


def _names_residue(head: list[str]) -> bool:
    """Return True if the fields before x are record, serial, atom, residue, [chain,] number [insertion code]."""
    if len(head) >= 6 and len(head[-1]) == 1 and head[-1].isalpha():
        head = head[:-1]
    return 5 <= len(head) <= 6 and _RESIDUE_NUMBER.fullmatch(head[-1]) is not None


def _found(head: list[str], tail: list[str]) -> tuple[str, float, float, float, float, float] | None:
    values = _numbers(tail)
    if values is None or not _names_residue(head):
        return None
    if len(head) == 5 and [t.lstrip("+-").isdigit() for t in tail[:3]] == [True, False, False]:
        return None  # a numeric chain, the residue number, and one coordinate missing would look like this
    x, y, z, charge, radius = values
    return head[2], x, y, z, charge, radius


def _by_whitespace(tokens: list[str]) -> tuple[str, float, float, float, float, float] | None:
    return _found(tokens[:-5], tokens[-5:])


def _by_columns(line: str) -> tuple[str, float, float, float, float, float] | None:
    """Read the columns of the PDB format; one count of decimals in x, y and z shows that no number is cut."""
    if "\t" in line or line[27:30].strip() or not line[22:26].strip():
        return None
    place = [line[start : start + 8].strip() for start in (30, 38, 46)]
    matches = [_FIXED.fullmatch(token) for token in place]
    if len({len(match[1]) for match in matches if match}) != 1 or not all(matches):
        return None
    rest = [part for token in line[54:].split() for part in (_split(token) or [token])]
    if len(rest) == 3 and _ELEMENT.fullmatch(rest[-1]):
        rest.pop()
    if len(rest) != 2:
        return None
    return _found(["", "", line[12:16].strip(), "", line[22:27].strip()], place + rest)


def _split(token: str) -> list[str] | None:
    """Split numbers that are glued at their signs; None if the token is something else."""
    return _PARTS.findall(token) if _GLUED.fullmatch(token) else None


def _by_signs(tokens: list[str]) -> tuple[str, float, float, float, float, float] | None:
    tail: list[str] = []
    for index in reversed(range(len(tokens))):
        parts = _split(tokens[index])
        if parts is None:
            return None
        tail = parts + tail
        if len(tail) >= 5:
            return _found(tokens[:index] + tail[:-5], tail[-5:])
    return None


def _diagnosis(tokens: list[str]) -> str:
    for column, token in zip(_COLUMNS, tokens[-5:]):
        try:
            number(token)
        except ValueError as error:
            return f"{column}: {error}; expected a finite number: correct the line"
    if len(tokens) < 10:
        return f"a column is missing: {len(tokens)} fields; {_EXPECTED}"
    for column, token in zip(_COLUMNS, tokens[-5:]):
        if number(token) is None and len(tokens) - (not _names_residue(tokens[:-5])) >= 10:
            return f"{column} is {token!r}, which is not a number; {_EXPECTED}"
    return f"the {len(tokens)} fields do not tell the residue number from x (is a column missing?); {_EXPECTED}"


def _check_last_line(path: Path, lines: list[str]) -> None:
    """Refuse a last line without line end whose last number has fewer decimals than those of the lines before."""
    decimals = [len(line.split()[-1].partition(".")[2]) for line in lines if _record(line) == "ATOM"]
    before = set(decimals[:-1])
    if len(decimals) > 3 and len(before) == 1 and decimals[-1] < min(before):
        raise FileFormatError(
            f"{path}:{len(lines)}: the last line looks cut: {lines[-1].split()[-1]!r} has fewer decimals than the "
            "lines before, and no line end follows; copy the file again, or end the line if it is complete"
        )
