"""Trained models, and checkpoints of trainings, in files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import h5py
import numpy as np

from sci.errors import FileFormatError, InvalidValueError
from sci.io.core.datasets import Group, member, member_names, read_array, read_text, write_array, write_text
from sci.io.core.dimensions import is_bare_axis
from sci.io.core.registry import codec
from sci.nn import SPDNet
from sci.nn.training.model import Checkpoint, Model, ModelState
from sci.operators import FNO, TFNO, FNOConfig, TrainedOperator
from sci.sequence import TransNormer
from sci.solvers import CycleModel, DeepConjugateDirection

__all__ = ["model_codec", "read_arrays", "read_dict", "write_arrays"]

_NUMBERS = ("f4", "f8", "c8", "c16")


def write_arrays(group: Group, name: str, arrays: Mapping[str, Any], dims: Sequence[str] = ()) -> None:
    """Write named arrays without units into a new group, and the order of their names, which sums over them follow."""
    inner = group.create_group(name)
    write_text(inner, "names", json.dumps(list(arrays)))
    for key, array in arrays.items():
        write_array(inner, key, array, "1", dims)


def read_arrays(group: Group, name: str) -> dict[str, np.ndarray]:
    """Return the arrays that `write_arrays` wrote, in their order.

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
    return {n: read_array(inner, n, None, _NUMBERS) for n in names}


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
    write_arrays(group, "parameters", model.parameters)


def _read_model(group: Group) -> ModelState:
    return ModelState(read_text(group, "name"), read_dict(group, "options"), read_arrays(group, "parameters"))


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
        def n_bytes(model: Any) -> int:
            return sum(int(p.nbytes) for p in model.to_state().parameters.values())


model_codec(TrainedOperator, kind="trained_operator")
model_codec(TransNormer, kind="transnormer")
model_codec(CycleModel, kind="learned_multigrid")
model_codec(SPDNet, kind="spd_network")
model_codec(DeepConjugateDirection, kind="direction_network")

_SCHEMA_1: dict[str, type[Model]] = {
    "TransNormer": TransNormer,
    "DeepConjugateDirection": CycleModel,
    "DirectionNetwork": DeepConjugateDirection,
}
"""Classes of the models in files of schema 1, all of kind "model", by the names there."""


@codec(ModelState, kind="model")
class _ModelCodec:
    """Attributes `name`, `options` (JSON); group `parameters` of named arrays, their order in its attribute `names`
    (JSON)."""

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


class _FNOCodec:
    """Attribute `options` (JSON): the fields of `FNOConfig`; group `parameters` as `model`."""

    @staticmethod
    def write(group: Group, model: FNO) -> None:
        write_text(group, "options", json.dumps(model.config.to_options()))
        write_arrays(group, "parameters", model.parameters)

    @staticmethod
    def options(group: Group) -> FNOConfig:
        """Return the configuration in a group."""
        try:
            return FNOConfig.from_options(read_dict(group, "options"))
        except InvalidValueError as error:
            raise FileFormatError(f"{error}; the file is damaged") from error

    @staticmethod
    def read(group: Group) -> FNO:
        return FNO.of(_FNOCodec.options(group), read_arrays(group, "parameters"))

    @staticmethod
    def n_bytes(model: FNO) -> int:
        """Return the size of the parameters."""
        return sum(int(p.nbytes) for p in model.parameters.values())


class _TFNOCodec(_FNOCodec):
    """As `fno`."""

    @staticmethod
    def read(group: Group) -> FNO:
        return TFNO.of(_FNOCodec.options(group), read_arrays(group, "parameters"))


codec(FNO, kind="fno")(_FNOCodec)
codec(TFNO, kind="tfno")(_TFNOCodec)


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
        losses = read_array(group, "losses", (None,))
        parts = member(group, "optimizer") or member(group, "optimiser")  # some files of schema 1 have the latter
        if not isinstance(parts, h5py.Group):
            raise FileFormatError(f"the group {group.name}/optimizer is missing; the file is damaged")
        names = json.loads(read_text(parts, "names"))
        if not isinstance(names, list):
            raise FileFormatError(f"the attribute names of {parts.name} is damaged; expected a JSON list")
        optimizer = {name: read_arrays(parts, name) for name in names}
        metrics = read_arrays(group, "metrics")
        settings = read_dict(group, "settings")
        return Checkpoint(len(losses), read_arrays(group, "parameters"), optimizer, losses, metrics, settings)
