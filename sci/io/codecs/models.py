"""How trained models and checkpoints of trainings lie in a group."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

from sci.errors import FileFormatError
from sci.io.core.hdf5 import Group, read_array, read_text, write_array, write_text
from sci.nn.training.model import Checkpoint, Model

__all__ = ["read_checkpoint", "read_model", "write_checkpoint", "write_model"]

_NUMBERS = ("f4", "f8", "c8", "c16")


def _write_arrays(group: Group, arrays: Mapping[str, Any]) -> None:
    """Write named arrays and the order of their names, which sums over all of them follow."""
    write_text(group, "names", json.dumps(list(arrays)))
    for name, array in arrays.items():
        write_array(group, name, array)


def _read_arrays(group: Group, name: str) -> dict[str, np.ndarray]:
    inner = group.get(name)
    if not isinstance(inner, h5py.Group):
        raise FileFormatError(f"the group {group.name}/{name} is missing; the file is damaged")
    names = json.loads(read_text(inner, "names"))
    if not isinstance(names, list) or sorted(map(str, names)) != sorted(inner):
        raise FileFormatError(f"the names of {inner.name} are not those of its datasets; the file is damaged")
    return {n: read_array(inner, n, None, _NUMBERS) for n in names}


def _read_dict(group: Group, name: str) -> dict[str, Any]:
    found = json.loads(read_text(group, name))
    if not isinstance(found, dict):
        raise FileFormatError(f"the attribute {name} of {group.name} is damaged; expected a JSON object")
    return found


def write_model(group: Group, model: Model) -> None:
    """Write the name, the options as JSON, and the parameters."""
    write_text(group, "name", model.name)
    write_text(group, "options", json.dumps(model.options))
    _write_arrays(group.create_group("parameters"), model.parameters)


def read_model(group: Group) -> Model:
    """Return the model in `group`."""
    return Model(read_text(group, "name"), _read_dict(group, "options"), _read_arrays(group, "parameters"))


def write_checkpoint(group: Group, checkpoint: Checkpoint) -> None:
    """Write parameters, the optimizer's state, losses, metrics and settings."""
    write_text(group, "settings", json.dumps(checkpoint.settings))
    write_array(group, "losses", checkpoint.losses)
    _write_arrays(group.create_group("parameters"), checkpoint.parameters)
    _write_arrays(group.create_group("metrics"), checkpoint.metrics)
    parts = group.create_group("optimizer")
    write_text(parts, "names", json.dumps(list(checkpoint.optimizer)))
    for name, arrays in checkpoint.optimizer.items():
        _write_arrays(parts.create_group(name), arrays)


def read_checkpoint(group: Group) -> Checkpoint:
    """Return the checkpoint in `group`."""
    losses = read_array(group, "losses", (None,))
    parts = group.get("optimizer", group.get("optimiser"))  # older files
    if not isinstance(parts, h5py.Group):
        raise FileFormatError(f"the group {group.name}/optimizer is missing; the file is damaged")
    names = json.loads(read_text(parts, "names"))
    if not isinstance(names, list):
        raise FileFormatError(f"the attribute names of {parts.name} is damaged; expected a JSON list")
    optimizer = {name: _read_arrays(parts, name) for name in names}
    metrics = _read_arrays(group, "metrics")
    settings = _read_dict(group, "settings")
    return Checkpoint(len(losses), _read_arrays(group, "parameters"), optimizer, losses, metrics, settings)
