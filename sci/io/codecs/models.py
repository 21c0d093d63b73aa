"""Trained models, and checkpoints of trainings, in files."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast

import h5py
import numpy as np

from sci.atomistic import AtomisticPotential
from sci.backend import to_host
from sci.compression import MultiScaleVQ
from sci.errors import FileFormatError, InvalidValueError
from sci.fields import TriPlane
from sci.io.core.datasets import Group, member, member_names, read_array, read_text, write_array, write_text
from sci.io.core.dimensions import is_bare_axis
from sci.io.core.registry import codec
from sci.io.on_ranks import Awaited, read_parts
from sci.nn import ParameterLayout, Segmenter, SPDNet, UNet, WeightChange, WeightDelta, WeightDeltas
from sci.nn.core.trees import flatten_tree, structure_of, tree_from
from sci.nn.storage import Storage, decoded, encoded
from sci.nn.training.model import BUFFERS, Checkpoint, Model, ModelState
from sci.operators import FNO, SFNO, TFNO, UNO, FNOConfig, TrainedOperator, UNOConfig
from sci.operators.fno.base import Operator
from sci.sequence import TransNormer
from sci.solvers import CycleModel, DeepConjugateDirection

__all__ = ["model_codec", "read_arrays", "read_dict", "write_arrays"]

_NUMBERS = ("f4", "f8", "c8", "c16")


def write_arrays(
    group: Group, name: str, arrays: Any, dims: Sequence[str] = (), *, storage: Storage | None = None
) -> None:
    """Write a tree of arrays without units into a new group by their names, and the order of these.

    Sums over them follow the order. Of nested dicts and lists the form is noted in the attribute `structure`. With
    `storage` numbers take two bytes, those of complex ones on an axis of their own: float16, or the upper halves of
    float32 as uint16.
    """
    inner, leaves = group.create_group(name), flatten_tree(arrays)
    write_text(inner, "names", json.dumps(list(leaves)))
    if leaves is not arrays:
        write_text(inner, "structure", json.dumps(structure_of(arrays)))
    if storage is not None:
        write_text(inner, "storage", storage)
    for key, leaf in leaves.items():
        array = leaf.fetched() if isinstance(leaf, Awaited) else leaf
        if storage is None:
            write_array(inner, key, array, "1", dims)
        else:
            pair = (2,) if array.dtype.kind == "c" else ()
            write_array(inner, key, encoded(array, storage, key).reshape(*array.shape, *pair), "1")
            write_text(inner[key], "dtype", str(array.dtype))


def read_arrays(group: Group, name: str) -> Any:
    """Return the arrays that `write_arrays` wrote, in their order and form.

    Raises
    ------
    FileFormatError
    """
    inner = member(group, name)
    if not isinstance(inner, h5py.Group):
        raise FileFormatError(f"the group {group.name}/{name} is missing; the file is damaged")
    names = json.loads(read_text(inner, "names"))
    held = [n for n in member_names(inner) if not is_bare_axis(inner[n])]
    if not isinstance(names, list) or sorted(map(str, names)) != held:
        raise FileFormatError(f"the names of {inner.name} are not those of its datasets; the file is damaged")
    storage = read_storage(inner)
    found = {n: _read_stored(inner, n, storage) for n in names}
    if "structure" not in inner.attrs:
        return found
    structure = json.loads(read_text(inner, "structure"))
    try:
        tree = tree_from(structure, found)
    except (KeyError, TypeError) as error:
        raise FileFormatError(f"the structure of {inner.name} names other datasets; the file is damaged") from error
    if list(flatten_tree(tree)) != names:
        raise FileFormatError(f"the structure of {inner.name} has other names than its datasets; the file is damaged")
    return tree


def read_storage(group: Group) -> Storage | None:
    """Return the precision of two bytes of a group of `write_arrays`; None for arrays as they were.

    Raises
    ------
    FileFormatError
    """
    if "storage" not in group.attrs:
        return None
    storage = read_text(group, "storage")
    if storage not in ("float16", "bfloat16"):
        raise FileFormatError(f"the storage of {group.name} is {storage!r}; the file is damaged")
    return cast(Storage, storage)


def _read_stored(group: Group, name: str, storage: Storage | None) -> np.ndarray:
    if storage is None:
        return read_array(group, name, None, _NUMBERS)
    halves = read_array(group, name, None, ("f2",) if storage == "float16" else ("u2",))
    dtype = read_text(group[name], "dtype")
    if dtype not in ("float32", "complex64") or (dtype == "complex64" and halves.shape[-1:] != (2,)):
        raise FileFormatError(f"the dtype of {group.name}/{name} is {dtype!r}; the file is damaged")
    shape = halves.shape[:-1] if dtype == "complex64" else halves.shape
    found: np.ndarray = decoded(halves.reshape(-1), storage, dtype).reshape(shape)
    if not np.isfinite(found).all():
        raise FileFormatError(f"the dataset {group.name}/{name} holds NaN or Inf; the file is damaged: make it again")
    return found


def read_dict(group: Group, name: str) -> dict[str, Any]:
    """Return a text attribute that is a JSON object.

    Raises
    ------
    FileFormatError
    """
    found = json.loads(read_text(group, name))
    if not isinstance(found, dict):
        raise FileFormatError(f"the attribute {name} of {group.name} is damaged; expected a JSON object")
    return found


def _write_model(group: Group, model: ModelState) -> None:
    write_text(group, "name", model.name)
    write_text(group, "options", json.dumps(model.options))
    write_arrays(group, "parameters", model.parameters, storage=model.storage)


def _read_model_in_parts(group: Group, layout: ParameterLayout) -> ModelState:
    parameters = read_parts(group, "parameters", layout)
    return ModelState(read_text(group, "name"), read_dict(group, "options"), parameters, layout=layout)


def _read_model(group: Group) -> ModelState:
    parameters = read_arrays(group, "parameters")
    storage = read_storage(group["parameters"])
    return ModelState(read_text(group, "name"), read_dict(group, "options"), parameters, storage)


def model_codec(cls: type[Model], *, kind: str) -> None:
    """Register a class of models that has `to_state` and `from_state`, so that `load` gives its objects back.

    Parameters
    ----------
    cls : type
    kind : str
        Name of the kind of file.

    Raises
    ------
    InvalidValueError
        As `codec`.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from sci.io import load, model_codec, save
    >>> from sci.nn import ModelState
    >>> class Line:
    ...     def __init__(self, slope):
    ...         self.slope = slope
    ...
    ...     def to_state(self):
    ...         return ModelState("line", {}, {"slope": self.slope})
    ...
    ...     @classmethod
    ...     def from_state(cls, model):
    ...         return cls(model.parameters["slope"])
    >>> model_codec(Line, kind="line")
    >>> path = pathlib.Path(tempfile.mkdtemp(), "line.h5")
    >>> save(path, Line(np.ones(2)))
    >>> load(path).slope
    array([1., 1.])
    """

    @codec(cls, kind=kind)
    class _StoredModelCodec:
        """As `model`."""

        @staticmethod
        def write(group: Group, model: Any) -> None:
            _write_model(group, model.to_state())

        @staticmethod
        def read(group: Group) -> Any:
            return cls.from_state(_read_model(group))

        @staticmethod
        def read_parts(group: Group, layout: ParameterLayout) -> ModelState:
            return _read_model_in_parts(group, layout)

        @staticmethod
        def n_bytes(model: Any) -> int:
            return sum(int(p.nbytes) for p in flatten_tree(model.to_state().parameters).values())


model_codec(TrainedOperator, kind="trained_operator")
model_codec(TransNormer, kind="transnormer")
model_codec(CycleModel, kind="learned_multigrid")
model_codec(SPDNet, kind="spd_network")
model_codec(TriPlane, kind="triplane")
model_codec(DeepConjugateDirection, kind="direction_network")
model_codec(UNet, kind="unet")
model_codec(Segmenter, kind="segmenter")
model_codec(AtomisticPotential, kind="atomistic_potential")
model_codec(MultiScaleVQ, kind="vector_quantizer")

_SCHEMA_1: dict[str, type[Model]] = {
    "TransNormer": TransNormer,
    "DeepConjugateDirection": CycleModel,
    "DirectionNetwork": DeepConjugateDirection,
}
"""Classes of the models in files of schema 1, all of kind "model", by the names there."""


@codec(ModelState, kind="model")
class _ModelCodec:
    """Attributes `name`, `options` (JSON); group `parameters` of named arrays, their order in its attribute `names`
    (JSON), the form of nested dicts and lists in `structure` (JSON); with its attribute `storage` in two bytes."""

    @staticmethod
    def write(group: Group, model: ModelState) -> None:
        _write_model(group, model)

    @staticmethod
    def read(group: Group) -> Any:
        model = _read_model(group)
        if group.file.attrs["schema_version"] > 1:
            return model
        if model.name == "FNO" and "config" in model.options:
            return TrainedOperator.from_state(model)
        cls = _SCHEMA_1.get(model.name)
        return model if cls is None else cls.from_state(replace(model, name=cls.__name__))

    @staticmethod
    def read_parts(group: Group, layout: ParameterLayout) -> ModelState:
        return _read_model_in_parts(group, layout)

    @staticmethod
    def n_bytes(model: ModelState) -> int:
        return sum(int(p.nbytes) for p in flatten_tree(model.parameters).values())


def _operator_codec(cls: type[Operator], *, kind: str, config: type[FNOConfig | UNOConfig] = FNOConfig) -> None:
    """Register a class of operators."""

    @codec(cls, kind=kind)
    class _OperatorCodec:
        """Attribute `options` (JSON): the fields of the configuration; group `parameters` as `model`."""

        @staticmethod
        def write(group: Group, model: Operator) -> None:
            write_text(group, "options", json.dumps(model.config.to_options()))
            write_arrays(group, "parameters", model.parameters)

        @staticmethod
        def read(group: Group) -> Operator:
            try:
                options = config.from_options(read_dict(group, "options"))
            except InvalidValueError as error:
                raise FileFormatError(f"{error}; the file is damaged") from error
            return cls.of(options, read_arrays(group, "parameters"))

        @staticmethod
        def n_bytes(model: Operator) -> int:
            return sum(int(p.nbytes) for p in model.parameters.values())


_operator_codec(FNO, kind="fno")
_operator_codec(TFNO, kind="tfno")
_operator_codec(SFNO, kind="sfno")
_operator_codec(UNO, kind="uno", config=UNOConfig)


@codec(Checkpoint, kind="checkpoint")
class _CheckpointCodec:
    """Attribute `settings` (JSON); `losses` (steps); groups `parameters` and `metrics` as `parameters` of `model`;
    group `optimizer` with one such group for each part of its state."""

    @staticmethod
    def write(group: Group, checkpoint: Checkpoint) -> None:
        write_text(group, "settings", json.dumps(checkpoint.settings))
        write_array(group, "losses", checkpoint.losses, "1", ("step",))
        write_arrays(group, "parameters", checkpoint.parameters)
        write_arrays(group, "metrics", checkpoint.metrics, ("epoch",))
        parts = group.create_group("optimizer")
        write_text(parts, "names", json.dumps(list(checkpoint.optimizer)))
        for name, arrays in checkpoint.optimizer.items():
            write_arrays(parts, name, arrays)

    @staticmethod
    def read(group: Group) -> Checkpoint:
        return _read_checkpoint(group, read_arrays)

    @staticmethod
    def read_parts(group: Group, layout: ParameterLayout) -> Checkpoint:
        def arrays(group: Group, name: str) -> Any:
            return (read_arrays if name == BUFFERS else partial(read_parts, layout=layout))(group, name)

        found = _read_checkpoint(group, arrays)
        return replace(found, layout=replace(layout, sharded=False))

    @staticmethod
    def n_bytes(checkpoint: Checkpoint) -> int:
        groups = (checkpoint.parameters, *checkpoint.optimizer.values(), checkpoint.metrics)
        held = sum(int(a.nbytes) for group in groups for a in flatten_tree(group).values())
        return held + int(checkpoint.losses.nbytes)


def _read_checkpoint(group: Group, arrays: Callable[[Group, str], Any]) -> Checkpoint:
    losses = read_array(group, "losses", (None,))
    parts = member(group, "optimizer") or member(group, "optimiser")  # some files of schema 1 have the latter
    if not isinstance(parts, h5py.Group):
        raise FileFormatError(f"the group {group.name}/optimizer is missing; the file is damaged")
    names = json.loads(read_text(parts, "names"))
    if not isinstance(names, list):
        raise FileFormatError(f"the attribute names of {parts.name} is damaged; expected a JSON list")
    optimizer = {name: arrays(parts, name) for name in names}
    metrics, settings = read_arrays(group, "metrics"), read_dict(group, "settings")
    return Checkpoint(len(losses), arrays(group, "parameters"), optimizer, losses, metrics, settings)


_ENTRIES = ("f4", "f8", "c8", "c16", "i8")


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
    layout, parts = [], {dtype: [] for dtype in _ENTRIES}  # type: ignore[var-annotated]
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
    if not (isinstance(row, list) and len(row) == 3 and isinstance(row[0], str) and row[1] in _ENTRIES):
        return False
    return isinstance(row[2], list) and all(isinstance(n, int) and not isinstance(n, bool) and n >= 0 for n in row[2])
