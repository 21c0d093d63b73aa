"""Results beside the object of a file: numbers, arrays, texts and mappings of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import Group, member, read_array, read_text, write_array, write_text

__all__ = ["RESULTS", "read_results", "write_results"]

RESULTS = "results"
"""Name of the group."""


def write_results(group: Group, results: Mapping[str, Any]) -> None:
    """Write numbers and arrays as datasets, texts as attributes, mappings as groups."""
    for name, value in results.items():
        if isinstance(value, Mapping):
            write_results(group.create_group(name), value)
        elif isinstance(value, str):
            write_text(group, name, value)
        else:
            write_array(group, name, np.float64(value) if isinstance(value, float | int) else value)


def read_results(group: Group, depth: int = 0, *, arrays: bool = True) -> dict[str, Any]:
    """Return the results in a group; datasets of one number as float. `arrays=False` leaves the others unread."""
    if depth > 8:
        raise FileFormatError(f"{group.name} is nested too deep; the file is damaged")
    found: dict[str, Any] = {name: read_text(group, name) for name in group.attrs}
    for name in group:
        inner = member(group, name)
        if isinstance(inner, h5py.Group):
            found[name] = read_results(inner, depth + 1, arrays=arrays)
        elif arrays or inner is None or not inner.shape:
            data = read_array(group, name, None, ("f4", "f8", "i8"))
            found[name] = float(data) if data.ndim == 0 else data
    return found
