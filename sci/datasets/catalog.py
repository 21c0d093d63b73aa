"""The table of data sets, and the functions that find, load and copy one."""

from __future__ import annotations

import difflib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sci import io
from sci.errors import FileFormatError, InvalidValueError
from sci.io.core.atomic_write import replacing

__all__ = ["DATASETS", "Dataset", "copy_dataset", "dataset_path", "load_dataset"]

PACKAGE = Path(__file__).parents[1]


@dataclass(frozen=True)
class Dataset:
    """One entry of `DATASETS`.

    Parameters
    ----------
    file : str
        Name of the file, or of the folder of scripts.
    what : str
        What it holds, in a line.
    kind : str
        "structure", "pdb", "crystal", "trajectory", "samples", "problem", "table" or "scripts".

    Examples
    --------
    >>> from sci.datasets import DATASETS
    >>> DATASETS["nacl"].file
    'nacl.cif'
    """

    file: str
    what: str
    kind: str


DATASETS: Mapping[str, Dataset] = MappingProxyType(
    {
        "ubiquitin": Dataset("1ubi.pqr", "ubiquitin, 1,231 atoms with AMBER charges and radii", "structure"),
        "ubiquitin-pdb": Dataset("1ubi.pdb", "ubiquitin as the Protein Data Bank has it, without charges", "pdb"),
        "nacl": Dataset("nacl.cif", "one cell of rock salt, 8 ions", "crystal"),
        "zno": Dataset("zno.cif", "one hexagonal cell of zinc oxide, 4 ions", "crystal"),
        "ions": Dataset("ions.xyz", "12 frames of 64 ions, extended XYZ with charges", "trajectory"),
        "darcy": Dataset("darcy.h5", "48 samples of Darcy flow on 16 x 16 points", "samples"),
        "body": Dataset("body.h5", "a Poisson problem of 24^3 cells around an insulating body", "problem"),
        "learning_curves": Dataset(
            "learning_curves.csv", "losses of 90 trainings against the number of samples", "table"
        ),
        "examples": Dataset("examples", "scripts for one process, and for batch systems", "scripts"),
        "mpi_examples": Dataset("mpi_examples", "scripts for mpirun", "scripts"),
    }
)
"""The data sets by name. `sci dataset` lists them; sci/datasets/data/SOURCES.md has their origins and licenses."""


def dataset_path(name: str) -> Path:
    """Return the path of a data set in the installed package.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.

    Returns
    -------
    Path
        A file, or a folder of scripts. Read it there; to change it, take a copy by `copy_dataset`.

    Raises
    ------
    InvalidValueError
        For an unknown name.
    FileFormatError
        If the installation lacks the file.

    Examples
    --------
    >>> from sci.datasets import dataset_path
    >>> from sci.io import read_crystal
    >>> read_crystal(dataset_path("zno")).n
    4
    """
    found = _entry(name)
    if found.kind != "scripts":
        path = PACKAGE / "datasets" / "data" / found.file
    else:
        shipped = PACKAGE / "_examples"
        path = (shipped if shipped.is_dir() else PACKAGE.parent) / found.file
    if not path.exists():
        raise FileFormatError(f"{path}: the installation lacks this data set; install the package again")
    return path


def load_dataset(name: str) -> Any:
    """Return the contents of a data set.

    Parameters
    ----------
    name : str
        A key of `DATASETS`, not one of scripts.

    Returns
    -------
    Particles, list of Particles, Samples, PoissonProblem or dict
        The charges of a structure or crystal (angstrom, e), those of each frame of a trajectory, the inputs and outputs
        of samples, the operator and right-hand side of a problem, the columns of a table by name.

    Raises
    ------
    InvalidValueError
        For an unknown name, for scripts, and for a structure without charges.
    MissingDependencyError
        If a reader needs an extra.

    Examples
    --------
    >>> from sci.datasets import load_dataset
    >>> load_dataset("ubiquitin").n
    1231
    >>> load_dataset("darcy").x.shape
    (48, 16, 16)
    """
    kind = _entry(name).kind
    if kind in ("scripts", "pdb"):
        what = "scripts" if kind == "scripts" else "a structure without charges"
        raise InvalidValueError(f"the data set {name!r} holds {what}; expected one with numbers, or use dataset_path")
    path = dataset_path(name)
    if kind == "structure":
        return io.read_structure(path)
    if kind == "crystal":
        return io.read_crystal(path)
    if kind == "trajectory":
        return [particles for _, particles in io.read_frames(path)]
    if kind == "table":
        return io.read_table(path)
    return io.load_samples(path) if kind == "samples" else io.load_problem(path)


def copy_dataset(name: str, target: str | Path, *, overwrite: bool = False) -> Path:
    """Copy a data set to a file, or scripts to a folder.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.
    target : path
        The name of the copy.
    overwrite : bool
        Whether `target` may exist.

    Returns
    -------
    Path
        `target`.

    Raises
    ------
    InvalidValueError
        For an unknown name, or a target that exists.
    FileFormatError
        If `target` cannot be written.

    Examples
    --------
    >>> from sci.datasets import copy_dataset
    >>> copy_dataset("nacl", "rock_salt.cif").name
    'rock_salt.cif'
    """
    source, target = dataset_path(name), Path(target)
    if target.exists() and not overwrite:
        raise InvalidValueError(f"{target} exists; choose another name, or pass overwrite=True")
    if source.is_dir():
        _copy_folder(source, target)
    else:
        with replacing(target, source.stat().st_size, overwrite=overwrite) as temporary:
            shutil.copyfile(source, temporary)
    return target


def _copy_folder(source: Path, target: Path) -> None:
    """Copy a folder; a new one appears under its name when it is complete."""
    place = target if target.exists() else target.with_name(f".{target.name[:50]}.tmp")
    try:
        shutil.copytree(source, place, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        if place != target:
            place.rename(target)
    except (OSError, shutil.Error) as error:
        if place != target:
            shutil.rmtree(place, ignore_errors=True)
        full = "the disk is full" if "No space left" in str(error) else getattr(error, "strerror", None) or "no access"
        raise FileFormatError(f"{target}: cannot be written ({full}); free space, or choose another folder") from error


def _entry(name: str) -> Dataset:
    """Return the entry of a name, or name the closest."""
    try:
        return DATASETS[name]
    except (KeyError, TypeError):
        close = difflib.get_close_matches(str(name), DATASETS, 1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        known = ", ".join(DATASETS)
        raise InvalidValueError(f"there is no data set {name!r}; expected one of {known}{hint}") from None
