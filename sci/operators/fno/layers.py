"""One FNO block on a tape: as one fused pair, or layer by layer where it normalizes or activates first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sci.nn import (
    Tape,
    add,
    add_vjp,
    gelu,
    gelu_vjp,
    group_norm,
    group_norm_vjp,
    instance_norm,
    instance_norm_vjp,
    mix_channels,
    mix_channels_vjp,
    soft_gate,
    soft_gate_vjp,
    tanh,
    tanh_vjp,
)
from sci.operators.fno.block import BlockSpec, block, block_vjp
from sci.operators.fno.config import FNOConfig
from sci.operators.fno.perceptron import channel_mlp, channel_mlp_vjp
from sci.operators.spectral.convolution import spectral_convolution, spectral_convolution_vjp

__all__ = ["fused_block", "layered_block"]

_MLP = ("0.weight", "0.bias", "1.weight", "1.bias")


def _spectral(parameters: Mapping[str, Any], config: FNOConfig, layer: int) -> dict[str, Any]:
    prefix = "spectral" if config.joint else f"blocks.{layer}.spectral"
    return {name: parameters[f"{prefix}.{name}"] for name in config.form().shapes()}


def fused_block(
    tape: Tape, parameters: Mapping[str, Any], x: Any, config: FNOConfig, layer: int, keep: bool = True
) -> Any:
    """Return the output of block `layer` as one call on the tape."""
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
    return tape.call(block, block_vjp, x, *arrays.values(), spec=spec, keep=keep)


def layered_block(
    tape: Tape, parameters: Mapping[str, Any], x: Any, config: FNOConfig, layer: int, keep: bool = True
) -> Any:
    """Return the output of block `layer`, one call on the tape for each of its layers."""
    own, activate = f"blocks.{layer}.", layer < config.n_layers - 1
    if config.preactivation:
        x = _norm(tape, parameters, f"{own}norm.0", tape.call(gelu, gelu_vjp, x), config)
    skips = [
        _skip(tape, x, kind, parameters.get(own + key))
        for key, kind in (("skip.weight", config.fno_skip), ("mlp_skip.weight", config.channel_mlp_skip))
    ]
    source = tape.call(tanh, tanh_vjp, x) if config.stabilizer == "tanh" else x
    weights = _spectral(parameters, config, layer)
    options: dict[str, Any] = {"names": tuple(weights), "form": config.form(), "layer": layer}
    bias = parameters[own + "spectral.bias"]
    y = tape.call(spectral_convolution, spectral_convolution_vjp, source, bias, *weights.values(), **options)
    if not config.preactivation:
        y = _norm(tape, parameters, f"{own}norm.0", y, config)
    y = _sum(tape, y, skips[0])
    if activate:
        y = tape.call(gelu, gelu_vjp, y)
    if config.preactivation:
        y = _norm(tape, parameters, f"{own}norm.1", y, config)
    y = tape.call(channel_mlp, channel_mlp_vjp, y, *(parameters[f"{own}mlp.{key}"] for key in _MLP))
    y = _sum(tape, y, skips[1])
    if config.preactivation:
        return y
    y = _norm(tape, parameters, f"{own}norm.1", y, config)
    return tape.call(gelu, gelu_vjp, y) if activate else y


def _norm(tape: Tape, parameters: Mapping[str, Any], name: str, x: Any, config: FNOConfig) -> Any:
    if config.norm == "instance":
        return tape.call(instance_norm, instance_norm_vjp, x)
    if config.norm == "group":
        weight, bias = parameters[f"{name}.weight"], parameters[f"{name}.bias"]
        return tape.call(group_norm, group_norm_vjp, x, weight, bias)
    return x


def _skip(tape: Tape, x: Any, kind: str | None, weight: Any) -> Any:
    if kind == "linear":
        return tape.call(mix_channels, mix_channels_vjp, x, weight)
    if kind == "soft-gating":
        return tape.call(soft_gate, soft_gate_vjp, x, weight)
    return x if kind == "identity" else None


def _sum(tape: Tape, y: Any, skip: Any) -> Any:
    return y if skip is None else tape.call(add, add_vjp, y, skip)
