"""The spectral convolution: transform, mix the channels of every kept mode, synthesize; as an op and as a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, Device, namespace, namespace_of
from sci.nn import op
from sci.nn.core.coded import decoded
from sci.operators.spectral.complex_fields import complex_spectral_convolution, joined, stacked
from sci.operators.spectral.mixing import mix_backward, mix_synthesize, mixes_at_once
from sci.operators.spectral.modes import check_field, check_modes, column_weights, kept_modes, stored_modes
from sci.operators.spectral.transform import (
    field_of_rows,
    synthesize_lines,
    synthesize_modes,
    synthesize_rows,
    transform_modes,
)
from sci.operators.spectral.weights import WeightFormat

__all__ = ["SpectralConv", "mixed_rows", "mixed_spectrum", "spectral_convolution", "spectral_gradients"]


def _spectral_convolution_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `spectral_convolution`.

    With F the transform, P the number of points and c the weights of columns: dY = P c F(dout), dW[i, o, k] =
    sum_b conj(X) dY, and dx is the field of conj(W) dY / (P c): the layer itself with W conjugated and transposed.
    """
    return spectral_gradients(dout, residuals)


def spectral_gradients(dout: Array, residuals: Any, added: Array | None = None) -> tuple[Array, ...]:
    """Return the gradients of `spectral_convolution`; `added`, a field that may change, is added to that of `x`."""
    mixing, form, kept, source, names = residuals
    xp = namespace(dout)
    spectrum = transform_modes(dout, kept)
    if tuple(source) == tuple(dout.shape[2:]) and mixes_at_once(dout, form, kept, mixing[0]):
        lines, dweight, dbias = mix_backward(mixing[0]["X"], spectrum, mixing[0]["weight"], source)
        return field_of_rows(synthesize_lines(lines, source), source, added), dbias, dweight
    dbias = spectrum[_zero(kept)].real.sum(axis=0) * float(np.prod(dout.shape[2:]))
    scales = [
        xp.asarray(np.prod(shape) * column_weights(shape, kept, np.float64)).astype(dout.dtype)[:, None, None]
        for shape in (dout.shape[2:], source)
    ]
    dspectrum, gradients = form.mix_vjp(spectrum * scales[0], mixing)
    dx = synthesize_modes(dspectrum / scales[1], source)
    if added is not None:
        dx += added
    return (dx, dbias.astype(dout.dtype), *(gradients[name] for name in names))


def _spectral_convolution_coded(x: Array, bias: Array, *weights: Any, **options: Any) -> Array:
    """Return the value for weights that are codes."""
    found: Array = spectral_convolution.forward(decoded(x), decoded(bias), *weights, **options)[0]
    return found


@op(vjp=_spectral_convolution_vjp, coded=_spectral_convolution_coded)
def spectral_convolution(
    x: Array,
    bias: Array,
    *weights: Array,
    names: tuple[str, ...],
    form: WeightFormat,
    layer: int = 0,
    grid: Sequence[int] | None = None,
) -> tuple[Array, Any]:
    """Return y[b, o] = bias[o] + the field of Y[b, o, k] = sum_i X[b, i, k] W[i, o, k], X the transform of x.

    Parameters
    ----------
    x : (batch, in, *grid) float array
    bias : (out,) array
    *weights : arrays
        Parameters of `form`, in the order of `names`, complex.
    names, form, layer
        See `WeightFormat.mix`.
    grid : sequence of int, optional
        Grid of the result, if it is not that of `x`: the same function on other points.

    Notes
    -----
    Kept for the derivative: the truncated spectrum, not the field. The derivative costs two transforms more.
    """
    target = tuple(grid or x.shape[2:])
    mixed, residuals = mixed_spectrum(x, bias, *weights, names=names, form=form, layer=layer, grid=target)
    return synthesize_modes(mixed, target), residuals


def mixed_spectrum(
    x: Array,
    bias: Array,
    *weights: Array,
    names: tuple[str, ...],
    form: WeightFormat,
    layer: int,
    grid: tuple[int, ...],
) -> tuple[Array, Any]:
    """Return the spectrum (*kept, batch, out) of `spectral_convolution`, and its residuals."""
    kept = kept_modes((*form.modes[:-1], 2 * form.modes[-1] - 1), x.shape[2:], grid)
    mixed, residuals = form.mix(transform_modes(x, kept), dict(zip(names, weights)), layer)
    mixed[_zero(kept)] += bias
    return mixed, (residuals, form, kept, x.shape[2:], names)


def mixed_rows(
    x: Array, bias: Array, *weights: Array, names: tuple[str, ...], form: WeightFormat, layer: int
) -> tuple[tuple[Array, Array], Any]:
    """Return the factors of the field of `spectral_convolution`, as of `synthesize_rows`, and its residuals."""
    given, grid = dict(zip(names, weights)), x.shape[2:]
    kept = kept_modes((*form.modes[:-1], 2 * form.modes[-1] - 1), grid, grid)
    if not mixes_at_once(x, form, kept, given):
        mixed, residuals = mixed_spectrum(x, bias, *weights, names=names, form=form, layer=layer, grid=grid)
        return synthesize_rows(mixed, grid), residuals
    spectrum, weight = transform_modes(x, kept), given["weight"]
    values = {"X": spectrum, "weight": weight}
    rows = synthesize_lines(mix_synthesize(spectrum, weight, bias, grid[0]), grid)
    return rows, ((values, {"weight": weight.shape}, kept, layer), form, kept, grid, names)


def _zero(kept: Sequence[int]) -> tuple[int, ...]:
    """Return the index of wavenumber 0: a constant added there is added to the field."""
    return (*(m // 2 for m in kept[:-1]), 0)


@entry
@dataclass(frozen=True, repr=False)
class SpectralConv:
    """A spectral convolution with its parameters.

    Parameters
    ----------
    parameters : dict of arrays
        "bias" and those of the weights.
    form : WeightFormat

    Examples
    --------
    >>> import numpy as np
    >>> from sci.operators import SpectralConv
    >>> layer = SpectralConv.create(2, 3, n_modes=(8, 8), factorization="tucker", rank_fraction=0.2)
    >>> layer(np.zeros((1, 2, 15, 16), np.float32)).shape
    (1, 3, 15, 16)
    """

    parameters: Mapping[str, Array]
    form: WeightFormat

    def __repr__(self) -> str:
        """Return channels, modes, format and bytes."""
        form, n_bytes = self.form, sum(int(p.nbytes) for p in self.parameters.values())
        weights = f"{form.factorization} {form.ranks() or ''}".strip()
        return (
            f"SpectralConv({form.in_channels} -> {form.out_channels} channels, {form.modes} stored modes, {weights}, "
            f"{n_bytes / 1e3:,.1f} kB)"
        )

    @classmethod
    def create(
        cls,
        in_channels: int,
        out_channels: int,
        n_modes: Sequence[int],
        *,
        factorization: str = "dense",
        rank_fraction: float = 1.0,
        tensor_rank: int | tuple[int, ...] | None = None,
        separable: bool = False,
        complex_data: bool = False,
        seed: int | np.random.Generator = 0,
        device: Device = "cpu",
    ) -> SpectralConv:
        """Return a layer with random parameters.

        Parameters
        ----------
        in_channels, out_channels : int
            Channels of the input and of the output.
        n_modes : sequence of int
            Total number of wavenumbers along each axis, of both signs; n // 2 + 1 columns along the last.
        factorization : "dense", "tucker", "cp" or "tt"
        rank_fraction : float
            Share of the dense parameters, from which the ranks follow.
        tensor_rank : int or tuple of int, optional
            The ranks themselves, in place of `rank_fraction`.
        separable : bool
            One number for each channel and mode: channels are not mixed.
        complex_data : bool
            For complex fields: wavenumbers of both signs along the last axis, too, none of them given by symmetry.
        seed : int or numpy Generator
        device : "cpu" or "cuda"
        """
        modes = check_modes(n_modes) if complex_data else stored_modes(check_modes(n_modes))
        kinds: dict[str, Any] = {"separable": separable, "complex_data": complex_data}
        form = WeightFormat(in_channels, out_channels, modes, factorization, rank_fraction, tensor_rank, **kinds)
        xp, rng = namespace_of(device), np.random.default_rng(seed)
        parameters = form.initialize(rng, xp)
        bias = rng.normal(0, (2 / (in_channels + out_channels)) ** 0.5, out_channels)
        return cls({"bias": xp.asarray(bias.astype(np.float32)), **parameters}, form)

    def forward(self, parameters: Mapping[str, Array], x: Array, grid: Sequence[int] | None = None) -> Any:
        """Return the layer's output with `parameters`, arrays or variables."""
        names = tuple(self.form.shapes())
        weights = [parameters[name] for name in names]
        options: dict[str, Any] = {"names": names, "form": self.form, "grid": grid}
        if self.form.complex_data:
            return joined(complex_spectral_convolution(stacked(x), parameters["bias"], *weights, **options))
        return spectral_convolution(x, parameters["bias"], *weights, **options)

    def __call__(self, x: Array, grid: Sequence[int] | None = None) -> Array:
        """Return the output for `x` (batch, in, *grid), on `grid` if it is given, in the dtype of `x`."""
        check_field(x, self.form.in_channels, len(self.form.modes), complex_data=self.form.complex_data)
        return self.forward(as_dtype(self.parameters, x.real.dtype), x, grid)


def as_dtype(parameters: Mapping[str, Any], dtype: Any) -> dict[str, Any]:
    """Return parameters of the precision of `dtype`, float32 or float64; complex ones stay complex."""
    of_complex = np.complex64 if dtype == np.float32 else np.complex128
    return {
        name: value.astype(of_complex if value.dtype.kind == "c" else dtype, copy=False)
        for name, value in parameters.items()
    }
