"""Which op of a model uses which parameter, and the inputs that it is multiplied with."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.nn import convolve, gelu, pointwise_conv
from sci.nn.core.coded import CodedArray, decoded
from sci.nn.core.op import around_ops
from sci.operators.fno.block import BlockSpec
from sci.operators.fno.tiles import skip
from sci.operators.spectral.convolution import spectral_convolution
from sci.operators.spectral.modes import column_weights, kept_modes
from sci.operators.spectral.transform import transform_modes
from sci.operators.spectral.weights import WeightFormat

__all__ = ["Enough", "NamedWeight", "Rows", "Spectrum", "run_with", "uses_of"]


class NamedWeight(CodedArray):
    """A parameter with its name, which ops see as an argument."""

    def __init__(self, name: str, held: Any) -> None:
        self.name, self.held = name, held
        self.shape, self.dtype, self.nbytes = tuple(held.shape), held.dtype, int(held.nbytes)

    def decode(self) -> Array:
        """Return the array."""
        return decoded(self.held)

    def astype(self, dtype: Any, copy: bool = True) -> NamedWeight:
        """Return the parameter in another precision, of the same name."""
        return self if np.dtype(dtype) == self.dtype else NamedWeight(self.name, self.held.astype(dtype))


@dataclass(frozen=True)
class Rows:
    """A use of a weight as a matrix: its rows times rows of inputs.

    Parameters
    ----------
    name : str
        Of the parameter.
    x : (n, columns) array
        The inputs.
    """

    name: str
    x: Array

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the parameters that are learned together."""
        return (self.name,)


@dataclass(frozen=True)
class Spectrum:
    """A use of spectral weights: Y[k, b, o] = sum_i x[k, b, i] W[k, i, o].

    Parameters
    ----------
    names : dict str -> str
        Name in the format -> name of the parameter.
    x : (*modes, batch, in) complex array
        Spectra of the inputs times the root of the weight of a column, 0 where a mode is not used: sums of squares are
        means over the grid.
    form : WeightFormat
    layer : int
        Row of joint weights.
    """

    names: Mapping[str, str]
    x: Array
    form: WeightFormat
    layer: int

    @property
    def key(self) -> tuple[str, ...]:
        """Names of the parameters that are learned together."""
        return tuple(self.names.values())


class Enough(Exception):
    """Ends a pass of a model: what was to be seen has been."""


def run_with(call: Callable[[], Any], see: Callable[[str, tuple[Any, ...], dict[str, Any]], None]) -> None:
    """Call a model; let `see` have name, arguments and options of each op that gets a `NamedWeight`."""

    def around(name: str, inner: Any) -> Any:
        args, options = inner.args
        if any(isinstance(a, NamedWeight) for a in args):
            see(name, args, options)
        with around_ops(None):
            return inner()

    try:
        with around_ops(around):
            call()
    except Enough:
        pass


def uses_of(op: str, args: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[Rows | Spectrum]:
    """Yield the uses of named weights in a call of an op; none for ops that are not linear in a weight by a known rule.

    Fused ops, which multiply several weights one after the other, are computed up to each of them.
    """
    if op in _RULES:
        yield from _RULES[op](args, options)


def _is_matrix(weight: Any, ndim: int = 2) -> bool:
    return isinstance(weight, NamedWeight) and len(weight.shape) == ndim


def _points(x: Array) -> Array:
    """Return a field (batch, channels, *grid) as (points, channels)."""
    flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    return namespace(x).moveaxis(flat, 1, 2).reshape(-1, x.shape[1])


def _linear(args: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[Rows]:
    x, weight = decoded(args[0]), args[1]
    if _is_matrix(weight):
        yield Rows(weight.name, x.reshape(-1, x.shape[-1]))


def _pointwise(args: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[Rows]:
    if _is_matrix(args[1]):
        yield Rows(args[1].name, _points(decoded(args[0])))


def _perceptron(args: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[Rows]:
    x, w0, b0, w1, _ = args
    x = decoded(x)
    if _is_matrix(w0):
        yield Rows(w0.name, _points(x))
    if _is_matrix(w1):
        yield Rows(w1.name, _points(gelu(pointwise_conv(x, decoded(w0), decoded(b0)))))


def _convolution(args: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[Rows]:
    x, weight = decoded(args[0]), args[1]
    if isinstance(weight, NamedWeight) and options.get("groups", 1) == 1 and x.dtype.kind == "f":
        inputs, taps = weight.shape[1], weight.shape[2:]
        each = namespace(x).eye(inputs * math.prod(taps), dtype=x.dtype).reshape(-1, inputs, *taps)
        yield Rows(weight.name, _points(convolve(x, each, **options)))


def _spectral(args: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[Spectrum]:
    x, _, *weights = args
    x = decoded(x)
    named = all(isinstance(w, NamedWeight) for w in weights)
    form: WeightFormat = options["form"]
    if not named or form.separable or form.complex_data:
        return
    target = tuple(options.get("grid") or x.shape[2:])
    kept = kept_modes((*form.modes[:-1], 2 * form.modes[-1] - 1), x.shape[2:], target)
    root = np.sqrt(column_weights(target, kept, np.float64)).astype(x.dtype)
    xp = namespace(x)
    spectrum = transform_modes(x, kept) * xp.asarray(root)[:, None, None]
    whole = xp.zeros((*form.modes, *spectrum.shape[-2:]), spectrum.dtype)
    whole[form.window(kept)] = spectrum
    names = {name: w.name for name, w in zip(options["names"], weights)}
    yield Spectrum(names, whole, form, options.get("layer", 0) if form.layers else 0)


def _block(args: tuple[Any, ...], options: Mapping[str, Any]) -> Iterator[Rows | Spectrum]:
    spec: BlockSpec = options["spec"]
    x, arrays = decoded(args[0]), dict(zip(spec.names, args[1:]))
    plain = {name: decoded(a) for name, a in arrays.items()}
    own: dict[str, Any] = {"names": spec.weights, "form": spec.form, "layer": spec.layer}
    yield from _spectral((x, plain["bias"], *(arrays[n] for n in spec.weights)), own)
    for name in ("skip", "gate"):
        if _is_matrix(arrays.get(name)):
            yield Rows(arrays[name].name, _points(x))
    v = spectral_convolution(x, plain["bias"], *(plain[n] for n in spec.weights), **own)
    if spec.fno_skip is not None:
        v = v + skip(x, spec.fno_skip, plain.get("skip"))
    v = gelu(v) if spec.activate else v
    mlp = [arrays[f"mlp_{k}{end}"] for k in (0, 1) for end in ("", "_bias")]
    yield from _perceptron((v, *mlp), {})


_RULES: dict[str, Callable[[tuple[Any, ...], Mapping[str, Any]], Iterator[Rows | Spectrum]]] = {
    "linear": _linear,
    "pointwise_conv": _pointwise,
    "channel_mlp": _perceptron,
    "convolve": _convolution,
    "spectral_convolution": _spectral,
    "block": _block,
}
