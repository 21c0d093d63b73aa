"""The types of options: numbers within bounds, and names of files. Each says in words what it takes."""

from __future__ import annotations

import argparse
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sci.options import MOST_THREADS

__all__ = [
    "AXIS",
    "CELLS",
    "CHANNELS",
    "COUNT",
    "INTEGER",
    "KELVIN",
    "NONNEGATIVE",
    "PADDING",
    "PERMITTIVITY",
    "POSITIVE",
    "PROBES",
    "RADIUS",
    "REAL",
    "SEED",
    "SHARE",
    "STRENGTH",
    "THREADS",
    "VALENCE",
    "WIDTH",
    "Number",
    "byte_size",
    "csv_name",
    "file_name",
    "hdf5_name",
]

LARGEST_COUNT, LARGEST_AXIS = 10**9, 10**6


@dataclass(frozen=True)
class Number:
    """A number that an option takes, from words or from a file of options; no NaN, no infinity.

    Parameters
    ----------
    kind : type
        int or float.
    low, high : number
        The least and the largest value.
    words : str
        What is expected.

    Examples
    --------
    >>> from sci.cli.values import Number
    >>> Number(int, 1, 9, "a digit")("7")
    7
    """

    kind: type[int] | type[float]
    low: float
    high: float
    words: str

    def __call__(self, text: str) -> int | float:
        """Return the number in a word of the command line."""
        try:
            return self.of(self.kind(text))
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: expected {self.words}") from error

    def of(self, value: Any) -> int | float:
        """Return a number of a file of options.

        Raises
        ------
        ValueError
            For another class, or a value out of bounds.
        """
        given = int if self.kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, given) or not self.low <= value <= self.high:
            raise ValueError(f"expected {self.words}")
        return self.kind(value)


_TINY, _HUGE = math.ulp(0.0), sys.float_info.max

COUNT = Number(int, 1, LARGEST_COUNT, f"an integer from 1 to {LARGEST_COUNT}")
"""A number of things of which there is one at least."""
PROBES = Number(int, 2, LARGEST_AXIS, f"an integer from 2 to {LARGEST_AXIS}")
"""Random vectors whose scatter tells the error."""
INTEGER = Number(int, -LARGEST_COUNT, LARGEST_COUNT, f"an integer from -{LARGEST_COUNT} to {LARGEST_COUNT}")
AXIS = Number(int, 1, LARGEST_AXIS, f"an integer from 1 to {LARGEST_AXIS}")
"""Points along one axis of a grid."""
CHANNELS = Number(int, 1, 2**15, f"an integer from 1 to {2**15}")
"""A number whose square, or more, is that of the numbers in an array."""
SEED = Number(int, 0, 2**63 - 1, "an integer from 0 to 2^63 - 1")
THREADS = Number(int, 1, MOST_THREADS, f"an integer from 1 to {MOST_THREADS}")
POSITIVE = Number(float, _TINY, _HUGE, "a positive number")
NONNEGATIVE = Number(float, 0.0, _HUGE, "a number of 0 or more")
REAL = Number(float, -_HUGE, _HUGE, "a number")
DECAY = Number(float, _TINY, 1 - 2**-53, "a number between 0 and 1")
SHARE = Number(float, _TINY, 1.0, "a number above 0, at most 1")
CELLS = Number(int, 8, 1024, "an integer from 8 to 1024")
"""Cells along each axis of a cubic grid."""
STRENGTH = Number(float, 1e-9, 100.0, "a number from 1e-9 to 100")
"""Ionic strength, mole per liter."""
KELVIN = Number(float, 100.0, 1e4, "kelvin, a number from 100 to 10000")
PERMITTIVITY = Number(float, 0.1, 1e4, "a number from 0.1 to 10000")
VALENCE = Number(int, -10, 10, "an integer from -10 to 10")
RADIUS = Number(float, 0.0, 100.0, "a number from 0 to 100")
WIDTH = Number(float, 0.02, 20.0, "a number from 0.02 to 20")
PADDING = Number(float, 1.0, 1e3, "a number from 1 to 1000")
"""Lengths in angstrom."""

PROMISES = {
    **{".dx": "OpenDX", ".cube": "Gaussian cube", ".vti": "VTK", ".vtk": "VTK", ".nc": "NetCDF", ".mat": "MATLAB"},
    **{".npz": "NumPy", ".npy": "NumPy", ".csv": "text", ".txt": "text", ".json": "JSON", ".toml": "TOML"},
    **{".png": "a picture", ".pdf": "a picture", ".svg": "a picture", ".html": "a page", ".pt": "PyTorch"},
    **dict.fromkeys((".pqr", ".pdb", ".cif", ".mmcif", ".xyz", ".extxyz", ".dcd", ".xtc"), "a structure"),
}
"""What other programs expect in a file with each suffix."""


_UNITS = {"": 1, **{f"{p}{i}B": (1024 if i else 1000) ** k for k, p in enumerate("kMGT", 1) for i in ("", "i")}}


def byte_size(text: str) -> float:
    """Return the bytes of a size of memory: "16GB", "512 MiB", or a number of bytes.

    Raises
    ------
    argparse.ArgumentTypeError
    """
    number = text.rstrip("kKMGTiB ")
    unit = text[len(number) :].strip().replace("K", "k").removesuffix("B")
    try:
        return float(POSITIVE(number)) * float(_UNITS[f"{unit}B" if unit else ""])
    except (argparse.ArgumentTypeError, KeyError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a size like 16GB, 512MiB or a number of bytes") from error


def file_name(text: str) -> Path:
    """Return the path of a file; a name without a character is refused.

    Raises
    ------
    argparse.ArgumentTypeError
    """
    if not text:
        raise argparse.ArgumentTypeError("'': expected the name of a file")
    return Path(text)


def csv_name(text: str) -> Path:
    """Return the path of a table to write as text; its suffix is .csv, by which readers know it.

    Raises
    ------
    argparse.ArgumentTypeError
    """
    path = file_name(text)
    if path.suffix.lower() != ".csv":
        raise argparse.ArgumentTypeError(f"{text}: expected the name of a table, such as {path.stem or 'runs'}.csv")
    return path


def hdf5_name(text: str) -> Path:
    """Return the path of an HDF5 file to write; a suffix that promises another format is refused.

    Raises
    ------
    argparse.ArgumentTypeError
    """
    path = file_name(text)
    promised = PROMISES.get(path.suffix.lower())
    if promised is None:
        return path
    fix = f"name it {path.stem}.h5"
    if path.suffix.lower() in (".dx", ".cube"):
        name = path.suffix.lower().removeprefix(".")
        fix += f" and add --export {name}, or export it later by `sci export {path.stem}.h5 --to {name}`"
    raise argparse.ArgumentTypeError(f"{text}: the file is HDF5, and {path.suffix} promises {promised}; {fix}")
