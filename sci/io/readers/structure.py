"""One entry for structure files: PQR, XYZ and extended XYZ, PDB and mmCIF with a force field."""

from __future__ import annotations

from pathlib import Path

from sci.errors import FileFormatError, InvalidValueError
from sci.io.readers.forcefield import read_with_forcefield
from sci.io.readers.pqr import read_pqr
from sci.io.readers.xyz import read_xyz
from sci.potentials.particles import Particles

__all__ = ["STRUCTURE_FORMATS", "read_structure"]

STRUCTURE_FORMATS: dict[str, tuple[str, ...]] = {
    "pqr": (".pqr",),
    "xyz": (".xyz", ".extxyz"),
    "pdb": (".pdb", ".ent"),
    "mmcif": (".cif", ".mmcif"),
}
"""The formats of `read_structure`, and the suffixes of each."""


def read_structure(
    path: str | Path, *, format: str | None = None, forcefield: str | None = None, model: int | None = None
) -> Particles:
    """Read point charges from a structure file.

    Parameters
    ----------
    path : path
    format : {"pqr", "xyz", "pdb", "mmcif"}, optional
        Overrides every guess. By default that of the suffix: .pqr; .xyz, .extxyz; .pdb, .ent; .cif, .mmcif.
    forcefield : {"AMBER", "CHARMM", "PARSE", "TYL06", "PEOEPB", "SWANSON"}, optional
        For PDB and mmCIF, which hold no charges: pdb2pqr adds hydrogens, charges and radii by it.
    model : int, optional
        Which model or frame to read, counted from 1; needed only where the file holds several.

    Returns
    -------
    Particles
        Positions and radii in angstrom, charges in e; on the host.

    Raises
    ------
    FileFormatError
        With one line `file:line: what; expected; fix`.
    InvalidValueError
        For an unknown format or force field, or a force field for a file that has charges.
    MissingDependencyError
        For PDB and mmCIF without gemmi and pdb2pqr (extra `structures`).

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sci.io import read_structure
    >>> path = pathlib.Path(tempfile.mkdtemp(), "ion.pqr")
    >>> _ = path.write_text("ATOM 1 NA NA 1 0.0 0.0 0.0 1.0 1.87")
    >>> read_structure(path).total_charge
    1.0
    """
    path = Path(path)
    given = format is not None
    format = format.lower() if format is not None else _format_of(path)
    if format in ("pdb", "mmcif"):
        return read_with_forcefield(path, format, forcefield, model=model)
    if format not in STRUCTURE_FORMATS:
        raise InvalidValueError(f"format is {format!r}; expected one of {', '.join(STRUCTURE_FORMATS)}")
    if forcefield is not None:
        raise InvalidValueError(f"{path}: a {format} file holds its charges; leave forcefield={forcefield!r} out")
    return read_pqr(path, model=model, trusted=given) if format == "pqr" else read_xyz(path, model=model)


def _format_of(path: Path) -> str:
    for format, suffixes in STRUCTURE_FORMATS.items():
        if path.suffix.lower() in suffixes:
            return format
    known = ", ".join(suffix for suffixes in STRUCTURE_FORMATS.values() for suffix in suffixes)
    raise FileFormatError(
        f"{path}: the suffix {path.suffix!r} tells no format; expected {known}: rename the file or pass format="
    )
