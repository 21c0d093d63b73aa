"""Models of the neuraloperator library (2.0.0), from the arrays and options of their state dict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.model import FNO, SFNO, TFNO
from sci.operators.fno.parameters import parameter_shapes
from sci.operators.interop.arrays import (
    arrays_first,
    require_shapes,
    require_taken,
    scale_coordinates,
    spectral_weights,
    take,
    take_pointwise,
)
from sci.operators.interop.options import Options, read_metadata
from sci.operators.interop.uno import uno_of
from sci.operators.spectral.modes import stored_modes
from sci.operators.uno.model import UNO

__all__ = ["from_neuraloperator"]


@entry
def from_neuraloperator(state: Mapping[str, Any], *, assume_defaults: bool = False, **options: Any) -> FNO | UNO:
    """Return the FNO or TFNO whose state dict is given.

    Parameters
    ----------
    state : dict of arrays
        From `neuraloperator_state(model)`, or what `model.state_dict()` returns with NumPy arrays in place of tensors:
        with the options of the model under "_metadata".
    assume_defaults : bool
        For a state without "_metadata": all options that the arrays do not tell are the library's defaults, but those
        given here.
    **options
        With `assume_defaults`: `positional_grid=False`, `norm="instance"`, `preactivation=True`, `stabilizer="tanh"`,
        `domain_padding=...`, `fno_skip="identity"`, `channel_mlp_skip="identity"`.

    Returns
    -------
    FNO; TFNO for Tucker weights, SFNO on a sphere, UNO

    Raises
    ------
    InvalidValueError
        If the model has an option that models here cannot represent; if an array is missing, unknown or of another
        shape; or if nothing says what the options are.

    Notes
    -----
    The outputs agree to rounding on grids where that library is right; docs/explanation/operators.md lists where it is
    not. Other boundaries of the grid become weights of the lifting, and of `max_n_modes` stored modes those in use are
    kept.
    Models without channel MLP, with complex data, separable weights, another non-linearity than GELU, more groups in a
    normalization, or changes of resolution inside are refused.

    Examples
    --------
    >>> from_neuraloperator({"fno_blocks.convs.0.bias": np.zeros((4, 1, 1))})
    Traceback (most recent call last):
    ...
    sci.errors.InvalidValueError: the state dict has no _metadata, which says what the arrays do not; ...
    """
    told = _options(state.get("_metadata"), assume_defaults, options)
    left = {name: np.asarray(value) for name, value in state.items() if name != "_metadata"}
    if told.blocks is not None:
        return uno_of(left, told)
    layers = len({m[1] for name in left if (m := re.match(r"fno_blocks\.convs\.(\d+)\.", name))})
    if not layers:
        raise InvalidValueError("no array fno_blocks.convs.*: this is no state dict of an FNO of neuraloperator 2.0")
    separable, halved = bool(told.settings.get("separable")), not told.settings.get("complex_data")
    parameters: dict[str, np.ndarray] = {}
    factorization, tensor_rank = "", None
    modes: tuple[int, ...] = ()
    for layer in range(layers):
        factorization, modes, tensor_rank, weights = spectral_weights(left, layer, separable)
        if halved and told.settings.get("sphere") is None:
            weights = _cropped(weights, modes, told.n_modes, separable)
        parameters.update({f"blocks.{layer}.spectral.{name}": value for name, value in weights.items()})
        parameters[f"blocks.{layer}.spectral.bias"] = take(left, f"fno_blocks.convs.{layer}.bias").reshape(-1)
    config = take_pointwise(left, layers, parameters, complex_data=not halved)
    # The columns of the half spectrum tell n_modes up to one: 2 K - 2 and 2 K - 1 keep the same.
    n_modes = told.n_modes or ((*modes[:-1], max(1, 2 * modes[-1] - 2)) if halved else modes)
    config = _config(parameters, {**config, **arrays_first(config, told.settings)}, n_modes)
    config.update(n_layers=layers, factorization=factorization, tensor_rank=tensor_rank)
    require_taken(left, "a plain FNO")
    if told.grid_boundaries:
        scale_coordinates(parameters, told.grid_boundaries)
    model = FNOConfig(**config)
    require_shapes(parameters, parameter_shapes(model))
    kind = SFNO if model.sphere is not None else TFNO if factorization == "tucker" else FNO
    return kind.of(model, parameters)


def _options(metadata: Any, assume_defaults: bool, options: dict[str, Any]) -> Options:
    """Return the options in `_metadata`, or those of the caller in its place."""
    if metadata is not None:
        if options or assume_defaults:
            raise InvalidValueError("the state dict has _metadata with all options; give none in the call")
        return read_metadata(metadata)
    if not assume_defaults:
        raise InvalidValueError(
            "the state dict has no _metadata, which says what the arrays do not; write it by "
            "numpy.savez(path, **sci.operators.neuraloperator_state(model)), or say assume_defaults=True "
            "(--assume-defaults) where all options but those given are the library's defaults"
        )
    return Options(options)


def _cropped(
    weights: dict[str, np.ndarray], stored: tuple[int, ...], n_modes: tuple[int, ...] | None, separable: bool
) -> dict[str, np.ndarray]:
    """Return the weights of the modes in use, of those stored for `max_n_modes`."""
    if n_modes is None or stored == stored_modes(n_modes):
        return weights
    used = stored_modes(n_modes)
    if len(used) != len(stored) or any(k > s for k, s in zip(used, stored)):
        raise InvalidValueError(f"the model uses {used} modes of {stored} that are stored; expected at most as many")
    windows = [slice((s - k) // 2, (s - k) // 2 + k) for s, k in zip(stored[:-1], used[:-1])] + [slice(used[-1])]
    if "weight" in weights:
        return {"weight": np.ascontiguousarray(weights["weight"][tuple(windows)])}
    cropped = dict(weights)
    first = 1 if separable else 2
    for axis, window in enumerate(windows):
        name = f"factor_{axis + first}"
        train = "core" not in weights and "weights" not in weights
        cropped[name] = np.ascontiguousarray(weights[name][:, window] if train else weights[name][window])
    return cropped


def _config(parameters: Mapping[str, np.ndarray], options: dict[str, Any], n_modes: tuple[int, ...]) -> dict[str, Any]:
    """Return the arguments of FNOConfig that shapes tell, and those that do not."""
    lifting, width = parameters["lifting.0.weight"].shape[::-1], len(parameters["blocks.0.spectral.bias"])
    grid = bool(options.get("positional_grid", True))
    return {
        "n_modes": n_modes,
        "in_channels": int(lifting[0]) - len(n_modes) * grid,
        "out_channels": len(parameters["projection.1.bias"]),
        "hidden_channels": width,
        "lifting_ratio": lifting[1] / width,
        "projection_ratio": len(parameters["projection.0.bias"]) / width,
        "channel_mlp_expansion": len(parameters["blocks.0.mlp.0.bias"]) / width,
        **options,
    }
