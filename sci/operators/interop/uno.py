"""U-shaped operators of neuraloperator, from the arrays of their state dict and their options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.operators.fno.parameters import parameter_shapes
from sci.operators.interop.arrays import (
    arrays_first,
    require_shapes,
    require_taken,
    scale_coordinates,
    spectral_weights,
    take,
    take_pointwise,
    take_skip,
)
from sci.operators.interop.options import Options
from sci.operators.uno.config import UNOConfig
from sci.operators.uno.model import UNO

__all__ = ["uno_of"]

_ACROSS = {"Flattened1dConv": "linear", "SoftGating": "soft-gating", "Identity": "identity"}


def uno_of(state: Mapping[str, np.ndarray], told: Options) -> UNO:
    """Return the UNO of a state dict.

    Parameters
    ----------
    state : dict of arrays
    told : Options

    Raises
    ------
    InvalidValueError
        For arrays that do not fit the options, or ranks that differ from those that one fraction gives.
    """
    left, blocks = dict(map(_as_layer, state.items())), dict(told.blocks or {})
    channels, settings = blocks["block_channels"], dict(told.settings)
    parameters: dict[str, np.ndarray] = {}
    kinds = set()
    for index in range(len(channels)):
        kind, _, _, weights = spectral_weights(left, index, bool(settings.get("separable")))
        kinds.add(kind)
        parameters.update({f"blocks.{index}.spectral.{name}": value for name, value in weights.items()})
        parameters[f"blocks.{index}.spectral.bias"] = take(left, f"fno_blocks.convs.{index}.bias").reshape(-1)
        take_skip(left, f"horizontal_skips.{index}.", f"horizontal.{index}.weight", parameters)
    if kinds != {"dense"}:
        raise InvalidValueError(f"the spectral weights are {', '.join(sorted(kinds))}; expected dense ones in a UNO")
    found = take_pointwise(left, len(channels), parameters)
    require_taken(left, "a UNO")
    modes, grid = blocks.pop("block_modes"), bool(settings.get("positional_grid", True))
    lifting = parameters["lifting.0.weight"].shape
    config = UNOConfig(
        tuple(map(tuple, modes)),
        tuple(channels),
        tuple(tuple(s) if isinstance(s, list) else s for s in blocks["block_scalings"]),
        in_channels=lifting[1] - len(modes[0]) * grid,
        out_channels=len(parameters["projection.1.bias"]),
        **_widths(parameters, channels),
        horizontal_skips=tuple((int(a), int(b)) for a, b in blocks["horizontal_skips"]),
        horizontal_skip=_ACROSS[blocks["horizontal_skip"]],
        activation=False,
        conventions="neuraloperator",
        **{**found, **arrays_first(found, settings)},
    )
    if told.grid_boundaries:
        scale_coordinates(parameters, told.grid_boundaries)
    require_shapes(parameters, parameter_shapes(config))
    return UNO.of(config, parameters)


def _widths(parameters: Mapping[str, np.ndarray], channels: Any) -> dict[str, Any]:
    return {
        "hidden_channels": len(parameters["lifting.1.bias"]),
        "lifting_channels": len(parameters["lifting.0.bias"]),
        "projection_channels": len(parameters["projection.0.bias"]),
        "channel_mlp_expansion": len(parameters["blocks.0.mlp.0.bias"]) / channels[0],
    }


def _as_layer(entry: tuple[str, np.ndarray]) -> tuple[str, np.ndarray]:
    """Return an array of block i of a UNO under the name that it has in an FNO of as many layers."""
    name, array = entry
    found = re.fullmatch(r"fno_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", name)
    if found is None:
        return name, array
    block, part, place = int(found[1]), found[2], int(found[3])
    index = 2 * block + place if part == "norm" else block
    return f"fno_blocks.{part}.{index}.{found[4]}", array
