"""Models of the neuraloperator library (2.0.0), from the arrays of their state dict."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.model import FNO, parameter_shapes

__all__ = ["from_neuraloperator"]

_CONV = "fno_blocks.convs.{}."
_SKIPS = {"skip": "fno_blocks.fno_skips.{}.", "mlp_skip": "fno_blocks.channel_mlp_skips.{}."}


def from_neuraloperator(state: Mapping[str, np.ndarray], **options: Any) -> FNO:
    """Return the FNO or TFNO whose state dict, as NumPy arrays, is given.

    Parameters
    ----------
    state : dict of arrays
        `{name: tensor.numpy() for name, tensor in model.state_dict().items() if name != "_metadata"}`.
    **options
        What shapes do not tell, where it is not the default: `positional_grid=False`, `norm="instance"`,
        `preactivation=True`, `stabilizer="tanh"`, `domain_padding=...`, `fno_skip="identity"`,
        `channel_mlp_skip="identity"`.

    Returns
    -------
    FNO

    Raises
    ------
    InvalidValueError
        If an array is missing, unknown or of another shape: another architecture, an option that is missing, or
        another version of the library.

    Notes
    -----
    The outputs agree to rounding on grids where that library is right; docs/operators.md lists where it is not.
    Models without channel MLP, with complex data, separable or jointly factorized weights, or changes of resolution
    inside are refused.
    """
    left = {name: np.asarray(value) for name, value in state.items() if name != "_metadata"}
    layers = len({m[1] for name in left if (m := re.match(r"fno_blocks\.convs\.(\d+)\.", name))})
    if not layers:
        raise InvalidValueError("no array fno_blocks.convs.*: this is no state dict of an FNO of neuraloperator 2.0")
    parameters: dict[str, np.ndarray] = {}
    factorization, tensor_rank = "", None
    modes: tuple[int, ...] = ()
    for layer in range(layers):
        factorization, modes, tensor_rank, weights = _spectral_weights(left, layer)
        parameters.update({f"blocks.{layer}.spectral.{name}": value for name, value in weights.items()})
        parameters[f"blocks.{layer}.spectral.bias"] = _take(left, _CONV.format(layer) + "bias").reshape(-1)
        _take_perceptron(left, f"fno_blocks.channel_mlp.{layer}", f"blocks.{layer}.mlp", parameters)
    for name in ("lifting", "projection"):
        _take_perceptron(left, name, name, parameters)
    config = {**_skips(left, layers, parameters), **_norms(left, layers, parameters), **options}
    config = _config(parameters, config, layers, factorization, modes, tensor_rank)
    if left:
        raise InvalidValueError(f"arrays that are not those of a plain FNO: {', '.join(sorted(left)[:5])}")
    model = FNOConfig(**config)
    _require_shapes(parameters, parameter_shapes(model))
    return FNO.of(model, parameters)


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
    """Take the skips; tell the kind of each that has arrays, and None for one that has not."""
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


def _config(
    parameters: Mapping[str, np.ndarray],
    options: dict[str, Any],
    layers: int,
    factorization: str,
    modes: tuple[int, ...],
    tensor_rank: Any,
) -> dict[str, Any]:
    """Return the arguments of FNOConfig that shapes tell, under those that the caller gave."""
    lifting, width = parameters["lifting.0.weight"].shape[::-1], len(parameters["blocks.0.spectral.bias"])
    grid = bool(options.get("positional_grid", True))
    return {
        # The columns of the half spectrum tell n_modes up to one: 2 K - 2 and 2 K - 1 keep the same.
        "n_modes": (*modes[:-1], max(1, 2 * modes[-1] - 2)),
        "in_channels": int(lifting[0]) - len(modes) * grid,
        "out_channels": len(parameters["projection.1.bias"]),
        "hidden_channels": width,
        "n_layers": layers,
        "lifting_ratio": lifting[1] / width,
        "projection_ratio": len(parameters["projection.0.bias"]) / width,
        "channel_mlp_expansion": len(parameters["blocks.0.mlp.0.bias"]) / width,
        "factorization": factorization,
        "tensor_rank": tensor_rank,
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
