"""Results beside the object of a file: numbers, arrays, texts and mappings of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import Group, member, member_names, read_array, read_text, write_array, write_text
from sci.io.core.dimensions import is_bare_axis

__all__ = ["RESULTS", "Quantity", "read_results", "write_results"]

RESULTS = "results"
"""Name of the group."""


@dataclass(frozen=True, eq=False)
class Quantity:
    """A number or an array with its units and the names of its axes, for the results in a file.

    Parameters
    ----------
    values : array or float
    units : str
        "1" for numbers without a dimension.
    dims : tuple of str
        Names of the axes; made of the lengths unless given.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sci.io import Quantity, describe, load_results, save
    >>> from sci.potentials import Particles
    >>> path = pathlib.Path(tempfile.mkdtemp(), "ion.h5")
    >>> forces = Quantity(np.zeros((1, 3)), "e^2/angstrom^2", ("particle", "xyz"))
    >>> save(path, Particles([[0.0, 0.0, 0.0]], [1.0]), results={"forces": forces})
    >>> load_results(path)
    {'forces': array([[0., 0., 0.]])}
    >>> describe(path)["datasets"]["results/forces"]["dims"]
    ['particle', 'xyz']
    """

    values: Any
    units: str
    dims: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Return shape and units."""
        return f"Quantity({tuple(np.shape(self.values))}, {self.units!r}, {self.dims})"


def write_results(group: Group, results: Mapping[str, Any]) -> None:
    """Write numbers, arrays and quantities as datasets, texts as attributes, mappings as groups."""
    for name, value in results.items():
        if isinstance(value, Mapping):
            write_results(group.create_group(name), value)
        elif isinstance(value, str):
            write_text(group, name, value)
        else:
            found = value if isinstance(value, Quantity) else Quantity(value, "")
            number = isinstance(found.values, float | int)
            write_array(group, name, np.float64(found.values) if number else found.values, found.units, found.dims)


def read_results(group: Group, depth: int = 0, *, arrays: bool = True) -> dict[str, Any]:
    """Return the results in a group; datasets of one number as float. `arrays=False` leaves the others unread."""
    if depth > 8:
        raise FileFormatError(f"{group.name} is nested too deep; the file is damaged")
    found: dict[str, Any] = {name: read_text(group, name) for name in group.attrs}
    for name in member_names(group):
        inner = member(group, name)
        if isinstance(inner, h5py.Group):
            found[name] = read_results(inner, depth + 1, arrays=arrays)
        elif not is_bare_axis(inner) and (arrays or inner is None or not inner.shape):
            data = read_array(group, name, None, ("f4", "f8", "i8"))
            found[name] = float(data) if data.ndim == 0 else data
    return found
