"""Tables of numbers: columns by name, from CSV or from the one-dimensional datasets of an HDF5 file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import check_size
from sci.io.core.hdf5 import open_any
from sci.io.readers.text import number, read_lines

__all__ = ["read_table"]

_HDF5 = (".h5", ".hdf5", ".hdf", ".he5")


def read_table(path: str | Path) -> dict[str, np.ndarray]:
    """Read columns of numbers by name.

    Parameters
    ----------
    path : str or Path
        A CSV file with a line of names, or an HDF5 file (`.h5`, `.hdf5`), whose one-dimensional datasets of numbers in
        the root are the columns. Lines of a CSV file that begin with "#" are comments.

    Returns
    -------
    dict name -> (n,) float64 array

    Raises
    ------
    FileFormatError
        With the line; also for columns of different lengths, two of one name, and NaN.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sci.io import read_table
    >>> _ = Path("runs.csv").write_text("parameters,loss\\n1e4,0.5\\n1e5,0.25\\n")
    >>> read_table("runs.csv")["loss"]
    array([0.5 , 0.25])
    """
    path = Path(path)
    return _from_hdf5(path) if path.suffix.lower() in _HDF5 else _from_csv(path)


def _from_csv(path: Path) -> dict[str, np.ndarray]:
    rows = [
        (k, line) for k, line in enumerate(read_lines(path, "a table"), 1) if line.strip() and not line.startswith("#")
    ]
    if not rows:
        raise FileFormatError(f"{path}: no line of names; expected a first line like 'parameters,loss'")
    names = [name.strip() for name in next(csv.reader([rows[0][1]]))]
    if len(set(names)) < len(names) or not all(names):
        raise FileFormatError(f"{path}: line {rows[0][0]}: names {', '.join(names)}; expected one name a column")
    if all(_is_number(name) for name in names):
        raise FileFormatError(f"{path}: line {rows[0][0]}: numbers in place of names; add a first line of names")
    columns: list[list[float]] = [[] for _ in names]
    for k, line in rows[1:]:
        words = next(csv.reader([line]))
        if len(words) != len(names):
            raise FileFormatError(f"{path}: line {k}: {len(words)} fields; expected {len(names)}: {', '.join(names)}")
        for column, name, word in zip(columns, names, words):
            column.append(_number(word.strip(), name, path, k))
    if not columns[0]:
        raise FileFormatError(f"{path}: names without numbers; expected at least one line of numbers")
    return {name: np.array(column) for name, column in zip(names, columns)}


def _number(word: str, name: str, path: Path, line: int) -> float:
    try:
        found = number(word)
    except ValueError as error:
        raise FileFormatError(f"{path}: line {line}: {name} is {word}; expected a finite number") from error
    if found is None:
        raise FileFormatError(f"{path}: line {line}: {name} is {word!r}; expected a number")
    return found


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _from_hdf5(path: Path) -> dict[str, np.ndarray]:
    columns = {}
    with open_any(path) as file:
        for name, item in file.items():
            if getattr(item, "ndim", None) == 1 and item.dtype.kind in "iuf":
                check_size(item, str(name))
                columns[str(name)] = np.asarray(item[()], dtype=float)
    if not columns:
        raise FileFormatError(f"{path}: no one-dimensional datasets of numbers in the root; expected the columns")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise FileFormatError(f"{path}: columns of lengths {lengths}; expected one length")
    for name, column in columns.items():
        if not np.isfinite(column).all():
            raise FileFormatError(f"{path}: {name}[{int(np.flatnonzero(~np.isfinite(column))[0])}] is not finite")
    return columns
