"""The options of models of neuraloperator: represented here, harmless for outputs, or refused."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError, with_article

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
    "use_channel_mlp": (True,),
    "fno_block_precision": ("full",),
    "conv_module": ("SpectralConv", "SphericalConv"),
    "norm_groups": (1,),
}
"""Options with the only values that models here have."""
_NORMS = {None: None, "group_norm": "group", "instance_norm": "instance"}
_MODELS = ("FNO", "TFNO", "SFNO", "UNO")
_CIRCLES = {"equiangular": "equiangular", "legendre-gauss": "gauss-legendre"}
_BLOCKS = ("block_modes", "block_channels", "block_scalings", "horizontal_skips", "horizontal_skip")
"""Arguments of `UNO` that its state has under our names."""


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
    blocks : dict, optional
        Arguments of `UNO` alone; None for other models.
    """

    settings: Mapping[str, Any]
    n_modes: tuple[int, ...] | None = None
    grid_boundaries: tuple[tuple[float, float], ...] | None = None
    blocks: Mapping[str, Any] | None = None


@entry
def neuraloperator_state(model: Any) -> dict[str, np.ndarray]:
    """Return the arrays of a model of neuraloperator, and its options as JSON text in "_metadata".

    Parameters
    ----------
    model : neuralop.models.FNO, TFNO, SFNO or UNO

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
    if hasattr(model, "uno_n_modes"):
        metadata = _uno_metadata(model)
    else:
        metadata["current_modes"] = [list(conv.n_modes) for conv in model.fno_blocks.convs]
        circles = {grid for conv in model.fno_blocks.convs for grid in getattr(conv, "sht_grids", ())}
        metadata["sht_grids"] = sorted(circles)
    metadata["norm_groups"] = sorted({m.num_groups for m in model.modules() if hasattr(m, "num_groups")})
    text = json.dumps(metadata, default=_described)
    return {name: tensor.detach().cpu().numpy() for name, tensor in state.items()} | {"_metadata": np.array(text)}


def _uno_metadata(model: Any) -> dict[str, Any]:
    """Return the options of a UNO, which does not keep them, from its attributes and layers."""
    first = model.fno_blocks[0]
    norm = None if first.norm is None else type(first.norm[0]).__name__
    padding = getattr(model.domain_padding, "domain_padding", None)
    across = {type(layer).__name__ for layer in model.horizontal_skips.values()}
    return {
        "_name": "UNO",
        "block_modes": [list(modes) for modes in model.uno_n_modes],
        "block_channels": list(model.uno_out_channels),
        "block_scalings": [list(s) if isinstance(s, Sequence) else s for s in model.uno_scalings],
        "horizontal_skips": [list(pair) for pair in model.horizontal_skips_map.items()],
        "horizontal_skip": sorted(across)[0] if across else "Flattened1dConv",
        "fno_skip": first.fno_skip,
        "channel_mlp_skip": first.channel_mlp_skip,
        "norm": {"GroupNorm": "group_norm", "InstanceNorm": "instance_norm"}.get(norm or "", norm),
        "preactivation": model.preactivation,
        "separable": model.separable,
        "domain_padding": list(padding) if isinstance(padding, Sequence) else padding,
        "positional_embedding": model.positional_embedding,
        "non_linearity": model.non_linearity,
    }


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
        raise InvalidValueError(
            f"the state dict is of {with_article(given['_name'])}; expected one of {', '.join(_MODELS)}"
        )
    settings: dict[str, Any] = {}
    n_modes, boundaries = given.get("n_modes"), None
    blocks = {name: given.pop(name) for name in _BLOCKS if name in given} or None
    if (given.get("_name") == "UNO") != (blocks is not None) or (blocks and set(blocks) != set(_BLOCKS)):
        raise InvalidValueError(
            f"the state dict is of {with_article(str(given.get('_name')))} with {sorted(blocks or ())}; "
            "expected a UNO with "
            f"{', '.join(_BLOCKS)}: write it by neuraloperator_state"
        )
    spherical = given.get("conv_module") == "SphericalConv"
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
        elif name in ("stabilizer", "preactivation", "fno_skip", "channel_mlp_skip", "separable", "complex_data"):
            settings[name] = value
        elif name == "resolution_scaling_factor":
            if value is not None and any(np.ravel(np.asarray(value, float)) != 1):
                settings.update(resolution_scaling=_tuples(value), conventions="neuraloperator")
        elif name == "sht_grids":
            if len(value) > 1 or any(grid not in _CIRCLES for grid in value):
                raise _unrepresented(name, value, "'equiangular' or 'legendre-gauss' in all layers")
            if value:
                settings["sphere"] = _CIRCLES[value[0]]
        elif name == "current_modes":
            n_modes = n_modes if spherical or given.get("complex_data") else _one_count(value, n_modes)
        elif name in _REQUIRED:
            if any(entry not in _REQUIRED[name] for entry in (value if isinstance(value, list) else [value])):
                raise _unrepresented(name, value, " or ".join(repr(v) for v in _REQUIRED[name]))
        elif name not in _IN_ARRAYS | _NO_EFFECT | {"max_n_modes"} and value is not None:
            raise _unrepresented(name, value, "an option of neuraloperator 2.0.0")
    if settings.get("complex_data"):
        settings["conventions"] = "neuraloperator"
    if boundaries is not None and settings.get("complex_data"):
        raise _unrepresented("positional_embedding", boundaries, "a grid from 0 to 1 for complex data")
    if spherical:
        settings.setdefault("sphere", "equiangular")
    return Options(settings, n_modes and tuple(int(m) for m in n_modes), boundaries, blocks)


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


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


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
