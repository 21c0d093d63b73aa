"""Models whose weights are codes, in files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from sci.backend import to_host
from sci.compression import CompressedModel, WeightReport
from sci.errors import FileFormatError
from sci.io.core.datasets import Group, read_array, read_text, write_array, write_text
from sci.io.core.registry import codec, kind_named, kinds
from sci.nn import CodedWeight, ModelState, fingerprint, flatten_tree
from sci.nn.core.trees import structure_of, tree_from
from sci.nn.storage import Storage, decoded, encoded

__all__: list[str] = []

_PLAIN = ("f4", "f8", "c8", "c16")
_HALF: Storage = "float16"
_PACKED, _GROUPS = "packed", "groups"


@codec(CompressedModel, kind="compressed_model")
class _CompressedModelCodec:
    """Attributes `class`, the kind of file of the model; `name`, `options`, `structure` (JSON), as `model`; `original`
    and `decoded`, the fingerprints of the parameters that were compressed and of those that the codes make; `bits`,
    `bytes`, `dense_bytes`, `ratio`, `output_error`; `layout` (JSON): for each parameter its name, form, dtype and
    shape, of codes also bits, row axes, number and dtype of groups; `reports` (JSON): for each weight of codes what
    became of it. Datasets `packed` (word): codes, lowest bit first; `groups_u1`, `groups_u2`; `books_f4`, `books_f8`;
    `float16`, `f4`, `f8`, `c8`, `c16`: what the parameters hold, one after the other in the order of the layout."""

    @staticmethod
    def write(group: Group, model: CompressedModel) -> None:
        leaves = flatten_tree(model.state.parameters)
        write_text(group, "class", next(name for name, kind in kinds().items() if kind.cls is model.cls))
        write_text(group, "name", model.state.name)
        write_text(group, "options", json.dumps(model.state.options))
        if leaves is not model.state.parameters:
            write_text(group, "structure", json.dumps(structure_of(model.state.parameters)))
        write_text(group, "original", model.original)
        write_text(group, "decoded", fingerprint(model.parameters()))
        write_text(group, "reports", json.dumps({name: asdict(r) for name, r in model.reports.items()}))
        sizes = {"bytes": model.nbytes, "dense_bytes": model.dense_nbytes, "ratio": model.ratio}
        write_text(group, "bits", model.bits)
        group.attrs.update({**sizes, "output_error": model.output_error})
        layout, parts = _laid_out(leaves, model.halves)
        write_text(group, "layout", json.dumps(layout))
        for key, arrays in parts.items():
            axis = {_PACKED: "word"}.get(key, f"{key}_entry")
            write_array(group, key, np.concatenate(arrays), "1", (axis,))

    @staticmethod
    def read(group: Group) -> CompressedModel:
        cls = kind_named(read_text(group, "class")).cls
        layout = _json(group, "layout")
        try:
            leaves = dict(_leaves(group, layout))
            parameters = tree_from(_json(group, "structure"), leaves) if "structure" in group.attrs else leaves
            reports = {name: WeightReport(**about) for name, about in _json(group, "reports").items()}
            state = ModelState(read_text(group, "name"), _json(group, "options"), parameters)
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise FileFormatError(f"the layout of {group.name} is damaged: {error}") from error
        options: dict[str, Any] = {"halves": [row[0] for row in layout if row[1] == _HALF], "reports": reports}
        options["output_error"] = float(group.attrs.get("output_error", np.nan))
        made = CompressedModel(cls, state, read_text(group, "original"), **options)
        if fingerprint(made.parameters()) != read_text(group, "decoded"):
            raise FileFormatError(
                f"the codes of {group.name} make other weights than those of its model: they belong to another one, or "
                "the file is damaged"
            )
        return made

    @staticmethod
    def n_bytes(model: CompressedModel) -> int:
        return model.nbytes


def _laid_out(leaves: Mapping[str, Any], halves: tuple[str, ...]) -> tuple[list[Any], dict[str, list[np.ndarray]]]:
    """Return the layout, and the flat arrays of each dataset."""
    layout: list[Any] = []
    parts: dict[str, list[np.ndarray]] = {}
    for name, leaf in leaves.items():
        if isinstance(leaf, CodedWeight):
            books, n_groups = to_host(leaf.codebooks), len(leaf.codebooks)
            kind = np.min_scalar_type(n_groups - 1).str[1:]
            row = [leaf.bits, list(leaf.row_axes), n_groups, kind]
            layout.append([name, "codes", leaf.dtype.str[1:], list(leaf.shape), row])
            parts.setdefault(_PACKED, []).append(leaf.packed)
            parts.setdefault(f"books_{books.dtype.str[1:]}", []).append(books.reshape(-1))
            if n_groups > 1:
                parts.setdefault(f"{_GROUPS}_{kind}", []).append(leaf.groups.astype(kind))
            continue
        array = np.ascontiguousarray(to_host(leaf))
        half = name in halves
        layout.append([name, _HALF if half else "plain", array.dtype.str[1:], list(array.shape), []])
        key = _HALF if half else array.dtype.str[1:]
        parts.setdefault(key, []).append((encoded(array, _HALF, name) if half else array).reshape(-1))
    return layout, parts


def _leaves(group: Group, layout: list[Any]) -> Iterator[tuple[str, Any]]:
    """Yield the parameters by name."""
    reader = _Reader(group)
    for name, form, dtype, shape, about in layout:
        count = int(np.prod(shape, dtype=np.int64))
        if form == "codes":
            bits, row_axes, n_groups, kind = about
            numbers = count * (2 if dtype[0] == "c" else 1)
            rows = int(np.prod([shape[a] for a in row_axes], dtype=np.int64))
            packed = reader.take(_PACKED, "i8", -(-numbers * bits // 64))
            real = {"c8": "f4", "c16": "f8"}.get(dtype, dtype)
            books = reader.take(f"books_{real}", real, n_groups << bits).reshape(n_groups, -1)
            groups = reader.take(f"{_GROUPS}_{kind}", kind, rows) if n_groups > 1 else np.zeros(rows, np.int64)
            yield name, CodedWeight(shape, packed, books, groups.astype(np.int64), bits, row_axes=row_axes, dtype=dtype)
        elif form == _HALF:
            yield name, decoded(reader.take(_HALF, "f2", count), _HALF, "float32").reshape(shape)
        elif dtype in _PLAIN:
            yield name, reader.take(dtype, dtype, count).reshape(shape)
        else:
            raise FileFormatError(f"the layout of {group.name} has a parameter of {dtype}; the file is damaged")
    reader.require_read()


class _Reader:
    """Takes the parts of flat datasets one after the other."""

    def __init__(self, group: Group) -> None:
        self.group, self.arrays, self.used = group, dict[str, np.ndarray](), dict[str, int]()

    def take(self, key: str, dtype: str, count: int) -> np.ndarray:
        """Return the next `count` numbers of a dataset."""
        if key not in self.arrays:
            self.arrays[key], self.used[key] = read_array(self.group, key, (None,), (dtype,)), 0
        begin = self.used[key]
        if begin + count > len(self.arrays[key]):
            raise FileFormatError(f"{self.group.name}/{key} is shorter than its layout says; the file is damaged")
        self.used[key] += count
        return self.arrays[key][begin : begin + count].copy()

    def require_read(self) -> None:
        """Refuse datasets that are longer than the layout says."""
        for key, array in self.arrays.items():
            if self.used[key] != len(array):
                raise FileFormatError(f"{self.group.name}/{key} is longer than its layout says; the file is damaged")


def _json(group: Group, name: str) -> Any:
    try:
        return json.loads(read_text(group, name))
    except json.JSONDecodeError as error:
        raise FileFormatError(f"the attribute {name} of {group.name} is damaged: {error}") from error
