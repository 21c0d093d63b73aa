"""One FNO block: as one fused op, or layer by layer if it normalizes or activates first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sci.nn import add, gelu, group_norm, instance_norm, tanh
from sci.operators.fno.block import BlockSpec, block
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.perceptron import channel_mlp
from sci.operators.fno.tiles import skip
from sci.operators.spectral.convolution import spectral_convolution

__all__ = ["fused_block", "layered_block"]

_MLP = ("0.weight", "0.bias", "1.weight", "1.bias")


def _spectral(parameters: Mapping[str, Any], config: FNOConfig, layer: int) -> dict[str, Any]:
    prefix = "spectral" if config.joint else f"blocks.{layer}.spectral"
    return {name: parameters[f"{prefix}.{name}"] for name in config.form().shapes()}


def fused_block(parameters: Mapping[str, Any], x: Any, config: FNOConfig, layer: int) -> Any:
    """Return the output of block `layer` as one op."""
    own = f"blocks.{layer}."
    arrays = {"bias": parameters[own + "spectral.bias"], **_spectral(parameters, config, layer)}
    for name, key in (("skip", "skip.weight"), ("gate", "mlp_skip.weight")):
        if own + key in parameters:
            arrays[name] = parameters[own + key]
    names = ("mlp_0", "mlp_0_bias", "mlp_1", "mlp_1_bias")
    arrays.update({name: parameters[f"{own}mlp.{key}"] for name, key in zip(names, _MLP)})
    spec = BlockSpec(
        *(config.form(), tuple(arrays), layer, config.fno_skip, config.channel_mlp_skip),
        activate=layer < config.n_layers - 1,
    )
    return block(x, *arrays.values(), spec=spec)


def layered_block(parameters: Mapping[str, Any], x: Any, config: FNOConfig, layer: int) -> Any:
    """Return the output of block `layer`, one op for each of its layers."""
    own, activate = f"blocks.{layer}.", layer < config.n_layers - 1
    if config.preactivation:
        x = _norm(parameters, f"{own}norm.0", gelu(x), config)
    skips = [
        None if kind is None else skip(x, kind, parameters.get(own + key))
        for key, kind in (("skip.weight", config.fno_skip), ("mlp_skip.weight", config.channel_mlp_skip))
    ]
    source = tanh(x) if config.stabilizer == "tanh" else x
    weights = _spectral(parameters, config, layer)
    options: dict[str, Any] = {"names": tuple(weights), "form": config.form(), "layer": layer}
    bias = parameters[own + "spectral.bias"]
    y = spectral_convolution(source, bias, *weights.values(), **options)
    if not config.preactivation:
        y = _norm(parameters, f"{own}norm.0", y, config)
    y = _sum(y, skips[0])
    if activate:
        y = gelu(y)
    if config.preactivation:
        y = _norm(parameters, f"{own}norm.1", y, config)
    y = channel_mlp(y, *(parameters[f"{own}mlp.{key}"] for key in _MLP))
    y = _sum(y, skips[1])
    if config.preactivation:
        return y
    y = _norm(parameters, f"{own}norm.1", y, config)
    return gelu(y) if activate else y


def _norm(parameters: Mapping[str, Any], name: str, x: Any, config: FNOConfig) -> Any:
    if config.norm == "instance":
        return instance_norm(x)
    if config.norm == "group":
        weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        return group_norm(x, weight, bias)
    return x


def _sum(y: Any, skip: Any) -> Any:
    return y if skip is None else add(y, skip)
