"""Sets of crystals in files of any kind: CIF, folders of it, extended XYZ, and files of sci."""

from __future__ import annotations

import shutil
import uuid
from pathlib import Path

from sci.arguments import entry
from sci.atomistic import Configuration
from sci.errors import FileFormatError, InvalidValueError, SciError, with_article
from sci.generative import Crystals
from sci.io.configurations import read_configurations, write_configurations
from sci.io.core.outputs import exists_error, write_error
from sci.io.exports.cif import write_cif
from sci.io.readers.cif import read_cif
from sci.io.store import load

__all__ = ["read_crystals", "require_format", "write_crystals"]

XYZ, HDF5 = (".xyz", ".extxyz"), (".h5", ".hdf5")


@entry
def read_crystals(path: str | Path) -> Crystals:
    """Read crystals from a CIF file, a folder of them, an extended XYZ file, or an HDF5 file of sci.

    Parameters
    ----------
    path : path
        A folder is read in the order of its names that end in .cif.

    Returns
    -------
    Crystals

    Raises
    ------
    FileFormatError
        For files of another kind and content, and crystals that are none: the message names file, crystal and atom.
    MissingDependencyError
        For CIF without gemmi (extra `structures`).

    Examples
    --------
    >>> from sci.generative import ionic_crystals
    >>> from sci.io import read_crystals, write_crystals
    >>> write_crystals("salts.extxyz", ionic_crystals())
    >>> read_crystals("salts.extxyz")
    Crystals(120 crystals, 1062 atoms of 22 elements)
    """
    path = Path(path)
    suffix = path.suffix.lower()
    try:
        folder = path.is_dir()
    except OSError as error:  # a name that is too long
        raise FileFormatError(f"{path}: {error.strerror}; expected the name of a file or folder") from error
    if folder:
        files = sorted(p for p in path.iterdir() if p.suffix.lower() == ".cif")
        if not files:
            raise FileFormatError(f"{path}: the folder has no .cif file; expected one or more")
        return _crystals(path, [read_cif(file) for file in files], [file.name for file in files])
    if suffix == ".cif":
        return _crystals(path, [read_cif(path)], [path.name])
    if suffix in XYZ:
        return _crystals(path, read_configurations(path), None)
    found = load(path)
    if not isinstance(found, Crystals):
        raise FileFormatError(
            f"{path}: holds {with_article(type(found).__name__)}; expected Crystals, extended XYZ or CIF"
        )
    return found


def _crystals(path: Path, found: list[Configuration], names: list[str] | None) -> Crystals:
    """Return a set; the error of one that is no crystal names its file, or its frame."""
    for k, one in enumerate(found):
        try:
            Crystals([one])
        except SciError as error:
            where = f"{path}: frame {k} (counted from 0)" if names is None else f"{path.parent / names[k]}"
            if names is not None and path.is_dir():
                where = str(path / names[k])
            raise FileFormatError(f"{where}: {str(error).removeprefix('crystal 0 (counted from 0): ')}") from error
    return Crystals(found)


@entry
def write_crystals(path: str | Path, crystals: Crystals, *, overwrite: bool = False) -> None:
    """Write crystals as extended XYZ (.xyz, .extxyz), as one CIF file (.cif), or as a folder of CIF files.

    `sci.io.save` writes them as HDF5.

    Parameters
    ----------
    path : path
        A name without a suffix is a folder: crystal_0000.cif and so on. It appears with all files or not at all.
    crystals : Crystals
    overwrite : bool
        Replace a file that exists, or the CIF files of a folder.

    Raises
    ------
    InvalidValueError
        For another suffix, several crystals for one CIF file, or a file or folder that exists.
    FileFormatError
        For a folder that cannot be written to, or a disk that is full.
    """
    path = Path(path)
    if require_format(path, len(crystals), overwrite=overwrite):
        _write_folder(path, crystals)
    elif path.suffix.lower() == ".cif":
        write_cif(path, crystals.configurations[0], overwrite=overwrite)
    elif path.suffix.lower() in XYZ:
        write_configurations(path, list(crystals), overwrite=overwrite)
    else:
        raise InvalidValueError(f"{path}: HDF5 files are written by sci.io.save")


def require_format(path: Path, number: int, *, overwrite: bool) -> bool:
    """Tell a folder of CIF files, True, from a file; refuse names of no format, and folders that exist.

    Raises
    ------
    InvalidValueError, FileFormatError
    """
    suffix = path.suffix.lower()
    if suffix == ".cif" and number > 1:
        raise InvalidValueError(f"{path}: one CIF file for {number} crystals; expected a folder's name, or .extxyz")
    if suffix in (*XYZ, *HDF5, ".cif"):
        return False
    if suffix:
        raise InvalidValueError(f"{path}: the suffix {suffix!r} is unknown; expected .h5, .extxyz, .cif, or a folder")
    try:
        exists, folder, parent = path.exists() or path.is_symlink(), path.is_dir(), path.resolve().parent.is_dir()
    except OSError as error:
        raise write_error(path, error) from error
    if exists and not folder:
        raise InvalidValueError(f"{path} exists and is no folder; expected a folder's name, or one with a suffix")
    if exists and not overwrite:
        raise exists_error(path)
    if not parent:
        raise FileFormatError(f"{path}: the folder {path.parent} does not exist; make it, or choose another")
    return True


def _write_folder(path: Path, crystals: Crystals) -> None:
    """Write a folder of CIF files beside its name and rename it; of one that exists, replace the CIF files."""
    names = [f"crystal_{k:04d}.cif" for k in range(len(crystals))]
    place = path.with_name(f".{path.name[:50]}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        place.mkdir()
        for name, one in zip(names, crystals):
            write_cif(place / name, one)
        if path.is_dir():
            old = {p.name for p in path.iterdir() if p.suffix.lower() == ".cif"}
            for name in names:
                (place / name).replace(path / name)
            for name in old - set(names):
                (path / name).unlink()
        else:
            place.rename(path)
    except OSError as error:
        raise write_error(path, error) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
