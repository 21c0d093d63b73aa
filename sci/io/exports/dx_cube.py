"""Grids as OpenDX (APBS, PyMOL, VMD, ChimeraX) and as Gaussian cube files, written slab by slab."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np

from sci.backend import to_host
from sci.errors import InvalidValueError
from sci.io.core.atomic_write import replacing
from sci.potentials.grid import PotentialGrid
from sci.potentials.particles import Particles
from sci.units import BOHR, potential_factor

__all__ = ["write_cube", "write_dx"]

_BLOCK = 300_000
_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Y Zr Nb "
    "Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe"
)
_NUMBERS = {symbol: number for number, symbol in enumerate(_SYMBOLS.split(" "), 1)}
_IONS = ("NA", "CL", "MG", "ZN", "MN", "FE", "CU", "BR", "LI", "RB", "NI", "SE", "AL", "SI")


def write_dx(path: str | Path, grid: PotentialGrid, *, overwrite: bool = False) -> None:
    """Write `grid` as an OpenDX scalar field, in its own units and angstrom.

    Parameters
    ----------
    path : path
    grid : PotentialGrid
        APBS and the programs that read its files expect kT/e: use `grid.in_units("kT/e")`.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InvalidValueError
        If the file exists and is not to be replaced, or another process or thread writes it.
    FileFormatError
        If the folder cannot be written to or the disk is full.

    Notes
    -----
    z runs fastest, three values a line, seven digits. Nothing is found under `path` until the file is complete.
    """
    nx, ny, nz = grid.shape
    hx, hy, hz = grid.spacing
    header = (
        f"# Electrostatic potential in {grid.units}, lengths in angstrom\n"
        f"object 1 class gridpositions counts {nx} {ny} {nz}\n"
        f"origin {_triple(grid.origin)}\ndelta {_triple((hx, 0, 0))}\ndelta {_triple((0, hy, 0))}\n"
        f"delta {_triple((0, 0, hz))}\nobject 2 class gridconnections counts {nx} {ny} {nz}\n"
        f"object 3 class array type double rank 0 items {nx * ny * nz} data follows\n"
    )
    footer = (
        'attribute "dep" string "positions"\nobject "regular positions regular connections" class field\n'
        'component "positions" value 1\ncomponent "connections" value 2\ncomponent "data" value 3\n'
    )
    with (
        replacing(path, 14 * nx * ny * nz, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="ascii", newline="\n") as file,
    ):
        file.write(header)
        _write_flat(file, _rows(grid, 1.0), 3)
        file.write(footer)


def write_cube(
    path: str | Path,
    grid: PotentialGrid,
    particles: Particles,
    *,
    temperature: float = 298.15,
    overwrite: bool = False,
) -> None:
    """Write `grid` and the atoms as a Gaussian cube file, in bohr and hartree/e.

    Parameters
    ----------
    path : path
    grid : PotentialGrid
        In any unit; `temperature` in kelvin is used if that is kT/e.
    particles : Particles
        The element follows from the name: a symbol as chemists write it (Na), a common ion in capitals (NA), else the
        first letter, as proteins have it (CA is carbon). The second column of an atom is its charge.
    overwrite : bool
        Replace a file that exists.

    Raises
    ------
    InvalidValueError
        For more than 99,999 atoms or points on an axis, which the format's columns do not hold; if the file exists and
        is not to be replaced, or another process or thread writes it.
    FileFormatError
        If the folder cannot be written to or the disk is full.

    Notes
    -----
    z runs fastest, six values a line, and each row along z begins a new line. Nothing is found under `path` until the
    file is complete.
    """
    if max(particles.n, *grid.shape) > 99_999:
        raise InvalidValueError(
            f"{particles.n} atoms and {grid.shape} points; a cube file holds at most 99,999 of each: use write_dx"
        )
    factor = potential_factor("hartree/e", temperature) / potential_factor(grid.units, temperature)
    atoms = particles.to_host()
    lines = ["Electrostatic potential", "values in hartree/e, lengths in bohr; x outer, z inner loop"]
    lines.append(_cube_row(atoms.n, *(o / BOHR for o in grid.origin)))
    for axis, (count, step) in enumerate(zip(grid.shape, grid.spacing)):
        lines.append(_cube_row(count, *(step / BOHR * (axis == other) for other in range(3))))
    for name, charge, place in zip(atoms.names or [""] * atoms.n, atoms.charges, atoms.positions / BOHR):
        lines.append(_cube_row(_atomic_number(name), charge, *place))
    n_bytes = 14 * grid.values.size + 60 * atoms.n
    with (
        replacing(path, n_bytes, overwrite=overwrite) as temporary,
        temporary.open("w", encoding="ascii", newline="\n") as file,
    ):
        file.write("\n".join(lines) + "\n")
        for block in _rows(grid, factor):
            _write_rows(file, block, 6)


def _triple(values: tuple[float, float, float]) -> str:
    return " ".join(f"{value:.9g}" for value in values)


def _cube_row(number: int, *values: float) -> str:
    return f"{number:5d}" + "".join(f"{value:12.6f}" for value in values)


def _atomic_number(name: str) -> int:
    """Return the number of a symbol as chemists write it (Na), of a common ion in capitals, or of the first letter."""
    letters = "".join(c for c in name if c.isalpha())
    if (letters in _NUMBERS and len(letters) > 1) or letters in _IONS:
        return _NUMBERS[letters.capitalize()]
    return _NUMBERS.get(letters[:1].upper(), 0)


def _rows(grid: PotentialGrid, factor: float) -> Iterator[np.ndarray]:
    """Yield blocks of the values in C order as rows along z, (rows, nz), on the host."""
    nx, ny, nz = grid.shape
    rows = grid.values.reshape(nx * ny, nz)
    step = max(1, _BLOCK // nz)
    for start in range(0, nx * ny, step):
        yield to_host(rows[start : start + step]) * factor


def _write_flat(file: IO[str], blocks: Iterator[np.ndarray], width: int) -> None:
    """Write all values in lines of `width`, across the ends of rows."""
    kept = np.empty(0)
    for block in blocks:
        values = np.concatenate([kept, block.ravel()])
        whole = len(values) // width * width
        _write_lines(file, values[:whole].reshape(-1, width))
        kept = values[whole:]
    if len(kept):
        _write_lines(file, kept[None])


def _write_rows(file: IO[str], block: np.ndarray, width: int) -> None:
    """Write each row in lines of `width` columns of 13; a row's last line may be shorter."""
    whole, rest = divmod(block.shape[1], width)
    line = "%13.5E" * width + "\n"
    last = "%13.5E" * rest + "\n" if rest else ""
    # An exponent of three digits would run into the column before it.
    block = np.where(np.abs(block) < 1e-99, 0.0, block)
    file.write((line * whole + last) * len(block) % tuple(block.ravel().tolist()))


def _write_lines(file: IO[str], lines: np.ndarray) -> None:
    template = " ".join(["%.6e"] * lines.shape[1]) + "\n"
    file.write(template * len(lines) % tuple(lines.ravel().tolist()))
