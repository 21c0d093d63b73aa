"""The transformer of next-scale prediction: blocks whose norms follow the condition, and bounded scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from sci.backend import Array, Device, namespace, to_device
from sci.generative.next_scale.conditions import Condition
from sci.generative.next_scale.config import NextScaleConfig
from sci.nn import (
    add,
    embedding,
    exp,
    initial_normal,
    layer_norm,
    linear,
    minimum,
    multiply,
    reshape,
    select,
    silu,
    value_of,
)
from sci.sequence import parallel_attention, parallel_mlp, simple_rms_norm

__all__ = ["Attend", "initial_parameters", "logits_of"]

Attend = Callable[[int, Any, Any, Any], Any]
"""Takes the number of a layer, q, k and v (batch, heads, n, head_dim), and returns the mixed values; scale 1."""

_LARGEST_SCALE = math.log(100.0)


def initial_parameters(config: NextScaleConfig, seed: int, dtype: Any, device: Device) -> dict[str, Array]:
    """Return random parameters, the same for the same seed; at first, norms do not depend on the condition."""
    rng, parameters = np.random.default_rng(seed), {}
    for name, shape in config.shapes().items():
        std = _std(name, shape, config.layers)
        parameters[name] = initial_normal(rng, shape, std, dtype=dtype, device=device)
        if name.endswith("attention.scale"):
            parameters[name] += math.log(4.0)
        elif name.endswith("norm.bias") and name != "head.norm.bias":
            for gate in (2, 5):
                parameters[name][gate * config.width : (gate + 1) * config.width] = 1.0
    return parameters


def _std(name: str, shape: tuple[int, ...], layers: int) -> float:
    last = name.rpartition(".")[2]
    if "bias" in last or ".norm." in name or last == "scale":
        return 0.0
    if last in ("start", "position", "level") or name == "condition.labels":
        return 0.3
    residual = math.sqrt(2 * layers) if last in ("o", "down") else 1.0
    return 1 / (math.sqrt(shape[-1]) * residual)


def logits_of(
    config: NextScaleConfig,
    weights: Mapping[str, Any],
    inputs: Array,
    places: Array,
    condition: Condition,
    keep: Array | None,
    attend: Attend,
) -> Any:
    """Return the logits (n, tokens, vocabulary) of some tokens of each sample.

    Parameters
    ----------
    config : NextScaleConfig
    weights : mapping
        Parameters, as arrays or variables.
    inputs : (n, tokens, channels) array
        What is known of the latent at each token from the coarser scales; zeros at the first scale.
    places : (tokens,) int array
        Where the tokens stand in the sequence of all scales.
    condition : Condition
        With the context of these tokens.
    keep : (n,) array, optional
        1 for samples that are drawn for their condition, 0 for those drawn without; all are, unless given.
    attend : callable
    """
    xp, dtype = namespace(inputs), inputs.dtype
    about = _about(weights, condition, keep, len(inputs), xp, dtype)
    levels = to_device(config.levels, xp)[places]
    x = add(linear(inputs, weights["input"]), embedding(weights["position"], places))
    x = add(x, embedding(weights["level"], levels))
    if condition.context is not None:
        shown = linear(condition.context, weights["condition.context"])
        x = add(x, shown if keep is None else multiply(shown, keep[:, None, None]))
    first = (places < config.blocks[0]).astype(dtype)[:, None]
    x = add(x, multiply(reshape(about, shape=(len(inputs), 1, config.width)), first))
    active = silu(about)
    for layer in range(config.layers):
        x = _block(config, weights, layer, x, active, attend)
    scale, shift = _shifts(weights, "head", active, 2)
    return linear(_modulated(x, scale, shift), weights["head.weight"], weights["head.bias"])


def _about(weights: Mapping[str, Any], condition: Condition, keep: Array | None, n: int, xp: Any, dtype: Any) -> Any:
    """Return the vector of the condition of each sample, (n, width): that of none, and what the condition adds."""
    start = multiply(reshape(weights["start"], shape=(1, -1)), xp.ones((n, 1), dtype))
    parts = []
    if condition.labels is not None:
        parts.append(embedding(weights["condition.labels"], condition.labels))
    if condition.features is not None:
        parts.append(linear(condition.features, weights["condition.features"]))
    for part in parts:
        start = add(start, part if keep is None else multiply(part, keep[:, None]))
    return start


def _shifts(weights: Mapping[str, Any], of: str, active: Any, count: int) -> list[Any]:
    """Return the factors and summands of a block, (n, 1, width) each."""
    found = linear(active, weights[f"{of}.norm.weight"], weights[f"{of}.norm.bias"])
    n, width = value_of(found).shape
    found = reshape(found, shape=(n, count, 1, width // count))
    return [select(found, index=(slice(None), k)) for k in range(count)]


def _modulated(x: Any, scale: Any, shift: Any) -> Any:
    """Return (1 + scale) norm(x) + shift."""
    value = value_of(x)
    xp, width = namespace(value), value.shape[-1]
    unit = layer_norm(x, xp.ones(width, value.dtype), xp.zeros(width, value.dtype))
    return add(multiply(unit, add(scale, value.dtype.type(1))), shift)


def _block(config: NextScaleConfig, weights: Mapping[str, Any], layer: int, x: Any, active: Any, attend: Attend) -> Any:
    """Return x + gate attention(norm x), and then x + gate MLP(norm x), with norms and gates of the condition."""
    scale, shift, gate, scale2, shift2, gate2 = _shifts(weights, str(layer), active, 6)
    own = {key: _named(weights, f"{layer}.{key}.") for key in ("attention", "mlp")}
    head_dim = config.width // config.heads

    def attend_bounded(q: Any, k: Any, v: Any) -> Any:
        # Of vectors of length sqrt(d): the scores are cosines times a learned factor of the head.
        factor = multiply(exp(minimum(own["attention"]["scale"], value_of(q).dtype.type(_LARGEST_SCALE))), 1 / head_dim)
        return attend(layer, multiply(simple_rms_norm(q), factor), simple_rms_norm(k), v)

    y = parallel_attention(own["attention"], _modulated(x, scale, shift), attend_bounded, head_dim)
    x = add(x, multiply(y, gate))
    return add(x, multiply(parallel_mlp(own["mlp"], _modulated(x, scale2, shift2)), gate2))


def _named(weights: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {name.removeprefix(prefix): w for name, w in weights.items() if name.startswith(prefix)}
