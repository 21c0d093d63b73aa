"""What a file holds: its command, options, parameters and results, and the shape of its arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import fields
from os.path import isfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from sci.errors import FileFormatError
from sci.io.core.datasets import Group, is_packed, member, packed_about, read_array, read_text, walk
from sci.io.core.dimensions import is_bare_axis
from sci.io.core.frames import count_finished
from sci.io.core.hdf5 import open_file
from sci.io.core.results import RESULTS, read_results

__all__ = ["describe"]

LONGEST = 4096
"""Characters of a text up to which it counts as a parameter."""
HIDDEN = ("crc32", "units", "layout")
"""Attributes that say how a dataset is stored."""


def describe(path: str | Path) -> dict[str, Any]:
    """Return the contents of a file of sci, ready for JSON; arrays are not read.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict
        The entries of the `Header` (kind, units, command, created, uuid, ...), and

        - `arguments`: every option of the command that wrote the file, also those that were not given; empty for files
          that a script wrote.
        - `options`: the settings of `sci.options`.
        - `file_bytes`.
        - `parameters`: each number and text beside the results, like "short_range/alpha", as {"value", "units"}.
        - `results`: numbers and texts, nested as they were saved; for a trajectory also how many frames are finished.
        - `datasets`: shape, dtype, bytes, units and names of the axes (`dims`) of each array; of a compressed one also
          its compressed bytes, tolerance and bound; errors are among the parameters.

        Numbers that are not finite are texts, which JSON can hold.

    Raises
    ------
    FileFormatError, SchemaVersionError

    Examples
    --------
    >>> from sci.io import describe, save
    >>> from sci.potentials import Particles
    >>> save("ion.h5", Particles([[0.0, 0.0, 0.0]], [1.0]), results={"energy": 0.0})
    >>> found = describe("ion.h5")
    >>> found["kind"], found["results"], found["datasets"]["particles/charges"]["shape"]
    ('particles', {'energy': 0.0}, [1])
    """
    _refuse_structures(Path(path))
    found: dict[str, Any] = {"parameters": {}, "datasets": {}}
    with open_file(path) as (file, header):
        about = {f.name: getattr(header, f.name) for f in fields(header)}
        for name, value in _attributes(file).items():
            if name.partition("/")[0] not in (*about, "format"):
                found["parameters"][name] = {"value": value, "units": ""}
        packed = ""
        for name, item in walk(file):
            if is_packed(item):
                packed = f"{name}/"
                found["datasets"][name] = _compressed(item)
            elif not (packed and name.startswith(packed)):
                _note(found, file, name, item)
        group = member(file, RESULTS)
        results = _plain(read_results(group, arrays=False)) if isinstance(group, h5py.Group) else {}
        results |= count_finished(file, header.kind) if header.kind == "trajectory" else {}
    about["options"] = dict(about["options"])
    arguments = about["options"].pop("arguments", {})
    return {**about, "arguments": arguments, "file_bytes": Path(path).stat().st_size, **found, "results": results}


def _refuse_structures(path: Path) -> None:
    if not isfile(path) or h5py.is_hdf5(path):
        return
    from sci.io.readers.structure import STRUCTURE_FORMATS  # imports potentials, which a file of ours does not need

    suffixes = [suffix for known in STRUCTURE_FORMATS.values() for suffix in known]
    if path.suffix.lower() in suffixes:
        raise FileFormatError(
            f"{path}: this is a structure, not a file of sci; `sci potential {path} -o OUT.h5` computes its potential, "
            "and sci.io.read_structure reads it"
        )


def _note(found: dict[str, Any], file: Group, name: str, item: Any) -> None:
    """Note an array, or a number or text beside the results."""
    if is_bare_axis(item):
        return
    if name.partition("/")[0] == RESULTS and not (isinstance(item, h5py.Dataset) and item.shape):
        return
    if isinstance(item, h5py.Dataset) and item.shape:
        found["datasets"][name] = {"shape": list(item.shape), "dtype": str(item.dtype), "bytes": int(item.nbytes)}
        found["datasets"][name] |= _labels(item)
    elif isinstance(item, h5py.Dataset):
        if item.dtype.kind in "iufb":
            units = read_text(item, "units") if "units" in item.attrs else ""
            number = read_array(file, name, (), (item.dtype.str[1:],)).item()
            found["parameters"][name] = {"value": number, "units": units}
    elif not name.startswith("VTKHDF"):
        for key, value in _attributes(item).items():
            found["parameters"][f"{name}/{key}"] = {"value": value, "units": ""}


def _compressed(group: Group) -> dict[str, Any]:
    """Return the entry of the dataset in place of which a group stands."""
    about = packed_about(group)
    stored = int(group["data"].shape[0])
    n_bytes = math.prod(about["shape"]) * np.dtype(about["dtype"]).itemsize
    found = {"shape": about["shape"], "dtype": str(np.dtype(about["dtype"])), "bytes": n_bytes}
    found |= {"compressed_bytes": stored, "tol": about["tol"], "bound": about["bound"]}
    return found | _labels(group)


def _labels(item: Any) -> dict[str, Any]:
    """Return names of the axes and units, where they are noted."""
    found: dict[str, Any] = {}
    if "dims" in item.attrs:
        found["dims"] = read_text(item, "dims").split()
    if "units" in item.attrs:
        found["units"] = read_text(item, "units")
    return found


def _attributes(group: Group) -> dict[str, Any]:
    """Return the numbers and texts among the attributes of a group; texts that hold JSON as what they hold."""
    found: dict[str, Any] = {}
    for key, value in group.attrs.items():
        if key in HIDDEN or np.ndim(value) > 0:
            continue
        if isinstance(value, bytes | str):
            text = read_text(group, key)
            value = _parsed(text) if len(text) <= LONGEST else {}
            if not isinstance(value, list):
                found |= _flat(key, value)
            elif any(name not in group for name in value):  # otherwise the names of what is shown
                found[key] = ", ".join(value)
        elif isinstance(value, np.generic) and value.dtype.kind in "iufb":
            found[key] = _finite(value.item())
    return found


def _parsed(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    names = isinstance(value, list) and all(isinstance(name, str) for name in value)
    return value if isinstance(value, dict) or names else text


def _flat(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {name: _finite(value)}
    return {key: v for part, inner in value.items() for key, v in _flat(f"{name}/{part}", inner).items()}


def _plain(results: Mapping[str, Any]) -> dict[str, Any]:
    """Return results as JSON has them."""
    return {name: _plain(v) if isinstance(v, Mapping) else _finite(v) for name, v in results.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, list):
        return [_finite(v) for v in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
