"""Sums over taps and channels on padded grids, and the gradient of their weights: the kernels and their references."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from sci.backend import Array, ShapeArray, is_device_array, namespace, to_device
from sci.backend.shapes import count_work
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.nn.grids.padded import Padded

__all__ = ["correlate", "correlate_reference", "weight_sums", "weight_sums_reference"]

Triple = tuple[int, ...]
_SPILL = 1.15
"""Cost of a cell in a row that spills over rows of the grid: its output is copied once more."""


class _Rows(NamedTuple):
    """How cells are run over: `rows` of `width` cells, `pitch` apart in the output, by steps in the padded grid."""

    rows: int
    width: int
    pitch: int
    rows1: int
    step0: int
    step1: int
    shape: tuple[int, ...]
    """Of the output; its first cells along each axis are the ones that were asked for."""


def _lanes(x: Array) -> int:
    """Return the cells of a run: a block of threads, or the longest vector of a host."""
    return block_size(x) if is_device_array(x) else 64 // x.dtype.itemsize


def _rows_of(out: Triple, lengths: Triple, lanes: int) -> _Rows:
    """Return the way to take the cells `out` of padded `lengths` that computes the fewest lanes."""
    (m0, m1, m2), (_, l1, l2) = out, lengths
    plain = _Rows(m0 * m1, m2, m2, m1, l1 * l2, l2, (m0, m1, m2))
    plane = _Rows(m0, (m1 - 1) * l2 + m2, m1 * l2, 1, l1 * l2, 0, (m0, m1, l2))
    volume = _Rows(1, (m0 - 1) * l1 * l2 + (m1 - 1) * l2 + m2, m0 * l1 * l2, 1, 0, 0, (m0, l1, l2))
    return min((plain, plane, volume), key=lambda r: r.rows * -(-r.width // lanes) * (1.0 if r is plain else _SPILL))


def _count_work(padded: Padded, products: int) -> None:
    """Tell the tally in force the products of a kernel that runs on arrays without numbers."""
    if type(padded.data) is ShapeArray:
        count_work(padded.shape[0] * products)


def correlate(padded: Padded, offsets: np.ndarray, weight: Array, bias: Array | None, out: Triple) -> Array:
    """Return bias[o] + the sum over c and t of weight[g, o, c, t] x[b, g, c, cell + offsets[t]].

    Parameters
    ----------
    padded : Padded
        (batch, groups inputs, phases, *lengths).
    offsets : (taps,) array of int64
        On the host.
    weight : (groups, outputs, inputs, taps) array
    bias : (groups outputs,) array or None
    out : (int, int, int)
        The cells of the outputs.

    Returns
    -------
    (batch, groups outputs, *out) array
    """
    groups, outputs, inputs, taps = weight.shape
    tile = 8 if outputs > 4 else 1 << (outputs - 1).bit_length()
    kernel = get_kernel("nn/convolution.cu", "convolve", padded.data.dtype, tile)
    if not use_compiled(kernel, padded.data):
        return correlate_reference(padded, offsets, weight, bias, out)
    xp, batch, tiles = namespace(padded.data, weight), padded.shape[0], -(-outputs // tile)
    _count_work(padded, weight.size * math.prod(out))
    rows = _rows_of(out, padded.shape[3:], _lanes(padded.data))
    found = xp.empty((batch, groups, outputs, rows.rows, rows.pitch), weight.dtype)
    on_device = is_device_array(found)
    chunk, span = (1, 1) if on_device else (16, tiles)
    grid = batch * groups * -(-rows.rows * -(-rows.width // 4) // chunk) * -(-tiles // span)
    launch(
        *(kernel, grid if on_device else min(grid, 4096), padded.data, to_device(offsets, xp)),
        *(
            _in_tiles(weight, tile),
            _bias_in_tiles(weight, bias, tile),
            found,
            batch,
            groups,
            tiles,
            inputs,
            taps,
            outputs,
        ),
        *(rows.rows, rows.pitch, rows.width, rows.rows1, rows.step0, rows.step1, padded.channel, chunk, span),
    )
    m0, m1, m2 = out
    cut = found.reshape(batch, groups * outputs, *rows.shape)[:, :, :m0, :m1, :m2]
    return xp.ascontiguousarray(cut)


def _in_tiles(weight: Array, tile: int) -> Array:
    """Return (groups, outputs, inputs, taps) weights as (groups, tiles, inputs, taps, tile), zeros filled in."""
    xp, (groups, outputs, inputs, taps) = namespace(weight), weight.shape
    tiles = -(-outputs // tile)
    if tiles * tile > outputs:
        whole = xp.zeros((groups, tiles * tile, inputs, taps), weight.dtype)
        whole[:, :outputs] = weight
        weight = whole
    return xp.ascontiguousarray(weight.reshape(groups, tiles, tile, inputs, taps).transpose(0, 1, 3, 4, 2))


def _bias_in_tiles(weight: Array, bias: Array | None, tile: int) -> Array:
    xp, (groups, outputs) = namespace(weight), weight.shape[:2]
    tiles = -(-outputs // tile)
    whole = xp.zeros((groups, tiles * tile), weight.dtype)
    if bias is not None:
        whole[:, :outputs] = bias.reshape(groups, outputs)
    return whole.reshape(groups, tiles, tile)


def _shifted(padded: Padded, offset: int, out: Triple) -> Array:
    """Return the cells that the outputs see at an offset: (batch, channels, *out)."""
    phase, *cell = np.unravel_index(offset, padded.shape[2:])
    return padded.array[(slice(None), slice(None), phase, *(slice(c, c + m) for c, m in zip(cell, out)))]


def correlate_reference(padded: Padded, offsets: np.ndarray, weight: Array, bias: Array | None, out: Triple) -> Array:
    """Reference of the kernel `convolve`: one matrix product for each tap."""
    xp, (groups, outputs, inputs, taps) = namespace(padded.data, weight), weight.shape
    batch, points = padded.shape[0], int(np.prod(out))
    total = xp.zeros((batch, groups, outputs, points), weight.dtype)
    if bias is not None:
        total += bias.reshape(groups, outputs, 1)
    for t in range(taps):
        cells = _shifted(padded, int(offsets[t]), out).reshape(batch, groups, inputs, points)
        total += xp.matmul(weight[:, :, :, t], cells)
    return total.reshape(batch, groups * outputs, *out)


def weight_sums(padded: Padded, offsets: np.ndarray, dout: Array, groups: int) -> Array:
    """Return the sum over batch and cells of dout[b, g, o, cell] x[b, g, c, cell + offsets[t]].

    Parameters
    ----------
    padded : Padded
        (batch, groups inputs, phases, *lengths).
    offsets : (taps,) array of int64
        On the host.
    dout : (batch, groups outputs, m0, m1, m2) array
    groups : int

    Returns
    -------
    (groups, outputs, inputs, taps) array
    """
    batch, outputs, inputs = dout.shape[0], dout.shape[1] // groups, padded.shape[1] // groups
    tile, pairs = 4 if outputs > 1 else 1, inputs * len(offsets)
    kernel = get_kernel("nn/convolution.cu", "convolve_weights", padded.data.dtype, tile)
    if not use_compiled(kernel, padded.data):
        return weight_sums_reference(padded, offsets, dout, groups)
    xp, tiles, lanes = namespace(padded.data, dout), -(-outputs // tile), _lanes(dout)
    _count_work(padded, dout[0].size * pairs)
    rows = _rows_of(dout.shape[2:], padded.shape[3:], lanes)
    given = _in_rows(dout, rows, lanes)
    width, pitch = (block_size(dout), batch) if is_device_array(dout) else (1, 1)
    partial = xp.empty((pitch, groups, tiles, pairs, tile, width), dout.dtype)
    grid = pitch * groups * tiles * (-(-pairs // 8) if is_device_array(dout) else -(-pairs // 216))
    launch(
        *(kernel, grid, padded.data, to_device(offsets, xp), given.reshape(batch, groups, outputs, rows.rows, -1)),
        *(partial, batch, groups, outputs, rows.rows, given.shape[-1], pitch, tiles, pairs, width, len(offsets)),
        *(rows.rows1, rows.step0, rows.step1, padded.channel),
    )
    summed = partial.sum(axis=(0, 5)) if partial.size > partial[0, ..., 0].size else partial[0, ..., 0]
    summed = summed.transpose(0, 1, 3, 2).reshape(groups, tiles * tile, inputs, len(offsets))
    return xp.ascontiguousarray(summed[:, :outputs])


def _in_rows(dout: Array, rows: _Rows, lanes: int) -> Array:
    """Return `dout` as (batch, outputs, rows, pitch) with zeros where the rows have no outputs."""
    xp, (m0, m1, m2) = namespace(dout), dout.shape[2:]
    pitch = -(-rows.width // lanes) * lanes
    if rows.shape == dout.shape[2:] and pitch == rows.width:
        return xp.ascontiguousarray(dout).reshape(*dout.shape[:2], rows.rows, pitch)
    between = int(np.prod(rows.shape)) // rows.rows
    whole = xp.zeros((*dout.shape[:2], *rows.shape), dout.dtype)
    whole[:, :, :m0, :m1, :m2] = dout
    whole = whole.reshape(*dout.shape[:2], rows.rows, between)
    if between == pitch:
        return whole
    out = xp.zeros((*dout.shape[:2], rows.rows, pitch), dout.dtype)
    out[..., : rows.width] = whole[..., : rows.width]
    return out


def weight_sums_reference(padded: Padded, offsets: np.ndarray, dout: Array, groups: int) -> Array:
    """Reference of the kernel `convolve_weights`: one matrix product for each tap."""
    xp, out = namespace(padded.data, dout), dout.shape[2:]
    batch, points = dout.shape[0], int(np.prod(out))
    given = dout.reshape(batch, groups, dout.shape[1] // groups, points)
    cells = [_shifted(padded, int(t), out).reshape(batch, groups, padded.shape[1] // groups, points) for t in offsets]
    return xp.stack([xp.matmul(given, c.swapaxes(2, 3)).sum(axis=0) for c in cells], axis=-1)
