"""Deltas of a model in files: any number of them, each of a few datasets."""

from __future__ import annotations

import json
from typing import Any

import h5py
import numpy as np

from sci.backend import to_host
from sci.errors import FileFormatError
from sci.io.core.datasets import Group, member, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec
from sci.nn import WeightChange, WeightDelta, WeightDeltas

_DTYPES = ("f4", "f8", "c8", "c16", "i8")


@codec(WeightDeltas, kind="weight_deltas")
class _WeightDeltasCodec:
    """Attributes `model`, the fingerprint of the model, and `names` (JSON), the names of the deltas; for delta k a
    group `delta<k>` of attribute `layout` (JSON): for each weight its name, the kind of its change, and name, dtype and
    shape of each of its arrays; `f4`, `f8`, `c8`, `c16`, `i8`: the arrays of that dtype one after the other, in the
    order of the layout."""

    @staticmethod
    def write(group: Group, deltas: WeightDeltas) -> None:
        write_text(group, "model", deltas.model)
        write_text(group, "names", json.dumps(list(deltas.deltas)))
        for k, delta in enumerate(deltas.deltas.values()):
            _write_delta(group.create_group(f"delta{k}"), delta)

    @staticmethod
    def read(group: Group) -> WeightDeltas:
        model, names = read_text(group, "model"), json.loads(read_text(group, "names"))
        if not isinstance(names, list) or len(set(map(str, names))) != len(names) or not names:
            raise FileFormatError(f"the attribute names of {group.name} is damaged; expected a JSON list of names")
        found: dict[str, WeightDelta] = {}
        for k, name in enumerate(names):
            inner = member(group, f"delta{k}")
            if not isinstance(inner, h5py.Group):
                raise FileFormatError(f"the group {group.name}/delta{k} is missing; the file is damaged")
            found[name] = WeightDelta(model, _read_changes(inner))
        return WeightDeltas(found)

    @staticmethod
    def n_bytes(deltas: WeightDeltas) -> int:
        return sum(delta.nbytes for delta in deltas.deltas.values())


def _write_delta(group: Group, delta: WeightDelta) -> None:
    layout, parts = [], {dtype: [] for dtype in _DTYPES}  # type: ignore[var-annotated]
    for name, change in delta.changes.items():
        rows = []
        for key, array in change.arrays.items():
            dtype = array.dtype.str[1:]
            rows.append([key, dtype, list(array.shape)])
            parts[dtype].append(array)
        layout.append([name, change.kind, rows])
    write_text(group, "layout", json.dumps(layout))
    for dtype, arrays in parts.items():
        if arrays:
            write_array(group, dtype, np.concatenate([_flat(a) for a in arrays]), "1", (f"{dtype}_entry",))


def _flat(array: Any) -> np.ndarray:
    return np.ascontiguousarray(to_host(array)).reshape(-1)


def _read_changes(group: Group) -> dict[str, WeightChange]:
    layout = _layout(group)
    values = {d: read_array(group, d, (None,), (d,)) for d in {row[1] for _, _, rows in layout for row in rows}}
    used = dict.fromkeys(values, 0)
    found = {}
    for name, kind, rows in layout:
        arrays = {}
        for key, dtype, shape in rows:
            begin, count = used[dtype], int(np.prod(shape, dtype=np.int64))
            if begin + count > len(values[dtype]):
                raise FileFormatError(f"{group.name}/{dtype} is shorter than its layout says; the file is damaged")
            arrays[key] = values[dtype][begin : begin + count].reshape(shape).copy()
            used[dtype] = begin + count
        found[name] = WeightChange(kind, arrays)
    if any(used[dtype] != len(array) for dtype, array in values.items()):
        raise FileFormatError(f"arrays of {group.name} are longer than their layout says; the file is damaged")
    return found


def _layout(group: Group) -> list[tuple[str, str, list[tuple[str, str, list[int]]]]]:
    """Return the layout of a delta, after a look at every entry of it."""
    found = json.loads(read_text(group, "layout"))
    if not isinstance(found, list) or not all(map(_is_weight, found)) or len({w[0] for w in found}) != len(found):
        raise FileFormatError(f"the attribute layout of {group.name} is damaged; expected weights and their arrays")
    return [(name, kind, [(key, dtype, shape) for key, dtype, shape in rows]) for name, kind, rows in found]


def _is_weight(entry: Any) -> bool:
    if not (isinstance(entry, list) and len(entry) == 3 and isinstance(entry[0], str) and isinstance(entry[1], str)):
        return False
    rows = entry[2]
    return isinstance(rows, list) and all(map(_is_array, rows)) and len({row[0] for row in rows}) == len(rows)


def _is_array(row: Any) -> bool:
    if not (isinstance(row, list) and len(row) == 3 and isinstance(row[0], str) and row[1] in _DTYPES):
        return False
    return isinstance(row[2], list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in row[2])
