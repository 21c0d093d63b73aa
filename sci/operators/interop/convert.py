"""Models of the neuraloperator library (2.0.0), from the arrays and options of their state dict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.model import FNO, TFNO
from sci.operators.fno.parameters import parameter_shapes
from sci.operators.interop.options import Options, read_metadata
from sci.operators.spectral.modes import stored_modes

__all__ = ["from_neuraloperator"]

_CONV = "fno_blocks.convs.{}."
_SKIPS = {"skip": "fno_blocks.fno_skips.{}.", "mlp_skip": "fno_blocks.channel_mlp_skips.{}."}


@entry
def from_neuraloperator(state: Mapping[str, Any], *, assume_defaults: bool = False, **options: Any) -> FNO:
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
    FNO, or TFNO for Tucker weights

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
    left = {name: np.asarray(value) for name, value in state.items() if name != "_metadata"}
    layers = len({m[1] for name in left if (m := re.match(r"fno_blocks\.convs\.(\d+)\.", name))})
    if not layers:
        raise InvalidValueError("no array fno_blocks.convs.*: this is no state dict of an FNO of neuraloperator 2.0")
    told = _options(state.get("_metadata"), assume_defaults, options)
    parameters: dict[str, np.ndarray] = {}
    factorization, tensor_rank = "", None
    modes: tuple[int, ...] = ()
    for layer in range(layers):
        factorization, modes, tensor_rank, weights = _spectral_weights(left, layer)
        weights = _cropped(weights, modes, told.n_modes)
        parameters.update({f"blocks.{layer}.spectral.{name}": value for name, value in weights.items()})
        parameters[f"blocks.{layer}.spectral.bias"] = _take(left, _CONV.format(layer) + "bias").reshape(-1)
        _take_perceptron(left, f"fno_blocks.channel_mlp.{layer}", f"blocks.{layer}.mlp", parameters)
    for name in ("lifting", "projection"):
        _take_perceptron(left, name, name, parameters)
    config = {**_skips(left, layers, parameters), **_norms(left, layers, parameters)}
    # The columns of the half spectrum tell n_modes up to one: 2 K - 2 and 2 K - 1 keep the same.
    n_modes = told.n_modes or (*modes[:-1], max(1, 2 * modes[-1] - 2))
    config = _config(parameters, {**config, **_of_arrays_first(config, told.settings)}, n_modes)
    config.update(n_layers=layers, factorization=factorization, tensor_rank=tensor_rank)
    if left:
        raise InvalidValueError(f"arrays that are not those of a plain FNO: {', '.join(sorted(left)[:5])}")
    if told.grid_boundaries:
        _scale_coordinates(parameters, told.grid_boundaries)
    model = FNOConfig(**config)
    _require_shapes(parameters, parameter_shapes(model))
    return (TFNO if factorization == "tucker" else FNO).of(model, parameters)


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


def _of_arrays_first(found: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings after checking that they fit the skips and norms whose arrays were found."""
    for name, kind in found.items():
        told = settings.get(name, kind)
        if kind is not None and told != kind:
            raise InvalidValueError(f"arrays do not fit the options: {name} is {told!r}, the arrays are of {kind!r}")
    return dict(settings)


def _cropped(
    weights: dict[str, np.ndarray], stored: tuple[int, ...], n_modes: tuple[int, ...] | None
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
    train = weights["factor_1"].ndim == 3
    for axis, window in enumerate(windows):
        name = f"factor_{axis + 2}"
        cropped[name] = np.ascontiguousarray(weights[name][:, window] if train else weights[name][window])
    return cropped


def _scale_coordinates(parameters: dict[str, np.ndarray], boundaries: tuple[tuple[float, float], ...]) -> None:
    """Change the lifting so that coordinates from 0 to 1 act as those from a to b: w (a + (b - a) p) + bias."""
    weight, bias = (parameters[f"lifting.0.{name}"].copy() for name in ("weight", "bias"))
    columns = weight[:, -len(boundaries) :]
    first, last = np.array(boundaries, weight.dtype).T
    bias += columns @ first
    columns *= last - first
    parameters.update({"lifting.0.weight": weight, "lifting.0.bias": bias})


def _take(left: dict[str, np.ndarray], name: str) -> np.ndarray:
    if name not in left:
        raise InvalidValueError(f"the state dict has no array {name}; expected that of an FNO of neuraloperator 2.0")
    return left.pop(name)


def _take_perceptron(left: dict[str, np.ndarray], theirs: str, ours: str, out: dict[str, np.ndarray]) -> None:
    for i in (0, 1):
        weight = _take(left, f"{theirs}.fcs.{i}.weight")
        out[f"{ours}.{i}.weight"] = weight.reshape(weight.shape[:2])
        out[f"{ours}.{i}.bias"] = _take(left, f"{theirs}.fcs.{i}.bias").reshape(-1)


def _spectral_weights(left: dict[str, np.ndarray], layer: int) -> tuple[str, tuple[int, ...], Any, dict[str, Any]]:
    """Return factorization, stored modes, ranks and our arrays of one layer."""
    prefix = _CONV.format(layer) + "weight"
    for dense in (f"{prefix}.tensor", prefix):
        if dense in left:
            weight = left.pop(dense)
            last = np.ascontiguousarray(np.moveaxis(weight, (0, 1), (-2, -1)))
            return "dense", weight.shape[2:], None, {"weight": last}
    count = sum(name.startswith(f"{prefix}.factors.factor_") for name in left)
    if count < 3:
        raise InvalidValueError(f"the state dict has no arrays {prefix}.tensor or {prefix}.factors.*")
    factors = [left.pop(f"{prefix}.factors.factor_{j}") for j in range(count)]
    named = {f"factor_{j}": factor for j, factor in enumerate(factors)}
    if factors[0].ndim == 3:
        named["factor_0"], named[f"factor_{count - 1}"] = factors[0][0], factors[-1][..., 0]
        ranks = tuple(int(factor.shape[2]) for factor in factors[:-1])
        return "tt", tuple(f.shape[1] for f in factors[2:]), ranks, named
    modes = tuple(factor.shape[0] for factor in factors[2:])
    if f"{prefix}.core" in left:
        core = left.pop(f"{prefix}.core")
        return "tucker", modes, tuple(core.shape), {"core": core, **named}
    weights = _take(left, f"{prefix}.weights")
    return "cp", modes, int(weights.shape[0]), {"weights": weights, **named}


def _skips(left: dict[str, np.ndarray], layers: int, out: dict[str, np.ndarray]) -> dict[str, Any]:
    """Take the skips out of `left`; return the kind of each that has arrays, and None for one that has none."""
    kinds: dict[str, Any] = {}
    for ours, option in (("skip", "fno_skip"), ("mlp_skip", "channel_mlp_skip")):
        kinds[option] = None
        for layer in range(layers):
            prefix, name = _SKIPS[ours].format(layer), f"blocks.{layer}.{ours}.weight"
            if prefix + "conv.weight" in left:
                weight = left.pop(prefix + "conv.weight")
                out[name], kinds[option] = weight.reshape(weight.shape[:2]), "linear"
            elif prefix + "weight" in left:
                out[name], kinds[option] = left.pop(prefix + "weight").reshape(-1), "soft-gating"
    return kinds


def _norms(left: dict[str, np.ndarray], layers: int, out: dict[str, np.ndarray]) -> dict[str, Any]:
    if "fno_blocks.norm.0.weight" not in left:
        return {}
    for layer in range(layers):
        for i in (0, 1):
            for kind in ("weight", "bias"):
                out[f"blocks.{layer}.norm.{i}.{kind}"] = _take(left, f"fno_blocks.norm.{2 * layer + i}.{kind}")
    return {"norm": "group"}


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


def _require_shapes(parameters: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    wrong = [
        f"{name} {parameters[name].shape if name in parameters else 'is missing'}, expected {shape}"
        for name, shape in shapes.items()
        if name not in parameters or parameters[name].shape != shape
    ]
    if wrong:
        raise InvalidValueError(f"arrays do not fit the options: {'; '.join(wrong[:3])}")
