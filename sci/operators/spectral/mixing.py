"""Dense weights over modes on a device: one launch mixes a spectrum and synthesizes its first axis, one goes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sci.backend import Array, is_device_array, namespace
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.nn.core.coded import CodedArray
from sci.operators.spectral.modes import column_weights
from sci.operators.spectral.waves import wave_matrix
from sci.operators.spectral.weights import WeightFormat

__all__ = [
    "mix_backward",
    "mix_backward_reference",
    "mix_synthesize",
    "mix_synthesize_reference",
    "mixes_at_once",
]

_SOURCE = "nn/steps.cu"
_MIXED = 1024
"""Wavenumbers of the first axis times channels for which a block has room."""
_CHUNK = 32


def mixes_at_once(x: Array, form: WeightFormat, kept: Sequence[int], weights: Mapping[str, Any]) -> bool:
    """Return True if the kernels of this module mix the channels of `x` (batch, channel, *grid)."""
    if not is_device_array(x) or len(kept) < 2 or str(x.dtype) not in ("float32", "float64"):
        return False
    dense = form.factorization == "dense" and not form.separable and not form.complex_data
    if not dense or tuple(kept) != form.modes or isinstance(weights.get("weight"), CodedArray):
        return False
    fits = kept[0] * max(form.in_channels, form.out_channels) <= _MIXED
    return fits and use_compiled(get_kernel(_SOURCE, "mix_backward", x.dtype), x)


def mix_synthesize(spectrum: Array, weight: Array, bias: Array, n: int) -> Array:
    """Return z[b, o, j, ...] = sum_k exp(2 pi i k j / n) Y[k, ..., b, o]: the first axis of the inverse transform.

    Y[k, b, o] = sum_i X[k, b, i] W[k, i, o], and `bias` added to its number of wavenumber 0.

    Parameters
    ----------
    spectrum : (*kept, batch, in) complex
    weight : (*kept, in, out) complex
    bias : (out,) array
    n : int
        Points of the first axis.

    Returns
    -------
    (batch, out, n, *kept[1:]) complex
    """
    *kept, batch, ins = spectrum.shape
    kernel = get_kernel(_SOURCE, "mix_synthesize", spectrum.real.dtype)
    if not use_compiled(kernel, spectrum):
        return mix_synthesize_reference(spectrum, weight, bias, n)
    m, tail, outs = kept[0], int(np.prod(kept[1:], dtype=int)), weight.shape[-1]
    waves = wave_matrix("waves", n, m, spectrum.real)
    out = namespace(spectrum).empty((batch, outs, n, *kept[1:]), spectrum.dtype)
    arrays = (_real(spectrum, (m, tail, batch, ins)), _real(weight, (m, tail, ins, outs)), bias)
    launch(
        *(kernel, batch * -(-n // _CHUNK) * tail, *arrays, _real(waves, (n, m)), _real(out, (batch, outs, n, tail))),
        *(m, tail, batch, ins, outs, n, *_zero_of(kept)),
    )
    return out


def mix_synthesize_reference(spectrum: Array, weight: Array, bias: Array | None, n: int) -> Array:
    """Reference of the kernel `mix_synthesize`, in array calls; without a bias, by the adjoint of the weights."""
    xp, kept = namespace(spectrum), spectrum.shape[:-2]
    mixed = xp.matmul(spectrum, weight.conj().swapaxes(-1, -2) if bias is None else weight)
    if bias is not None:
        mixed[_zero(kept)] += bias
    waves = wave_matrix("waves", n, kept[0], spectrum.real)
    return xp.ascontiguousarray(xp.moveaxis(xp.tensordot(waves, mixed, axes=1), (-2, -1), (0, 1)))


def mix_backward(spectrum: Array, dout: Array, weight: Array, grid: Sequence[int]) -> tuple[Array, Array, Array]:
    """Return the gradients of the spectrum, synthesized along the first axis, of the weights and of the bias.

    The first is z of `mix_synthesize` for sum_o D[k, b, o] conj(W[k, i, o]); dW[k, i, o] = P c_k sum_b conj(X[k, b, i])
    D[k, b, o] and dbias[o] = P sum_b Re D[0, b, o], with P the points of the grid and c_k from `column_weights`.

    Parameters
    ----------
    spectrum : (*kept, batch, in) complex
    dout : (*kept, batch, out) complex
        The transform of the gradient of the field.
    weight : (*kept, in, out) complex
    grid : sequence of int
    """
    kernel = get_kernel(_SOURCE, "mix_backward", spectrum.real.dtype)
    if not use_compiled(kernel, spectrum):
        return mix_backward_reference(spectrum, dout, weight, grid)
    xp, (*kept, batch, ins), outs, n = namespace(spectrum), spectrum.shape, dout.shape[-1], grid[0]
    m, tail = kept[0], int(np.prod(kept[1:], dtype=int))
    waves = wave_matrix("waves", n, m, spectrum.real)
    out = xp.empty((batch, ins, n, *kept[1:]), spectrum.dtype)
    dweight, dbias = xp.empty(weight.shape, weight.dtype), xp.empty(outs, spectrum.real.dtype)
    shapes = {"x": (m, tail, batch, ins), "g": (m, tail, batch, outs), "w": (m, tail, ins, outs)}
    arrays = (_real(a, shape) for a, shape in zip((spectrum, dout, weight), shapes.values()))
    results = (_real(out, (batch, ins, n, tail)), _real(dweight, shapes["w"]), dbias)
    alone = kept[-1] - 1 if 2 * (kept[-1] - 1) == grid[-1] else -1
    blocks = batch * -(-n // _CHUNK) * tail + m * tail * -(-ins * outs // block_size(spectrum))
    launch(
        *(kernel, blocks, *arrays, _real(waves, (n, m)), *results, m, tail, batch, ins, outs, n, *_zero_of(kept)),
        *(kept[-1], alone, float(np.prod(grid))),
    )
    return out, dweight, dbias


def mix_backward_reference(
    spectrum: Array, dout: Array, weight: Array, grid: Sequence[int]
) -> tuple[Array, Array, Array]:
    """Reference of the kernel `mix_backward`, in array calls."""
    xp, kept = namespace(spectrum), spectrum.shape[:-2]
    points = float(np.prod(grid))
    scale = xp.asarray((points * column_weights(grid, kept, np.float64)).astype(spectrum.real.dtype))[:, None, None]
    dbias = dout[_zero(kept)].real.sum(axis=0) * spectrum.real.dtype.type(points)
    dweight = xp.matmul(spectrum.conj().swapaxes(-1, -2), dout * scale)
    return mix_synthesize_reference(dout, weight, None, grid[0]), dweight, dbias


def _zero_of(kept: Sequence[int]) -> tuple[int, int]:
    """Return the place of wavenumber 0 along the first axis, and among those behind it."""
    at = int(np.ravel_multi_index(_zero(kept), tuple(kept)))
    return divmod(at, int(np.prod(kept[1:], dtype=int)))


def _zero(kept: Sequence[int]) -> tuple[int, ...]:
    return (*(m // 2 for m in kept[:-1]), 0)


def _real(array: Array, shape: tuple[int, ...]) -> Array:
    """Return a contiguous complex array as real numbers in pairs, (*shape, 2)."""
    return namespace(array).ascontiguousarray(array).reshape(-1).view(array.real.dtype).reshape(*shape, 2)
