"""Configurations with energies, forces and stresses in extended XYZ files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from sci.arguments import entry
from sci.atomistic import Configuration
from sci.errors import FileFormatError, InvalidValueError, SciError
from sci.io.core.atomic_write import replacing
from sci.io.readers.text import number
from sci.io.readers.xyz import (
    CHARGE_NAMES,
    frame_table,
    lattice,
    numbers_of,
    periodic_axes,
    property_places,
    xyz_texts,
)

__all__ = ["read_configurations", "write_configurations"]


@entry
def read_configurations(
    path: str | Path,
    *,
    energy: str = "energy",
    forces: str = "forces",
    stress: str = "stress",
    frames: slice = slice(None),
) -> list[Configuration]:
    """Read the configurations of an extended XYZ file.

    Parameters
    ----------
    path : path
    energy, stress : str
        Names in the comment line: the energy in eV, and the stress in eV/angstrom^3, nine numbers, positive where
        stretching costs energy. Without a stress, a `virial` in eV is read: minus the stress times the volume.
    forces : str
        Name of the property of forces, eV/angstrom.
    frames : slice
        Which frames of the file.

    Returns
    -------
    list of Configuration
        With the labels that the file holds, charges too; a frame may lack any.

    Raises
    ------
    FileFormatError
        With one line `file:line: what; expected; fix`.

    Examples
    --------
    >>> from sci.atomistic import Configuration
    >>> from sci.io import read_configurations, write_configurations
    >>> pair = Configuration(["Na", "Cl"], [[0, 0, 0], [2.4, 0, 0]], energy=-4.2, forces=[[0.5, 0, 0], [-0.5, 0, 0]])
    >>> write_configurations("pair.extxyz", [pair])
    >>> read_configurations("pair.extxyz")
    [Configuration(2 atoms: Cl 1, Na 1; isolated; energy, forces)]
    """
    path = Path(path)
    found: list[Configuration] = []
    from_the_end = any(number is not None and number < 0 for number in (frames.start, frames.stop, frames.step))
    chosen = range(2**62) if from_the_end else range(2**62)[frames]
    for _, skipped, lines in xyz_texts(path, chosen.__contains__):
        if lines is not None:
            found.append(_configuration(path, skipped, lines, (energy, forces, stress)))
    if from_the_end:
        found = found[frames]
    if not found:
        if frames == slice(None):
            raise FileFormatError(f"{path}: the file is empty; expected frames, each with its number of atoms first")
        raise FileFormatError(f"{path}: the file has no frame in {frames}; expected frames that exist, counted from 0")
    return found


def _configuration(path: Path, skipped: int, lines: list[str], names: tuple[str, str, str]) -> Configuration:
    """Return the configuration of a frame's lines, of which `skipped` lines of the file stand before."""
    rows, header, columns = frame_table(path, lines, 0, skipped, charges=False)
    row = skipped + 2
    periodic = periodic_axes(path, row, header) if "lattice" in header else (False,) * 3
    cell = lattice(path, row, header, periodic) if any(periodic) else None
    tokens = [line.split() for line in rows]
    for k, line in enumerate(tokens):
        if not columns.fits(len(line)):
            expected = columns.total or "four: species x y z"
            raise FileFormatError(f"{path}:{row + 1 + k}: {len(line)} columns; expected {expected}")
    places = property_places(header) if "properties" in header else {}
    charge = next((name for name in CHARGE_NAMES if name in places), "")
    species = tuple(line[columns.species] for line in tokens)
    positions = _columns(path, row + 1, tokens, "positions", (columns.place, 3))
    try:
        return Configuration(
            species,
            positions,
            cell,
            periodic,
            charges=_labels(path, row + 1, tokens, charge, places, 1),
            energy=_energy(path, row, header, names[0].lower()),
            forces=_labels(path, row + 1, tokens, names[1].lower(), places, 3),
            stress=_stress(path, row, header, names[2].lower(), cell) if all(periodic) else None,
        )
    except SciError as error:
        if isinstance(error, FileFormatError):
            raise
        raise FileFormatError(f"{path}:{row}: {error}") from error


def _labels(
    path: Path, first: int, tokens: list[list[str]], name: str, places: dict[str, tuple[int, int]], width: int
) -> np.ndarray | None:
    """Return the numbers of a property, (n,) or (n, 3); None where the file has no such property."""
    if name not in places:
        return None
    if places[name][1] != width:
        raise FileFormatError(
            f"{path}:{first - 1}: Properties gives {name} {places[name][1]} columns; expected {width}"
        )
    found = _columns(path, first, tokens, name, places[name])
    return found[:, 0] if width == 1 else found


def _columns(path: Path, first: int, tokens: list[list[str]], name: str, place: tuple[int, int]) -> np.ndarray:
    """Return columns of numbers; the error names the line."""
    start, width = place
    found = np.empty((len(tokens), width))
    for k, line in enumerate(tokens):
        for column in range(width):
            try:
                value = number(line[start + column])
            except ValueError as error:
                raise FileFormatError(f"{path}:{first + k}: {name}: {error}") from error
            if value is None:
                raise FileFormatError(f"{path}:{first + k}: {name} is {line[start + column]!r}; expected a number")
            found[k, column] = value
    return found


def _energy(path: Path, row: int, header: dict[str, str], name: str) -> float | None:
    if name not in header:
        return None
    found = numbers_of(header[name], 1)
    if found is None:
        raise FileFormatError(f"{path}:{row}: {name}={header[name][:40]!r}; expected a finite number (eV)")
    return float(found[0])


def _stress(path: Path, row: int, header: dict[str, str], name: str, cell: np.ndarray | None) -> np.ndarray | None:
    """Return the stress, or minus the virial over the volume."""
    key = name if name in header else "virial"
    if key not in header or cell is None:
        return None
    found = numbers_of(header[key], 9)
    if found is None:
        raise FileFormatError(f"{path}:{row}: {key}={header[key][:80]!r}; expected nine finite numbers")
    tensor = found.reshape(3, 3)
    return tensor if key == name else -tensor / abs(float(np.linalg.det(cell)))


@entry
def write_configurations(path: str | Path, configurations: Sequence[Configuration], *, overwrite: bool = False) -> None:
    """Write configurations as an extended XYZ file, with all digits and all labels.

    Parameters
    ----------
    path : path
    configurations : sequence of Configuration
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InvalidValueError
        Without configurations, for species that are no words, or a file that exists.
    FileFormatError
        For a disk that is full.
    """
    if not configurations:
        raise InvalidValueError("there are no configurations to write; expected one or more")
    texts = [_text(one) for one in configurations]
    with replacing(path, overwrite=overwrite) as temporary, open(temporary, "w", encoding="utf-8") as file:
        file.writelines(texts)


def _text(one: Configuration) -> str:
    """Return a configuration in the format of extended XYZ."""
    odd = next((name for name in one.species if len(name.split()) != 1), None)
    if odd is not None:
        raise InvalidValueError(f"a species is named {odd!r}; expected a word without blanks")
    properties, columns = ["species:S:1", "pos:R:3"], [np.asarray(one.positions)]
    if one.charges is not None:
        properties.append("initial_charges:R:1")
        columns.append(np.asarray(one.charges)[:, None])
    if one.forces is not None:
        properties.append("forces:R:3")
        columns.append(np.asarray(one.forces))
    words = [] if one.cell is None else [f'Lattice="{_numbers(np.ravel(one.cell))}"']
    words.append(f"Properties={':'.join(properties)}")
    words += [] if one.energy is None else [f"energy={one.energy:.17g}"]
    words += [] if one.stress is None else [f'stress="{_numbers(np.ravel(one.stress))}"']
    if one.cell is not None:
        words.append(f'pbc="{" ".join("T" if p else "F" for p in one.periodic or ())}"')
    rows = (f"{name} {_numbers(row)}" for name, row in zip(one.species, np.concatenate(columns, axis=1)))
    return "\n".join([str(one.n), " ".join(words), *rows]) + "\n"


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{v:.17g}" for v in values)
