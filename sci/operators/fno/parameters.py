"""The parameters of a Fourier neural operator: names, shapes, initial values, checks."""

from __future__ import annotations

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import Array, require_finite, to_device
from sci.errors import InvalidValueError, ShapeError
from sci.nn import Role, WeightView, rescaled
from sci.operators.fno.config import FNOConfig

__all__ = ["checked_parameters", "initial_parameters", "parameter_roles", "parameter_shapes"]


def parameter_shapes(config: FNOConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, in the order in which they are drawn."""
    form, width, shapes = config.form(), config.hidden_channels, {}
    widths = config.widths()
    shapes.update(_mlp_shapes("lifting", *widths["lifting"]))
    if config.joint:
        shapes.update({f"spectral.{name}": shape for name, shape in form.shapes().items()})
    for layer in range(config.n_layers):
        block = f"blocks.{layer}"
        if not config.joint:
            shapes.update({f"{block}.spectral.{name}": shape for name, shape in form.shapes().items()})
        shapes[f"{block}.spectral.bias"] = (width,)
        for name, kind in (("skip", config.fno_skip), ("mlp_skip", config.channel_mlp_skip)):
            if kind in ("linear", "soft-gating"):
                shapes[f"{block}.{name}.weight"] = (width, width) if kind == "linear" else (width,)
        shapes.update(_mlp_shapes(f"{block}.mlp", *widths["mlp"]))
        if config.norm == "group":
            shapes.update({f"{block}.norm.{i}.{name}": (width,) for i in (0, 1) for name in ("weight", "bias")})
    shapes.update(_mlp_shapes("projection", *widths["projection"]))
    return shapes


def _mlp_shapes(name: str, inputs: int, hidden: int, outputs: int) -> dict[str, tuple[int, ...]]:
    return {
        f"{name}.0.weight": (hidden, inputs),
        f"{name}.0.bias": (hidden,),
        f"{name}.1.weight": (outputs, hidden),
        f"{name}.1.bias": (outputs,),
    }


def parameter_roles(config: FNOConfig) -> dict[str, Role]:
    """Return the role of every parameter by name."""
    width, shapes, roles = config.hidden_channels, parameter_shapes(config), {}
    invariant: WeightView | None = "layer" if config.norm == "instance" and not config.preactivation else None
    for name, shape in shapes.items():
        layer, _, last = name.rpartition(".")
        if ".norm." in name or (name.endswith("skip.weight") and len(shape) == 1):
            roles[name] = Role("gain", 1, width)
        elif ".spectral." in f".{name}" and last != "bias":
            roles[name] = Role("spectral", width, width, config.n_modes, invariant)
        elif name.endswith("spectral.bias"):
            roles[name] = Role("bias", width, width)
        else:
            fan_out, fan_in = shapes[f"{layer}.weight"]
            kind: Any = {"lifting.0": "input", "projection.1": "output"}.get(layer, "hidden")
            roles[name] = Role("bias" if last == "bias" else kind, fan_in, fan_out)
    return roles


def initial_parameters(config: FNOConfig, rng: np.random.Generator, xp: ModuleType) -> dict[str, Array]:
    """Return random parameters: complex normal spectral weights, +-1/sqrt(fan in) uniform elsewhere, gates and norms 1.

    All are float32 and complex64, drawn in float64 on the host, the same on every device; a configuration with a base
    model rescales them by the maximal update rule.
    """
    form, width = config.form(), config.hidden_channels
    shapes, values = parameter_shapes(config), {}
    spectral: dict[str, Array] = {}
    for name, shape in shapes.items():
        last = name.rpartition(".")[2]
        if ".spectral." in f".{name}" and last != "bias":
            spectral = spectral or form.initialize(rng, np)
            values[name] = spectral.pop(last)
        elif name.endswith("spectral.bias"):
            values[name] = rng.normal(0, width**-0.5, shape)
        elif ".norm." in name or (name.endswith("skip.weight") and len(shape) == 1):
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


def checked_parameters(parameters: Mapping[str, Array], config: FNOConfig) -> dict[str, Array]:
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
