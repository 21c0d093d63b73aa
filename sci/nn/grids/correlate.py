"""Sums over taps and channels on padded grids, and the gradient of their weights: the kernels and their references."""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np

from sci.backend import Array, ShapeArray, is_device_array, namespace, to_device
from sci.backend.lines import aligned
from sci.backend.shapes import count_work
from sci.kernels import block_size, get_kernel, launch, use_compiled
from sci.nn.grids.padded import Padded

__all__ = ["Taps", "Weights", "correlate", "join_phases", "weight_sums"]

Triple = tuple[int, ...]
_CHUNK = 2
"""Tiles of cells that a block takes for all its outputs: their inputs stay in the second cache of a core."""
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
    if out == lengths:
        return _Rows(1, m0 * m1 * m2, m0 * m1 * m2, 1, 0, 0, out)
    plain = _Rows(m0 * m1, m2, m2, m1, l1 * l2, l2, (m0, m1, m2))
    plane = _Rows(m0, (m1 - 1) * l2 + m2, m1 * l2, 1, l1 * l2, 0, (m0, m1, l2))
    volume = _Rows(1, (m0 - 1) * l1 * l2 + (m1 - 1) * l2 + m2, m0 * l1 * l2, 1, 0, 0, (m0, l1, l2))
    return min((plain, plane, volume), key=lambda r: r.rows * -(-r.width // lanes) * (1.0 if r is plain else _SPILL))


def _count_work(padded: Padded, products: int) -> None:
    """Tell the tally in force the products of a kernel that runs on arrays without numbers."""
    if type(padded.data) is ShapeArray:
        count_work(padded.shape[0] * products)


class Weights:
    """Weights of a sum over channels and taps, in tiles for the kernel.

    Parameters
    ----------
    array : (groups, outputs, inputs, taps) array
        In C order.
    bias : (groups outputs,) array or None
    transposed : bool
        The array has the inputs before the outputs.
    """

    def __init__(self, array: Array, bias: Array | None = None, transposed: bool = False) -> None:
        self._given, self.bias, self._transposed = array, bias, transposed

    def __repr__(self) -> str:
        return f"<Weights of shape {tuple(self.array.shape)}{'' if self.bias is None else ' with a bias'}>"

    @property
    def array(self) -> Array:
        """The weights (groups, outputs, inputs, taps)."""
        return self._given.swapaxes(1, 2) if self._transposed else self._given

    @functools.cached_property
    def tile(self) -> int:
        """Outputs of a tile."""
        outputs = self.array.shape[1]
        return 8 if outputs > 4 else 1 << (outputs - 1).bit_length()

    @functools.cached_property
    def tiles(self) -> Array:
        """The weights as (groups, tiles, inputs, taps, tile), zeros filled in."""
        xp, (groups, outputs, inputs, taps) = namespace(self._given), self.array.shape
        count, given = -(-outputs // self.tile), xp.ascontiguousarray(self._given)
        kernel = get_kernel("nn/convolution.cu", "pack_weights", given.dtype, self.tile)
        if use_compiled(kernel, given):
            steps = (taps, outputs * taps) if self._transposed else (inputs * taps, taps)
            packed = xp.empty((groups, count, inputs, taps, self.tile), given.dtype)
            flat, sizes = given.reshape(given.size), (groups, count, inputs, taps, outputs)
            launch(kernel, groups * count, flat, packed, *sizes, outputs * inputs * taps, *steps)
            return packed
        return tiles_reference(self.array, self.tile)

    @functools.cached_property
    def bias_tiles(self) -> Array:
        """The bias as (groups, tiles, tile), zeros filled in."""
        xp, (groups, outputs) = namespace(self._given), self.array.shape[:2]
        count = -(-outputs // self.tile)
        whole = xp.zeros((groups, count * self.tile), self._given.dtype)
        if self.bias is not None:
            whole[:, :outputs] = self.bias.reshape(groups, outputs)
        return whole.reshape(groups, count, self.tile)


def tiles_reference(weights: Array, tile: int) -> Array:
    """Reference of the kernel `pack_weights`."""
    xp, (groups, outputs, inputs, taps) = namespace(weights), weights.shape
    count = -(-outputs // tile)
    whole = xp.zeros((groups, count * tile, inputs, taps), weights.dtype)
    whole[:, :outputs] = weights
    return xp.ascontiguousarray(whole.reshape(groups, count, tile, inputs, taps).transpose(0, 1, 3, 4, 2))


class Taps(NamedTuple):
    """The taps of the parts of a result: one for a convolution, one for each phase for the adjoint of a strided one.

    Arrays of int64 on the host, as long in each part as in the longest. Offsets that go up are a quarter faster than
    those that go down: the processor fetches ahead.
    """

    offsets: np.ndarray
    """(parts, taps): where a tap reads, from the cell's place in the padded grid."""
    chosen: np.ndarray
    """(parts, taps): whose weights it has."""
    counts: np.ndarray
    """(parts,): the taps of each part."""

    @classmethod
    def of_one(cls, offsets: np.ndarray) -> Taps:
        """Return the taps of one part."""
        return cls.of_parts([(offsets, np.arange(len(offsets)))])

    @classmethod
    def of_parts(cls, parts: list[tuple[np.ndarray, np.ndarray]]) -> Taps:
        """Return the taps of parts with their offsets and what they choose."""
        counts = np.array([len(offsets) for offsets, _ in parts])
        made = np.zeros((2, len(parts), max(1, int(counts.max()))), np.int64)
        for k, (offsets, chosen) in enumerate(parts):
            order = np.argsort(offsets, kind="stable")
            made[0, k, : counts[k]], made[1, k, : counts[k]] = offsets[order], chosen[order]
        return cls(made[0], made[1], counts)


def correlate(padded: Padded, taps: Taps, weights: Weights, out: Triple) -> Array:
    """Return the sum of bias[o] and weights[g, o, c, chosen[p, t]] x[b, g, c, cell + offsets[p, t]], over c and t.

    Parameters
    ----------
    padded : Padded
        (batch, groups inputs, phases, *lengths).
    taps : Taps
    weights : Weights
        (groups, outputs, inputs, taps), with its bias.
    out : (int, int, int)
        The cells of the outputs.

    Returns
    -------
    (parts, batch, groups outputs, r0, r1, r2) array
        The lengths are those of `out` or larger; the first cells along each axis are the outputs.
    """
    groups, outputs, inputs, known = weights.array.shape
    kernel = get_kernel("nn/convolution.cu", "convolve", padded.data.dtype, weights.tile)
    if not use_compiled(kernel, padded.data):
        return correlate_reference(padded, taps, weights, out)
    xp, batch, tiles, parts = namespace(padded.data), padded.shape[0], weights.tiles.shape[1], len(taps.counts)
    _count_work(padded, groups * outputs * inputs * int(taps.counts.sum()) * math.prod(out))
    rows = _rows_of(out, padded.shape[3:], _lanes(padded.data))
    found = xp.empty((parts, batch, groups, outputs, rows.rows, rows.pitch), padded.data.dtype)
    on_device = is_device_array(found)
    chunk, span = (1, 1) if on_device else (_CHUNK, tiles)
    grid = parts * batch * groups * -(-rows.rows * -(-rows.width // 4) // chunk) * -(-tiles // span)
    launch(
        *(kernel, grid if on_device else min(grid, 4096), padded.data, *(to_device(each, xp) for each in taps)),
        *(weights.tiles, weights.bias_tiles, found, parts, batch, groups, tiles, inputs, taps.offsets.shape[1], known),
        *(outputs, rows.rows, rows.pitch, rows.width, rows.rows1, rows.step0, rows.step1, padded.channel, chunk, span),
    )
    return found.reshape(parts, batch, groups * outputs, *rows.shape)


def _shifted(padded: Padded, offset: int, out: Triple) -> Array:
    """Return the cells that the outputs see at an offset: (batch, channels, *out)."""
    phase, *cell = np.unravel_index(offset, padded.shape[2:])
    return padded.array[(slice(None), slice(None), phase, *(slice(c, c + m) for c, m in zip(cell, out)))]


def correlate_reference(padded: Padded, taps: Taps, weights: Weights, out: Triple) -> Array:
    """Reference of the kernel `convolve`: one matrix product for each tap."""
    xp, (groups, outputs, inputs, _) = namespace(padded.data), weights.array.shape
    batch, points = padded.shape[0], math.prod(out)
    total = xp.zeros((len(taps.counts), batch, groups, outputs, points), padded.data.dtype)
    if weights.bias is not None:
        total += weights.bias.reshape(groups, outputs, 1)
    for part, count in enumerate(taps.counts.tolist()):
        for offset, tap in zip(taps.offsets[part, :count].tolist(), taps.chosen[part, :count].tolist()):
            cells = _shifted(padded, offset, out).reshape(batch, groups, inputs, points)
            total[part] += xp.matmul(weights.array[:, :, :, tap], cells)
    return total.reshape(len(taps.counts), batch, groups * outputs, *out)


def join_phases(parts: Array, phases: Triple, grid: Triple, stride: Triple) -> Array:
    """Return out[b, c, j stride + p] = parts[p, b, c, j].

    Parameters
    ----------
    parts : (phases, batch, channels, m0, m1, m2) array
        Of grids long enough for the first phase of each axis, or longer.
    phases, grid, stride : (int, int, int)
        How many phases there are along each axis, the cells of the result, and those from entry to entry of a phase.

    Returns
    -------
    (batch, channels, *grid) array
    """
    xp, (batch, channels, *lengths) = namespace(parts), parts.shape[1:]
    out = xp.empty((batch * channels, *grid), parts.dtype)
    given = parts.reshape(*phases, batch * channels, *lengths)
    kernel = get_kernel("nn/convolution.cu", "join_phases", parts.dtype)
    if use_compiled(kernel, parts):
        launch(kernel, len(out) * grid[0], given, out, *given.shape, *grid, *stride)
    else:
        join_phases_reference(given, out, stride)
    return out.reshape(batch, channels, *grid)


def join_phases_reference(parts: Array, out: Array, stride: Triple) -> None:
    """Reference of the kernel `join_phases`: set `out` (images, *grid) of parts (*phases, images, *lengths)."""
    for p in itertools.product(*map(range, parts.shape[:3])):
        cells = [-(-(n - q) // s) for n, q, s in zip(out.shape[1:], p, stride)]
        into = tuple(slice(q, None, s) for q, s in zip(p, stride))
        out[(slice(None), *into)] = parts[p][(slice(None), *(slice(c) for c in cells))]


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
    if not batch:
        return namespace(padded.data, dout).zeros((groups, outputs, inputs, len(offsets)), dout.dtype)
    tile, pairs = 4 if outputs > 1 else 1, inputs * len(offsets)
    kernel = get_kernel("nn/convolution.cu", "convolve_weights", padded.data.dtype, tile)
    if not use_compiled(kernel, padded.data):
        return weight_sums_reference(padded, offsets, dout, groups)
    xp, tiles, lanes = namespace(padded.data, dout), -(-outputs // tile), _lanes(dout)
    _count_work(padded, dout[0].size * pairs)
    rows = _rows_of(dout.shape[2:], padded.shape[3:], lanes)
    given = _in_rows(dout, rows, lanes)
    width, pitch = (block_size(dout), batch) if is_device_array(dout) else (1, 1)
    partial = xp.empty((pitch, groups, outputs, pairs, width), dout.dtype)
    grid = pitch * groups * tiles * (-(-pairs // 8) if is_device_array(dout) else -(-pairs // 216))
    sources = (np.arange(inputs)[:, None] * padded.channel + offsets).ravel()
    launch(
        *(kernel, grid, padded.data, to_device(sources, xp), given.reshape(batch, groups, outputs, rows.rows, -1)),
        *(partial, batch, groups, outputs, rows.rows, given.shape[-1], pitch, tiles, pairs, width),
        *(inputs * padded.channel, rows.rows1, rows.step0, rows.step1),
    )
    summed = partial.sum(axis=(0, 4)) if pitch * width > 1 else partial
    return summed.reshape(groups, outputs, inputs, len(offsets))


def _in_rows(dout: Array, rows: _Rows, lanes: int) -> Array:
    """Return `dout` as (batch, outputs, rows, pitch), aligned, with zeros where the rows have no outputs."""
    m0, m1, m2 = dout.shape[2:]
    between = math.prod(rows.shape) // rows.rows
    whole = dout
    if rows.shape != dout.shape[2:]:
        whole = namespace(dout).zeros((*dout.shape[:2], *rows.shape), dout.dtype)
        whole[:, :, :m0, :m1, :m2] = dout
    out = aligned((*dout.shape[:2], rows.rows, -(-rows.width // lanes) * lanes), dout)
    width = min(between, out.shape[3])
    out[..., width:] = 0
    out[..., :width] = whole.reshape(*dout.shape[:2], rows.rows, between)[..., :width]
    return out


def weight_sums_reference(padded: Padded, offsets: np.ndarray, dout: Array, groups: int) -> Array:
    """Reference of the kernel `convolve_weights`: one matrix product for each tap."""
    xp, out = namespace(padded.data, dout), dout.shape[2:]
    batch, points = dout.shape[0], math.prod(out)
    given = dout.reshape(batch, groups, dout.shape[1] // groups, points)
    cells = [_shifted(padded, int(t), out).reshape(batch, groups, padded.shape[1] // groups, points) for t in offsets]
    return xp.stack([xp.matmul(given, c.swapaxes(2, 3)).sum(axis=0) for c in cells], axis=-1)
