"""Tables: columns of numbers or texts by name, from CSV or from the one-dimensional datasets of an HDF5 file."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import check_size
from sci.io.core.hdf5 import open_any
from sci.io.readers.text import number, read_lines

__all__ = ["read_table"]

_MISSING = {"", "-", "na", "n/a", "nan", "null", "none", "missing"}
_HDF5 = (".h5", ".hdf5", ".hdf", ".he5")


def read_table(
    path: str | Path, *, columns: Collection[str] | None = None, texts: Collection[str] = ()
) -> dict[str, np.ndarray]:
    """Read columns by name.

    Parameters
    ----------
    path : str or Path
        A CSV file with a line of names, or an HDF5 file (`.h5`, `.hdf5`), whose one-dimensional datasets in the root
        are the columns. Lines of a CSV file that begin with "#" are comments.
    columns : collection of str, optional
        Columns to read; all unless given.
    texts : collection of str
        Those of them that hold texts.

    Returns
    -------
    dict name -> (n,) float64 array, or array of str

    Raises
    ------
    FileFormatError
        With the line; also for columns of different lengths, two of one name, NaN, an empty text, and a column that is
        not there.

    Examples
    --------
    >>> from pathlib import Path
    >>> from sci.io import read_table
    >>> _ = Path("runs.csv").write_text("parameters,loss\\n1e4,0.5\\n1e5,0.25\\n")
    >>> read_table("runs.csv")["loss"]
    array([0.5 , 0.25])
    """
    path, texts = Path(path), set(texts)
    wanted = None if columns is None else {*columns, *texts}
    return _from_hdf5(path, wanted, texts) if path.suffix.lower() in _HDF5 else _from_csv(path, wanted, texts)


def _require(path: Path, wanted: Collection[str] | None, found: Collection[str]) -> None:
    for name in sorted(set(wanted or ()) - set(found)):
        raise FileFormatError(f"{path}: no column {name}; its columns are {', '.join(found)}")


def _from_csv(path: Path, wanted: Collection[str] | None, texts: Collection[str]) -> dict[str, np.ndarray]:
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
    _require(path, {*(wanted or ()), *texts}, names)
    columns: dict[int, list[Any]] = {j: [] for j, name in enumerate(names) if wanted is None or name in wanted}
    for k, line in rows[1:]:
        words = next(csv.reader([line]))
        if len(words) != len(names):
            raise FileFormatError(f"{path}: line {k}: {len(words)} fields; expected {len(names)}: {', '.join(names)}")
        for j, column in columns.items():
            read = _text if names[j] in texts else _number
            column.append(read(words[j].strip(), names[j], path, k))
    if len(rows) < 2:
        raise FileFormatError(f"{path}: names without numbers; expected at least one line of numbers")
    return {names[j]: np.array(column) for j, column in columns.items()}


def _text(word: str, name: str, path: Path, line: int) -> str:
    if not word or "\0" in word:
        raise FileFormatError(f"{path}: line {line}: {name} is {word!r}; expected a text")
    return word


def _number(word: str, name: str, path: Path, line: int) -> float:
    try:
        found = number(word)
    except ValueError as error:
        raise FileFormatError(
            f"{path}: line {line}: {name} is {word}; expected a finite number{_mend(word)}"
        ) from error
    if found is None:
        raise FileFormatError(f"{path}: line {line}: {name} is {word!r}; expected a number{_mend(word)}")
    return found


def _mend(word: str) -> str:
    if word.lower() in _MISSING:
        return "; leave out the lines of what is missing"
    return "; write dates and times as numbers, in days or seconds" if word[:1].isdigit() else ""


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _from_hdf5(path: Path, wanted: Collection[str] | None, texts: Collection[str]) -> dict[str, np.ndarray]:
    columns = {}
    with open_any(path) as file:
        for name, item in file.items():
            name = str(name)
            if getattr(item, "ndim", None) != 1 or (wanted is not None and name not in wanted):
                continue
            if name in texts:
                columns[name] = _texts_of(item, name, path)
            elif item.dtype.kind in "iuf":
                check_size(item, name)
                columns[name] = np.asarray(item[()], dtype=float)
        if not columns:
            raise FileFormatError(f"{path}: no one-dimensional datasets of numbers in the root; expected the columns")
        _require(path, {*(wanted or ()), *texts}, columns)
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise FileFormatError(f"{path}: columns of lengths {lengths}; expected one length")
    for name, column in columns.items():
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise FileFormatError(f"{path}: {name}[{int(np.flatnonzero(~np.isfinite(column))[0])}] is not finite")
    return columns


def _texts_of(item: Any, name: str, path: Path) -> np.ndarray:
    """Return the texts of a dataset of strings of one length; others lie in a heap without checksum."""
    if item.dtype.kind != "S":
        raise FileFormatError(f"{path}: {name} has dtype {item.dtype}; expected texts of fixed length (S)")
    check_size(item, name)
    found = [_text(bytes(word).decode(errors="replace"), name, path, k) for k, word in enumerate(item[()])]
    return np.array(found, dtype=str)
