"""The arrays of state dicts of neuraloperator under our names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.errors import InvalidValueError
from sci.operators.fno.layers import IMAGINARY

__all__ = [
    "arrays_first",
    "require_shapes",
    "require_taken",
    "scale_coordinates",
    "spectral_weights",
    "take",
    "take_pointwise",
    "take_skip",
]

_CONV = "fno_blocks.convs.{}."
_SKIPS = {"skip": "fno_blocks.fno_skips.{}.", "mlp_skip": "fno_blocks.channel_mlp_skips.{}."}


def take_pointwise(
    left: dict[str, np.ndarray], layers: int, out: dict[str, np.ndarray], *, complex_data: bool = False
) -> dict[str, Any]:
    """Move perceptrons, skips and norms from `left` to `out`; return the options that they tell.

    Of complex data there are two of each, "fr" and "fi" in their names.
    """
    if complex_data:
        told: dict[str, Any] = {}
        for mark, prefix in ((".fr.", ""), (".fi.", IMAGINARY)):
            half = {n.replace(mark, "."): left.pop(n) for n in [n for n in left if mark in n]}
            found: dict[str, np.ndarray] = {}
            told = take_pointwise(half, layers, found)
            out.update({prefix + name: array for name, array in found.items()})
            require_taken(half, "an FNO of complex data")
        return told
    for layer in range(layers):
        _take_perceptron(left, f"fno_blocks.channel_mlp.{layer}", f"blocks.{layer}.mlp", out)
    for name in ("lifting", "projection"):
        _take_perceptron(left, name, name, out)
    return {**_skips(left, layers, out), **_norms(left, layers, out)}


def require_taken(left: Mapping[str, Any], what: str) -> None:
    """Raise InvalidValueError if arrays are left that a model of this kind does not have."""
    if left:
        raise InvalidValueError(f"arrays that are not those of {what}: {', '.join(sorted(left)[:5])}")


def arrays_first(found: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings after checking that they fit the skips and norms whose arrays were found."""
    for name, kind in found.items():
        told = settings.get(name, kind)
        if kind is not None and told != kind:
            raise InvalidValueError(f"arrays do not fit the options: {name} is {told!r}, the arrays are of {kind!r}")
    return dict(settings)


def scale_coordinates(parameters: dict[str, np.ndarray], boundaries: tuple[tuple[float, float], ...]) -> None:
    """Change the lifting so that coordinates from 0 to 1 act as those from a to b: w (a + (b - a) p) + bias."""
    weight, bias = (parameters[f"lifting.0.{name}"].copy() for name in ("weight", "bias"))
    columns = weight[:, -len(boundaries) :]
    first, last = np.array(boundaries, weight.dtype).T
    bias += columns @ first
    columns *= last - first
    parameters.update({"lifting.0.weight": weight, "lifting.0.bias": bias})


def take(left: dict[str, np.ndarray], name: str) -> np.ndarray:
    """Return an array taken out of `left`, or raise InvalidValueError if it is missing."""
    if name not in left:
        raise InvalidValueError(f"the state dict has no array {name}; expected that of an FNO of neuraloperator 2.0")
    return left.pop(name)


def _take_perceptron(left: dict[str, np.ndarray], theirs: str, ours: str, out: dict[str, np.ndarray]) -> None:
    for i in (0, 1):
        weight = take(left, f"{theirs}.fcs.{i}.weight")
        out[f"{ours}.{i}.weight"] = weight.reshape(weight.shape[:2])
        out[f"{ours}.{i}.bias"] = take(left, f"{theirs}.fcs.{i}.bias").reshape(-1)


def spectral_weights(
    left: dict[str, np.ndarray], layer: int, separable: bool = False
) -> tuple[str, tuple[int, ...], Any, dict[str, Any]]:
    """Return factorization, stored modes, ranks and our arrays of one layer."""
    prefix, channels = _CONV.format(layer) + "weight", 1 if separable else 2
    for dense in (f"{prefix}.tensor", prefix):
        if dense in left:
            weight = _complex(left.pop(dense))
            axes = tuple(range(channels))
            last = np.ascontiguousarray(np.moveaxis(weight, axes, [k - channels for k in axes]))
            return "dense", weight.shape[channels:], None, {"weight": last}
    count = sum(name.startswith(f"{prefix}.factors.factor_") for name in left)
    if count <= channels:
        raise InvalidValueError(f"the state dict has no arrays {prefix}.tensor or {prefix}.factors.*")
    factors = [_complex(left.pop(f"{prefix}.factors.factor_{j}")) for j in range(count)]
    named = {f"factor_{j}": factor for j, factor in enumerate(factors)}
    if factors[0].ndim == 3:
        named["factor_0"], named[f"factor_{count - 1}"] = factors[0][0], factors[-1][..., 0]
        ranks = tuple(int(factor.shape[2]) for factor in factors[:-1])
        return "tt", tuple(f.shape[1] for f in factors[channels:]), ranks, named
    modes = tuple(factor.shape[0] for factor in factors[channels:])
    if f"{prefix}.core" in left:
        core = _complex(left.pop(f"{prefix}.core"))
        return "tucker", modes, tuple(core.shape), {"core": core, **named}
    weights = _complex(take(left, f"{prefix}.weights"))
    return "cp", modes, int(weights.shape[0]), {"weights": weights, **named}


def _complex(array: np.ndarray) -> np.ndarray:
    """Return a weight as complex numbers; spherical convolutions store pairs of real and imaginary part."""
    if array.dtype.kind == "c":
        return array
    if array.shape[-1:] != (2,):
        raise InvalidValueError(f"a spectral weight has shape {array.shape} and dtype {array.dtype}; expected complex")
    return np.ascontiguousarray(array).view(np.complex64 if array.dtype == np.float32 else np.complex128)[..., 0]


def _skips(left: dict[str, np.ndarray], layers: int, out: dict[str, np.ndarray]) -> dict[str, Any]:
    """Take the skips out of `left`; return the kind of each that has arrays, and None for one that has none."""
    kinds: dict[str, Any] = {}
    for ours, option in (("skip", "fno_skip"), ("mlp_skip", "channel_mlp_skip")):
        kinds[option] = None
        for layer in range(layers):
            found = take_skip(left, _SKIPS[ours].format(layer), f"blocks.{layer}.{ours}.weight", out)
            kinds[option] = found or kinds[option]
    return kinds


def take_skip(left: dict[str, np.ndarray], prefix: str, name: str, out: dict[str, np.ndarray]) -> str | None:
    """Move a skip from `left` to `out`; return its kind, None for one without arrays."""
    if prefix + "conv.weight" in left:
        weight = left.pop(prefix + "conv.weight")
        out[name] = weight.reshape(weight.shape[:2])
        return "linear"
    if prefix + "weight" in left:
        out[name] = left.pop(prefix + "weight").reshape(-1)
        return "soft-gating"
    return None


def _norms(left: dict[str, np.ndarray], layers: int, out: dict[str, np.ndarray]) -> dict[str, Any]:
    if "fno_blocks.norm.0.weight" not in left:
        return {}
    for layer in range(layers):
        for i in (0, 1):
            for kind in ("weight", "bias"):
                out[f"blocks.{layer}.norm.{i}.{kind}"] = take(left, f"fno_blocks.norm.{2 * layer + i}.{kind}")
    return {"norm": "group"}


def require_shapes(parameters: Mapping[str, np.ndarray], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise InvalidValueError for arrays of other shapes than a model has."""
    wrong = [
        f"{name} {parameters[name].shape if name in parameters else 'is missing'}, expected {shape}"
        for name, shape in shapes.items()
        if name not in parameters or parameters[name].shape != shape
    ]
    if wrong:
        raise InvalidValueError(f"arrays do not fit the options: {'; '.join(wrong[:3])}")
