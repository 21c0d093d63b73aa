"""One block of an operator: as one fused op, or layer by layer if it normalizes, activates first or changes grids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sci.nn import add, gelu, group_norm, instance_norm, tanh
from sci.operators.fno.block import BlockSpec, block
from sci.operators.fno.config import OperatorConfig
from sci.operators.fno.layer import Layer
from sci.operators.fno.perceptron import channel_mlp
from sci.operators.fno.tiles import skip
from sci.operators.spectral.complex_fields import complex_spectral_convolution, times_i
from sci.operators.spectral.convolution import spectral_convolution
from sci.operators.spectral.misplaced import misplaced_convolution
from sci.operators.spectral.resample import resample
from sci.operators.spectral.sphere import spherical_convolution

__all__ = ["IMAGINARY", "complex_valued", "fused_block", "layered_block", "run_block"]

IMAGINARY = "imaginary."
"""Before the names of the second half of the real layers, in operators on complex fields."""
_MLP = ("0.weight", "0.bias", "1.weight", "1.bias")

Parameters = Mapping[str, Any]


def run_block(parameters: Parameters, x: Any, config: OperatorConfig, index: int, grid: tuple[int, ...]) -> Any:
    """Return the output of block `index` on `grid`."""
    layer = config.layers[index]
    if config.fused and grid == tuple(x.shape[2:]) and layer.in_channels == layer.out_channels:
        return fused_block(parameters, x, config, index)
    return layered_block(parameters, x, config, index, grid)


def _weights(parameters: Parameters, config: OperatorConfig, layer: Layer, index: int) -> dict[str, Any]:
    prefix = "spectral" if config.joint else f"blocks.{index}.spectral"
    return {name: parameters[f"{prefix}.{name}"] for name in layer.form.shapes()}


def fused_block(parameters: Parameters, x: Any, config: OperatorConfig, index: int) -> Any:
    """Return the output of block `index` as one op."""
    own, layer = f"blocks.{index}.", config.layers[index]
    arrays = {"bias": parameters[own + "spectral.bias"], **_weights(parameters, config, layer, index)}
    for name, key in (("skip", "skip.weight"), ("gate", "mlp_skip.weight")):
        if own + key in parameters:
            arrays[name] = parameters[own + key]
    names = ("mlp_0", "mlp_0_bias", "mlp_1", "mlp_1_bias")
    arrays.update({name: parameters[f"{own}mlp.{key}"] for name, key in zip(names, _MLP)})
    spec = BlockSpec(
        *(layer.form, tuple(arrays), index, config.fno_skip, config.channel_mlp_skip), activate=layer.activate
    )
    return block(x, *arrays.values(), spec=spec)


def layered_block(
    parameters: Parameters, x: Any, config: OperatorConfig, index: int, grid: tuple[int, ...] | None = None
) -> Any:
    """Return the output of block `index` on `grid`, one op for each of its layers; on the grid of `x` unless given."""
    own, layer = f"blocks.{index}.", config.layers[index]
    grid = tuple(x.shape[2:]) if grid is None else grid
    if config.preactivation:
        x = _norm(parameters, f"{own}norm.0", gelu(x), config)
    skips = [
        None if kind is None else resample(_skip(parameters, own + name, x, kind, config), grid, config.conventions)
        for name, kind in (("skip", config.fno_skip), ("mlp_skip", config.channel_mlp_skip))
    ]
    source = tanh(x) if config.stabilizer == "tanh" else x
    y = _convolution(parameters, source, config, index, grid)
    if not config.preactivation:
        y = _norm(parameters, f"{own}norm.0", y, config)
    y = _sum(y, skips[0])
    if layer.activate:
        y = gelu(y)
    if config.preactivation:
        y = _norm(parameters, f"{own}norm.1", y, config)
    y = perceptron(parameters, f"{own}mlp", y, config)
    y = _sum(y, skips[1])
    if config.preactivation:
        return y
    y = _norm(parameters, f"{own}norm.1", y, config)
    return gelu(y) if layer.activate else y


def _convolution(parameters: Parameters, x: Any, config: OperatorConfig, index: int, grid: tuple[int, ...]) -> Any:
    """Return the spectral convolution of block `index` on `grid`."""
    layer = config.layers[index]
    weights = _weights(parameters, config, layer, index)
    arrays = (parameters[f"blocks.{index}.spectral.bias"], *weights.values())
    options: dict[str, Any] = {"names": tuple(weights), "form": layer.form, "layer": index}
    if config.sphere is not None:
        return spherical_convolution(x, *arrays, **options, kind=config.sphere, orders=layer.n_modes[1] // 2)
    if config.complex_data:
        return complex_spectral_convolution(x, *arrays, **options, grid=grid, exact=config.conventions == "exact")
    if config.conventions == "neuraloperator" and grid != tuple(x.shape[2:]):
        return misplaced_convolution(x, *arrays, **options, grid=grid)
    return spectral_convolution(x, *arrays, **options, grid=grid)


def complex_valued(function: Callable[[str, Any], Any], x: Any, config: OperatorConfig) -> Any:
    """Return a real layer f of a field; of a complex one f(re) - g(im) + i (f(im) + g(re)) with a second layer g.

    Parameters
    ----------
    function : callable
        Takes the prefix of the parameters' names, and the field.
    x : array or variable
        Complex fields stacked, see `sci.operators.spectral.complex_fields`.
    config : OperatorConfig
    """
    if not config.complex_data:
        return function("", x)
    return add(function("", x), times_i(function(IMAGINARY, x)))


def perceptron(parameters: Parameters, name: str, x: Any, config: OperatorConfig) -> Any:
    """Return the perceptron over the channels whose parameters are named after `name`."""
    return complex_valued(
        lambda part, y: channel_mlp(y, *(parameters[f"{part}{name}.{key}"] for key in _MLP)), x, config
    )


def _skip(parameters: Parameters, name: str, x: Any, kind: str, config: OperatorConfig) -> Any:
    return complex_valued(lambda part, y: skip(y, kind, parameters.get(f"{part}{name}.weight")), x, config)


def _norm(parameters: Parameters, name: str, x: Any, config: OperatorConfig) -> Any:
    if config.norm == "instance":
        return complex_valued(lambda part, y: instance_norm(y), x, config)
    if config.norm == "group":
        return complex_valued(
            lambda part, y: group_norm(y, *(parameters[f"{part}{name}.{key}"] for key in ("weight", "bias"))), x, config
        )
    return x


def _sum(y: Any, skip: Any) -> Any:
    return y if skip is None else add(y, skip)
