"""The parameters of a U-Net: names, shapes, roles and initial values, each said by the layer that makes it."""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from sci.backend import Array
from sci.nn.roles import Kind, Role
from sci.nn.unet.config import UNetConfig

__all__ = ["Entry", "initial_parameters", "initial_statistics", "layout"]

SLOPE = 0.01
"""Of the leaky ReLU behind a norm."""
REDUCTION = 16
"""Channels of a skip over those of the hidden layer that computes its factors."""


class Entry(NamedTuple):
    """One parameter."""

    shape: tuple[int, ...]
    role: Role
    start: Literal["normal", "zeros", "ones"]


def _weights(name: str, inputs: int, outputs: int, kind: Kind, taps: tuple[int, ...] = ()) -> dict[str, Entry]:
    """Return weight and bias of a convolution of all channels; without taps, of a matrix in every cell."""
    fan_in = inputs * math.prod(taps)
    return {
        f"{name}.weight": Entry((outputs, inputs, *taps), Role(kind, fan_in, outputs), "normal"),
        f"{name}.bias": Entry((outputs,), Role("bias", fan_in, outputs), "zeros"),
    }


def _convolution(config: UNetConfig, name: str, inputs: int, outputs: int, kind: Kind) -> dict[str, Entry]:
    """Return the parameters of a convolution behind which a norm stands."""
    taps = (config.kernel,) * config.axes
    if config.separable:
        # Each channel sums its own taps, whose number does not grow with the width.
        depthwise = Entry((inputs, 1, *taps), Role("input", math.prod(taps), inputs), "normal")
        return {f"{name}.taps": depthwise, **_weights(name, inputs, outputs, kind)}
    found = _weights(name, inputs, outputs, kind, taps)
    if config.norm == "instance":  # which takes off bias and scale of each channel
        entry = found[f"{name}.weight"]
        role = Role(entry.role.kind, entry.role.fan_in, outputs, scale_invariant="channel")
        found[f"{name}.weight"] = entry._replace(role=role)
    return found


def _norm(config: UNetConfig, name: str, channels: int) -> dict[str, Entry]:
    gain = Role("gain", 1, channels)
    found = {f"{name}.gate": Entry((channels,), gain, "ones")} if config.norm.startswith("evonorm") else {}
    zeros = Entry((channels,), Role("bias", 1, channels), "zeros")
    return {**found, f"{name}.weight": Entry((channels,), gain, "ones"), f"{name}.bias": zeros}


def _stage(config: UNetConfig, name: str, inputs: int, outputs: int, depth: int, kind: Kind) -> dict[str, Entry]:
    """Return the parameters of the residual blocks of a stage; the first has a matrix in its shortcut."""
    found: dict[str, Entry] = {}
    for block in range(depth):
        at = f"{name}.{block}"
        found |= _convolution(config, f"{at}.conv1", inputs, outputs, kind) | _norm(config, f"{at}.norm1", outputs)
        found |= _convolution(config, f"{at}.conv2", outputs, outputs, "hidden") | _norm(config, f"{at}.norm2", outputs)
        if block == 0:
            found |= _weights(f"{at}.shortcut", inputs, outputs, kind)
        if config.embedding:
            found |= _weights(f"{at}.embedding", config.embedding, outputs, "input")
        inputs, kind = outputs, "hidden"
    return found


def layout(config: UNetConfig) -> dict[str, Entry]:
    """Return shape, role and start of every parameter by name, in the order in which they are drawn."""
    widths, depths = config.channels, config.depths
    found: dict[str, Entry] = {}
    inputs, kind = config.in_channels, "input"
    for stage, (width, depth) in enumerate(zip(widths, depths)):  # type: ignore[arg-type]
        found |= _stage(config, f"encoder.{stage}", inputs, width, depth, kind)  # type: ignore[arg-type]
        inputs, kind = width, "hidden"
    for level in reversed(range(len(widths) - 1)):
        width = widths[level]
        found |= _weights(f"decoder.{level}.mix", widths[level + 1], width, "hidden")
        if config.skip_scaling == "learned":
            narrow = max(1, width // REDUCTION)
            found |= _weights(f"decoder.{level}.squeeze", width, narrow, "hidden")
            found |= _weights(f"decoder.{level}.excite", narrow, width, "hidden")
        found |= _stage(config, f"decoder.{level}", 2 * width, width, depths[level], "hidden")  # type: ignore[index]
        if level == 0 or config.deep_supervision:
            found |= _weights(f"heads.{level}", width, config.out_channels, "output")
    return found


def initial_parameters(config: UNetConfig, rng: np.random.Generator, dtype: Any) -> dict[str, Array]:
    """Return weights of deviation sqrt(2 / ((1 + slope^2) fan in)), biases of zero and gains of one."""
    found: dict[str, Array] = {}
    for name, (shape, role, start) in layout(config).items():
        if start == "normal":
            deviation = math.sqrt(2 / ((1 + SLOPE**2) * role.fan_in))
            found[name] = (deviation * rng.standard_normal(shape)).astype(dtype)
        else:
            found[name] = np.full(shape, float(start == "ones"), dtype)
    return found


def initial_statistics(config: UNetConfig, dtype: Any) -> dict[str, Array]:
    """Return the running variances before the first batch; none for norms that have none."""
    if config.norm != "evonorm_b0":
        return {}
    found: dict[str, Array] = {}
    for name, entry in layout(config).items():
        if name.endswith(".gate"):
            at = name.removesuffix("gate")
            found |= {f"{at}variance": np.ones(entry.shape, dtype), f"{at}count": np.zeros(1, dtype)}
    return found
