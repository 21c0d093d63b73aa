"""The parameters of a Fourier neural operator: names, shapes, initial values, checks."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, require_finite, to_device
from sci.errors import InvalidValueError, ShapeError
from sci.nn import Role, WeightView, rescaled
from sci.operators.fno.config import OperatorConfig
from sci.operators.fno.layer import Layer
from sci.operators.fno.layers import IMAGINARY

__all__ = ["checked_parameters", "initial_parameters", "parameter_roles", "parameter_shapes"]


def parameter_shapes(config: OperatorConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, in the order in which they are drawn."""
    shapes, layers, widths = {}, config.layers, config.widths()
    shapes.update(_mlp_shapes("lifting", *widths["lifting"]))
    if config.joint:
        shapes.update({f"spectral.{name}": shape for name, shape in layers[0].form.shapes().items()})
    joins = config.horizontal()
    for index, layer in enumerate(layers):
        block, width = f"blocks.{index}", layer.out_channels
        if not config.joint:
            shapes.update({f"{block}.spectral.{name}": shape for name, shape in layer.form.shapes().items()})
        shapes[f"{block}.spectral.bias"] = (width,)
        for name, kind in (("skip", config.fno_skip), ("mlp_skip", config.channel_mlp_skip)):
            shapes.update(_skip_shape(f"{block}.{name}", kind, layer.in_channels, width))
        shapes.update(_mlp_shapes(f"{block}.mlp", width, round(config.channel_mlp_expansion * width), width))
        if config.norm == "group":
            shapes.update({f"{block}.norm.{i}.{name}": (width,) for i in (0, 1) for name in ("weight", "bias")})
        if index in joins.values():
            shapes.update(_skip_shape(f"horizontal.{index}", config.horizontal_skip, width, width))
    shapes.update(_mlp_shapes("projection", *widths["projection"]))
    if config.complex_data:
        shapes.update({IMAGINARY + name: shape for name, shape in shapes.items() if not _is_spectral(name)})
    return shapes


def _is_spectral(name: str) -> bool:
    """Whether a parameter is a spectral weight or the bias of a spectral convolution."""
    return ".spectral." in f".{name}"


def _skip_shape(name: str, kind: str | None, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    if kind not in ("linear", "soft-gating"):
        return {}
    return {f"{name}.weight": (outputs, inputs) if kind == "linear" else (outputs,)}


def _mlp_shapes(name: str, inputs: int, hidden: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.0.weight": (hidden, inputs),
        f"{name}.0.bias": (hidden,),
        f"{name}.1.weight": (outputs, hidden),
        f"{name}.1.bias": (outputs,),
    }


def parameter_roles(config: OperatorConfig) -> dict[str, Role]:
    """Return the role of every parameter by name."""
    shapes, roles, layers = parameter_shapes(config), {}, config.layers
    for name, shape in shapes.items():
        part, _, last = name.rpartition(".")
        layer = layers[0 if config.joint and name.startswith("spectral.") else _index(name)]
        if _is_gain(name, shape) or (config.separable and _is_spectral(name) and last != "bias"):
            roles[name] = Role("gain", 1, layer.out_channels)
        elif _is_spectral(name):
            roles[name] = _spectral_role(config, layer, last)
        else:
            fan_out, fan_in = shapes[f"{part}.weight"]
            kind: Any = {"lifting.0": "input", "projection.1": "output"}.get(part.removeprefix(IMAGINARY), "hidden")
            roles[name] = Role("bias" if last == "bias" else kind, fan_in, fan_out)
    return roles


def _spectral_role(config: OperatorConfig, layer: Layer, last: str) -> Role:
    if last == "bias":
        return Role("bias", layer.in_channels, layer.out_channels)
    invariant: WeightView | None = "layer" if config.norm == "instance" and not config.preactivation else None
    modes = layer.form.modes if config.sphere is not None else layer.n_modes
    return Role("spectral", layer.in_channels, layer.out_channels, modes, invariant)


def _index(name: str) -> int:
    """Return the block that a parameter belongs to; 0 for those of none."""
    parts = name.removeprefix(IMAGINARY).split(".")
    return int(parts[1]) if parts[0] in ("blocks", "horizontal") else 0


def _is_gain(name: str, shape: tuple[int, ...]) -> bool:
    return ".norm." in name or (name.endswith(".weight") and len(shape) == 1 and not _is_spectral(name))


def initial_parameters(config: OperatorConfig, rng: np.random.Generator, xp: ModuleType) -> dict[str, Array]:
    """Return random parameters: complex normal spectral weights, +-1/sqrt(fan in) uniform elsewhere, gates and norms 1.

    All are float32 and complex64, drawn in float64 on the host, the same on every device; a configuration with a base
    model rescales them by the maximal update rule.
    """
    layers = config.layers
    shapes, values = parameter_shapes(config), {}
    spectral: dict[str, Array] = {}
    for name, shape in shapes.items():
        last = name.rpartition(".")[2]
        layer = layers[0 if name.startswith("spectral.") else _index(name)]
        if _is_spectral(name) and last != "bias":
            spectral = spectral or layer.form.initialize(rng, np)
            values[name] = spectral.pop(last)
        elif _is_spectral(name):
            deviation = ((layer.in_channels + layer.out_channels) / 2) ** -0.5
            values[name] = rng.normal(0, deviation, shape)
        elif _is_gain(name, shape):
            values[name] = np.zeros(shape) if last == "bias" else np.ones(shape)
        else:
            fan_in = shape[1] if last == "weight" else shapes[name.removesuffix("bias") + "weight"][1]
            values[name] = rng.uniform(-(fan_in**-0.5), fan_in**-0.5, shape)
    base = config.base()
    if base is not None:
        values = rescaled(values, parameter_roles(config), parameter_roles(base))
    return {
        name: to_device(value.astype(np.complex64 if value.dtype.kind == "c" else np.float32), xp)
        for name, value in values.items()
    }


def checked_parameters(parameters: Mapping[str, Array], config: OperatorConfig) -> dict[str, Array]:
    """Return the parameters in their order, after checking names, shapes and values.

    Raises
    ------
    InvalidValueError, ShapeError
    """
    shapes = parameter_shapes(config)
    missing, extra = sorted(set(shapes) - set(parameters)), sorted(set(parameters) - set(shapes))
    if missing or extra:
        raise InvalidValueError(
            f"the parameters do not fit the model: missing {missing[:5] or 'none'}, unknown {extra[:5] or 'none'}"
        )
    for name, shape in shapes.items():
        if tuple(parameters[name].shape) != shape:
            raise ShapeError(f"parameter {name} has shape {tuple(parameters[name].shape)}; expected {shape}")
        require_finite(parameters[name], f"parameter {name}")
    return {name: parameters[name] for name in shapes}
