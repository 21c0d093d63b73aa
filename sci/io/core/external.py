"""Data of an HDF5 file that lie in other files: refused, or checked and bounded where somebody asks for them."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py

from sci.errors import FileFormatError
from sci.io.core.outputs import what_is
from sci.options import get, options

__all__ = ["check_external", "check_link", "external_bytes", "external_data", "virtual_bytes"]

HOW = "copy them into the file first, or, if you trust it, read it with external_data=True"


def external_data(allow: bool | None) -> contextlib.AbstractContextManager[None]:
    """Return a context in which data outside of a file are read, or not; None leaves it to the option of that name."""
    return contextlib.nullcontext() if allow is None else options(external_data="on" if allow else "off")


def _require_allowed(where: str, what: str) -> None:
    if get("external_data") != "on":
        raise FileFormatError(f"{where} {what}; expected the data themselves: {HOW}")


def check_link(file: Any, where: str, link: Any) -> None:
    """Refuse a link, which may lead to any other file of this machine, unless it is asked for and leads to a file.

    A soft link may lead on through others, and each is checked where it is followed.

    Raises
    ------
    FileFormatError
    """
    _require_allowed(where, "is a link")
    if isinstance(link, h5py.ExternalLink):
        _require_file(_beside(file, link.filename), where, link.filename)


def check_external(dataset: Any, where: str) -> None:
    """Refuse a dataset whose bytes lie in other files, unless it is asked for and they hold that much.

    Raises
    ------
    FileFormatError
    """
    if dataset.external:
        _require_allowed(where, "lies in another file")
        for name, offset, size in dataset.external:
            stored = _require_file(_raw_path(dataset.file, name), where, name).stat().st_size
            if size != h5py.h5f.UNLIMITED and offset + size > stored:
                raise FileFormatError(f"{where} lies in {name}, which has {stored} of {offset + size} bytes")


def external_bytes(dataset: Any) -> int:
    """Return the size of the other files in which the bytes of a dataset lie; 0 if they lie in its own."""
    paths = {_raw_path(dataset.file, name) for name, _, _ in dataset.external or ()}
    return sum(path.stat().st_size for path in paths)


def virtual_bytes(dataset: Any, where: str) -> Iterator[Any]:
    """Yield the datasets that a virtual one joins, from files beside it, if that is asked for.

    Raises
    ------
    FileFormatError
        Unless it is asked for, and every part is there: HDF5 itself reads a missing one as its fill value. Also for a
        part in the file itself, at which HDF5 crashes.
    """
    _require_allowed(where, "joins other datasets (virtual)")
    joined = 0
    for source in dataset.virtual_sources():
        if source.file_name == ".":
            raise FileFormatError(f"{where} joins datasets of its own file; expected other files: copy the data first")
        low, high = source.vspace.get_select_bounds()
        joined += math.prod(int(b) - int(a) + 1 for a, b in zip(low, high))
        path = _require_file(_beside(dataset.file, source.file_name), where, source.file_name)
        with h5py.File(path, "r", locking=False) as file:
            part = file.get(source.dset_name)
            if not isinstance(part, h5py.Dataset) or part.is_virtual or part.external:
                raise FileFormatError(f"{where} joins {source.dset_name} of {source.file_name}, which holds no data")
            yield part
    if joined != dataset.size:
        raise FileFormatError(f"{where} joins {joined} of {dataset.size} values; a part is missing")


def _beside(file: Any, name: str) -> Path:
    """Return the path of a file that a link or a virtual dataset names, as HDF5 finds it."""
    return Path(file.filename).parent / name


def _raw_path(file: Any, name: str) -> Path:
    """Return the path of a file of external storage: in the working folder, unless a variable says otherwise."""
    prefix = os.environ.get("HDF5_EXTFILE_PREFIX", "").replace("${ORIGIN}", str(Path(file.filename).parent))
    return Path(prefix) / name


def _require_file(path: Path, where: str, name: str) -> Path:
    if not path.is_file():
        raise FileFormatError(f"{where} leads to {name}: {what_is(path)}; expected a file: copy it to its place")
    return path
