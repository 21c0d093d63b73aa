"""The options of models of neuraloperator: represented here, harmless for outputs, or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["Options", "neuraloperator_state", "read_metadata"]

_POSITIONAL = (
    *("n_modes", "in_channels", "out_channels", "hidden_channels", "n_layers", "lifting_channel_ratio"),
    *("projection_channel_ratio", "positional_embedding", "non_linearity", "norm"),
)
"""Order of the first arguments of neuraloperator's FNO."""
_IN_ARRAYS = {
    *("n_modes", "in_channels", "out_channels", "hidden_channels", "n_layers", "lifting_channel_ratio"),
    *("projection_channel_ratio", "channel_mlp_expansion", "factorization", "rank", "fixed_rank_modes"),
}
"""Options that the shapes of the arrays tell."""
_NO_EFFECT = {"channel_mlp_dropout", "implementation", "decomposition_kwargs", "args", "_version", "_name", "verbose"}
"""Options that change no output of a trained model."""
_REQUIRED: dict[str, tuple[Any, ...]] = {
    "non_linearity": ("gelu", "GELU(approximate='none')"),
    "complex_data": (False,),
    "use_channel_mlp": (True,),
    "fno_block_precision": ("full",),
    "separable": (False,),
    "conv_module": ("SpectralConv",),
    "norm_groups": (1,),
}
"""Options with the only values that models here have."""
_NORMS = {None: None, "group_norm": "group", "instance_norm": "instance"}
_MODELS = ("FNO", "TFNO")


@dataclass(frozen=True)
class Options:
    """The options of a model of neuraloperator that its arrays do not tell, in the terms of `FNOConfig`.

    Parameters
    ----------
    settings : dict
        Arguments of `FNOConfig` that no array tells.
    n_modes : tuple of int, optional
        Modes that the model uses; those stored unless given.
    grid_boundaries : tuple of (float, float), optional
        First and last coordinate of each axis, if they are not 0 and 1.
    """

    settings: Mapping[str, Any]
    n_modes: tuple[int, ...] | None = None
    grid_boundaries: tuple[tuple[float, float], ...] | None = None


@entry
def neuraloperator_state(model: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a model of neuraloperator, and its options as JSON text in "_metadata".

    Parameters
    ----------
    model : neuralop.models.FNO or TFNO

    Returns
    -------
    dict of arrays
        For `from_neuraloperator`, or for a file: `numpy.savez("state.npz", **neuraloperator_state(model))`.

    Notes
    -----
    Options are those that the model was made with, but the modes, the groups of normalizations and the boundaries of
    the grid are those that it has now.
    """
    state = model.state_dict()
    metadata = dict(state.pop("_metadata", {}))
    metadata["current_modes"] = [list(conv.n_modes) for conv in model.fno_blocks.convs]
    metadata["norm_groups"] = sorted({m.num_groups for m in model.modules() if hasattr(m, "num_groups")})
    text = json.dumps(metadata, default=_described)
    return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()} | {"_metadata": np.array(text)}


def _described(value: Any) -> Any:
    """Return a name for a function, a class or a layer, and the boundaries of an embedding by a grid."""
    if hasattr(value, "grid_boundaries"):
        return {"grid_boundaries": [[float(end) for end in ends] for ends in value.grid_boundaries]}
    return getattr(value, "__name__", None) or repr(value)


def read_metadata(metadata: Any) -> Options:
    """Return the options in the `_metadata` of a state dict.

    Parameters
    ----------
    metadata : dict or JSON text
        As `model.state_dict()["_metadata"]` has it, or as `neuraloperator_state` writes it.

    Raises
    ------
    InvalidValueError
        If the model cannot be represented here, naming the option.
    """
    given = _as_dict(metadata)
    if given.get("_name", "FNO") not in _MODELS:
        raise InvalidValueError(f"the state dict is of a {given['_name']}; expected one of {', '.join(_MODELS)}")
    settings: dict[str, Any] = {}
    n_modes, boundaries = given.get("n_modes"), None
    for name, value in given.items():
        if name == "positional_embedding":
            settings["positional_grid"] = value is not None
            boundaries = _boundaries(value)
        elif name == "domain_padding":
            padding = tuple(map(float, value)) if isinstance(value, Sequence) else float(value or 0)
            settings[name] = padding
        elif name == "norm":
            if value not in _NORMS:
                raise _unrepresented(name, value, "None, 'group_norm' or 'instance_norm'")
            settings[name] = _NORMS[value]
        elif name in ("stabilizer", "preactivation", "fno_skip", "channel_mlp_skip"):
            settings[name] = value
        elif name == "resolution_scaling_factor":
            if value is not None and any(np.ravel(np.asarray(value, float)) != 1):
                raise _unrepresented(name, value, "None: the grid of the output is that of the input")
        elif name == "current_modes":
            n_modes = _one_count(value, n_modes)
        elif name in _REQUIRED:
            if any(entry not in _REQUIRED[name] for entry in (value if isinstance(value, list) else [value])):
                raise _unrepresented(name, value, " or ".join(repr(v) for v in _REQUIRED[name]))
        elif name not in _IN_ARRAYS | _NO_EFFECT | {"max_n_modes"} and value is not None:
            raise _unrepresented(name, value, "an option of neuraloperator 2.0.0")
    return Options(settings, n_modes and tuple(int(m) for m in n_modes), boundaries)


def _as_dict(metadata: Any) -> dict[str, Any]:
    """Return the options by name, functions and layers by their names."""
    if not isinstance(metadata, Mapping):
        try:
            metadata = json.loads(str(metadata))
        except ValueError as error:
            raise InvalidValueError(f"_metadata is no JSON text: {error}; write it by neuraloperator_state") from error
    if not isinstance(metadata, Mapping):
        raise InvalidValueError("_metadata is no dict of options; write it by sci.operators.neuraloperator_state")
    plain = json.loads(json.dumps(dict(metadata), default=_described))
    positional = plain.get("args") or []
    if len(positional) > len(_POSITIONAL):
        raise InvalidValueError(f"_metadata has {len(positional)} positional options; give those after `norm` by name")
    named: dict[str, Any] = {**plain, **dict(zip(_POSITIONAL, positional))}
    return named


def _one_count(counts: Any, n_modes: Any) -> list[int] | None:
    """Return the modes that all layers use now: the columns of the half spectrum are counted last."""
    if not isinstance(counts, list) or any(list(c) != list(counts[0]) for c in counts):
        raise InvalidValueError(f"the layers use the modes {counts}; expected the same in all layers")
    current = [int(m) for m in counts[0]]
    if n_modes is not None and current == [*n_modes[:-1], n_modes[-1] // 2 + 1]:
        return list(n_modes)
    return [*current[:-1], max(1, 2 * current[-1] - 2)]


def _boundaries(value: Any) -> tuple[tuple[float, float], ...] | None:
    if value is None or value == "grid":
        return None
    if not isinstance(value, Mapping) or "grid_boundaries" not in value:
        raise _unrepresented("positional_embedding", value, "'grid', None, or an embedding by a grid")
    ends = tuple((float(a), float(b)) for a, b in value["grid_boundaries"])
    return None if all(pair == (0.0, 1.0) for pair in ends) else ends


def _unrepresented(name: str, value: Any, expected: str) -> InvalidValueError:
    return InvalidValueError(f"the model has {name} {value!r}, which models here cannot represent; expected {expected}")
