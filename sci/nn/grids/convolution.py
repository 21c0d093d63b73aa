"""Convolution between channels on grids, its transpose, and their gradients."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn.core.op import op
from sci.nn.grids.correlate import Taps, Weights, correlate, join_phases, weight_sums
from sci.nn.grids.padded import fold_margins, pad_grid, pad_window
from sci.nn.grids.window import Boundary, Lengths, Padding, Window, per_axis, window
from sci.nn.ops.checks import require_single_or_double
from sci.nn.ops.products import ALL, Wanted, biased_tangent

__all__ = ["convolve", "convolve_transposed"]


class _Call(NamedTuple):
    """What a convolution is called with, apart from arrays."""

    window: Window
    groups: int
    periodic: bool


def _lift(x: Array) -> Array:
    """Return (batch, channels, *grid) with axes of one cell before the grid's, to make three."""
    return x.reshape(*x.shape[:2], *(1,) * (5 - x.ndim), *x.shape[2:])


def _in_groups(weight: Array, groups: int) -> Array:
    """Return the weights (outputs, inputs, *taps) as (groups, outputs / groups, inputs, taps)."""
    outputs, inputs = weight.shape[:2]
    return weight.reshape(groups, outputs // groups, inputs, math.prod(weight.shape[2:]))


def _correlated(x: Array, weight: Array, bias: Array | None, call: _Call) -> Array:
    """Return the convolution (batch, outputs, *out)."""
    padded, offsets = pad_window(_lift(x), call.window.lifted, call.periodic)
    cells = call.window.lifted.out
    out = correlate(padded, Taps.of_one(offsets), Weights(_in_groups(weight, call.groups), bias), cells)[0]
    out = namespace(out).ascontiguousarray(out[(..., *(slice(m) for m in cells))])
    return out.reshape(*out.shape[:2], *call.window.out)


def _phases(w: Window, axis: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Return for each phase of the cells of an axis the taps that see its cells, and from which outputs.

    Tap t sees cell `first + i stride` from output `i + shift`, first = 0, 1, ...: the adjoint of a strided window is
    made of plain ones.
    """
    s, d = w.stride[axis], w.dilation[axis]
    found = []
    for first in range(min(s, w.grid[axis])):
        j, phase = divmod(first + w.before[axis], s)
        taps = tuple(t for t in range(w.taps[axis]) if t * d % s == phase)
        found.append((taps, tuple(j - t * d // s for t in taps)))
    return found


def _spread(dout: Array, weight: Array, bias: Array | None, call: _Call) -> Array:
    """Return the adjoint of the convolution: `dout` (batch, outputs, *out) brought to (batch, inputs, *grid)."""
    w, around = call.window, call.periodic and (any(call.window.before) or any(call.window.after))
    if around and (w.out != w.grid or max(w.stride) > 1):
        none = (0,) * len(w.grid)
        wide = Window(w.padded, w.taps, w.stride, w.dilation, none, none)
        dx = fold_margins(_spread(dout, weight, None, _Call(wide, call.groups, False)), w.before, w.grid)
        return dx if bias is None else dx + bias.reshape(-1, *(1,) * len(w.grid))
    w = w.lifted
    low, lengths, phases, found = _spread_taps(w)
    cells = tuple(-(-n // s) for n, s in zip(w.grid, w.stride))
    padded = pad_grid(_lift(dout), low, lengths, periodic=bool(around), pointwise=lengths == cells)
    weights = Weights(_in_groups(weight, call.groups), bias, transposed=True)
    parts = correlate(padded, found, weights, cells)
    if len(parts) > 1:
        dx = join_phases(parts, phases, w.grid, w.stride)
    else:
        dx = namespace(parts).ascontiguousarray(parts[0][(..., *(slice(n) for n in w.grid))])
    return dx.reshape(*dx.shape[:2], *call.window.grid)


@functools.lru_cache(maxsize=256)
def _spread_taps(w: Window) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], Taps]:
    """Return the margin before the outputs, the padded lengths, the number of phases, and the taps of the adjoint."""
    phases = [_phases(w, axis) for axis in range(3)]
    cells = [-(-n // s) for n, s in zip(w.grid, w.stride)]
    low = tuple(max([0, *(-s for _, shifts in axis for s in shifts)]) for axis in phases)
    high = tuple(m + max([0, *(s for _, shifts in axis for s in shifts)]) for m, axis in zip(cells, phases))
    lengths = tuple(a + b for a, b in zip(low, high))
    parts = []
    for part in itertools.product(*phases):
        taps = itertools.product(*(taps for taps, _ in part))
        shifts = itertools.product(*(shifts for _, shifts in part))
        chosen = [(a * w.taps[1] + b) * w.taps[2] + c for a, b, c in taps]
        offsets = [((a + low[0]) * lengths[1] + b + low[1]) * lengths[2] + c + low[2] for a, b, c in shifts]
        parts.append((np.array(offsets, np.int64), np.array(chosen, np.int64)))
    return low, lengths, tuple(map(len, phases)), Taps.of_parts(parts)


def _weight_gradient(x: Array, dout: Array, call: _Call) -> Array:
    """Return the gradient of the weights, (outputs, inputs / groups, *taps)."""
    padded, offsets = pad_window(_lift(x), call.window.lifted, call.periodic)
    found = weight_sums(padded, offsets, _lift(dout), call.groups)
    return found.reshape(dout.shape[1], x.shape[1] // call.groups, *call.window.taps)


def _bias_gradient(dout: Array) -> Array:
    return dout.reshape(*dout.shape[:2], math.prod(dout.shape[2:])).sum(axis=2).sum(axis=0)


def _checked(name: str, x: Array, weight: Array, bias: Array | None, groups: int, transposed: bool) -> None:
    """Raise unless dtypes, channels and groups fit."""
    for what, a in (("x", x), ("weight", weight), ("bias", bias)):
        if a is not None:
            require_single_or_double(a, f"{name}: {what}")
            if a.dtype != x.dtype:
                raise InvalidValueError(f"{name}: {what} of dtype {a.dtype} with x of {x.dtype}; expected one dtype")
    (groups,) = per_axis(groups, 1, f"{name}: groups")
    shapes = "x (batch, inputs, *grid) with one to three axes, weight " + (
        "(inputs, outputs / groups, *taps)" if transposed else "(outputs, inputs / groups, *taps)"
    )
    if not 3 <= x.ndim <= 5 or weight.ndim != x.ndim:
        raise ShapeError(f"{name} of x {tuple(x.shape)} and weight {tuple(weight.shape)}; expected {shapes}")
    inputs, first = x.shape[1], weight.shape[0]
    if inputs % groups or first % groups or not first or not inputs:
        raise ShapeError(
            f"{name}: {inputs} input channels and weight {tuple(weight.shape)} in groups={groups}; expected a divisor "
            "of the channels and of the first axis of the weight"
        )
    if inputs != (first if transposed else weight.shape[1] * groups) or not weight.shape[1]:
        raise ShapeError(
            f"{name} of x {tuple(x.shape)} and weight {tuple(weight.shape)} with groups={groups}; expected {shapes}"
        )
    outputs = weight.shape[1] * groups if transposed else first
    if bias is not None and bias.shape != (outputs,):
        raise ShapeError(f"{name}: bias of shape {tuple(bias.shape)}; expected ({outputs},), one for each output")


def _convolve_vjp(
    dout: Array, residuals: Any, *, wanted: Wanted = ALL
) -> tuple[Array | None, Array | None, Array | None]:
    """Return the gradients for x, weight and bias."""
    x, weight, biased, call = residuals
    dx = _spread(dout, weight, None, call) if wanted[0] else None
    dweight = _weight_gradient(x, dout, call) if wanted[1] else None
    return dx, dweight, _bias_gradient(dout) if biased and wanted[2] else None


def _convolve_jvp(out: Any, args: Any, tangents: Any, **options: Any) -> Any:
    return biased_tangent(convolve, out, args, tangents, 1, **options)


@op(vjp=_convolve_vjp, jvp=_convolve_jvp)
def convolve(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Lengths = 1,
    dilation: Lengths = 1,
    padding: Padding = "same",
    boundary: Boundary = "zeros",
    groups: int = 1,
) -> tuple[Array, Any]:
    """Convolve channels on grids of one to three axes.

        out[b, o, i] = bias[o] + sum over c, t of weight[o, c, t] x[b, c, i stride - before + t dilation]

    Parameters
    ----------
    x : (batch, inputs, *grid) float32 or float64 array
    weight : (outputs, inputs / groups, *taps) array
        The taps are not reversed: this is the correlation that networks call convolution.
    bias : (outputs,) array, optional
    stride : int, or one for each axis
        Cells from one output to the next.
    dilation : int, or one for each axis
        Cells from one tap to the next.
    padding : "same", int, or for each axis an int or (before, after)
        Cells around the grid. "same" gives ceil(n / stride) outputs: of an odd margin the larger half comes after.
    boundary : {"zeros", "periodic"}
        What those cells hold: zeros, or the grid once more.
    groups : int
        Splits inputs and outputs: each group sees its own inputs. As many as inputs make a depthwise convolution.

    Returns
    -------
    (batch, outputs, *out) array or variable
        out = floor((n + before + after - dilation (taps - 1) - 1) / stride) + 1 along each axis.

    Raises
    ------
    ShapeError
        Also for channels that `groups` does not divide, and a window longer than the padded grid.
    InvalidValueError
        For a stride or dilation that is no integer of 1 or more, a padding below 0, or arrays of several dtypes.
    DTypeError

    Notes
    -----
    2 outputs inputs / groups taps flops a cell of the output. The input is copied once, with its margins. NaN and Inf
    of `x` reach the outputs that see them.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import convolve
    >>> convolve(np.ones((1, 2, 8, 8, 8)), np.ones((3, 2, 3, 3, 3)), np.zeros(3), stride=2).shape
    (1, 3, 4, 4, 4)
    >>> laplacian = np.array([[[1.0, -2.0, 1.0]]])
    >>> convolve(np.array([[[0.0, 1.0, 4.0, 9.0]]]), laplacian, boundary="periodic")
    array([[[ 10.,   2.,   2., -14.]]])
    """
    _checked("convolve", x, weight, bias, groups, False)
    w = window("convolve", x.shape[2:], weight.shape[2:], stride, dilation, padding)
    call = _Call(w, int(groups), boundary == "periodic")
    return _correlated(x, weight, bias, call), (x, weight, bias is not None, call)


def _transposed_vjp(dout: Array, residuals: Any) -> tuple[Array, Array, Array | None]:
    """Return the gradients for x, weight and bias."""
    x, weight, biased, call = residuals
    dx = _correlated(dout, weight, None, call)
    return dx, _weight_gradient(dout, x, call), _bias_gradient(dout) if biased else None


def _transposed_window(x: Array, weight: Array, stride: Any, dilation: Any, padding: Any, size: Any) -> Window:
    """Return the window of the convolution whose adjoint is asked for."""
    name, axes = "convolve_transposed", x.ndim - 2
    counts, taps = x.shape[2:], weight.shape[2:]
    strides, dilations = (per_axis(v, axes, f"{name}: {n}") for v, n in ((stride, "stride"), (dilation, "dilation")))
    if size is not None:
        grid = per_axis(size, axes, f"{name}: size")
    elif isinstance(padding, str):
        grid = tuple(n * s for n, s in zip(counts, strides))
    else:
        reach = tuple(d * (k - 1) for d, k in zip(dilations, taps))
        bare = window(name, tuple(r + 1 for r in reach), taps, strides, dilations, padding)
        grid = tuple(
            (n - 1) * s + r + 1 - a - b for n, s, r, a, b in zip(counts, strides, reach, bare.before, bare.after)
        )
        if min(grid) < 1:
            raise ShapeError(f"{name} of a grid of {counts} cells with padding={padding!r} leaves {grid}; pad less")
    w = window(name, grid, taps, strides, dilations, padding)
    if w.out != counts:
        raise ShapeError(
            f"{name}: size={grid}, of which `convolve` makes {w.out} cells; expected a size of which it makes those of "
            f"x, {tuple(counts)}"
        )
    return w


def _transposed_jvp(out: Any, args: Any, tangents: Any, **options: Any) -> Any:
    return biased_tangent(convolve_transposed, out, args, tangents, 1, **options)


@op(vjp=_transposed_vjp, jvp=_transposed_jvp)
def convolve_transposed(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    *,
    stride: Lengths = 1,
    dilation: Lengths = 1,
    padding: Padding = "same",
    boundary: Boundary = "zeros",
    groups: int = 1,
    size: int | Sequence[int] | None = None,
) -> tuple[Array, Any]:
    """Apply the adjoint of `convolve` in x, as learned up-sampling does.

        out[b, o, i stride - before + t dilation] += weight[c, o, t] x[b, c, i],   and bias[o] once a cell

    Parameters
    ----------
    x : (batch, inputs, *grid) float32 or float64 array
    weight : (inputs, outputs / groups, *taps) array
        The very array with which `convolve` maps `outputs` channels to `inputs`.
    bias : (outputs,) array, optional
    stride, dilation, padding, boundary, groups
        Of that convolution. Padding takes cells away from the result.
    size : int, or one for each axis, optional
        The grid of the result, of which that convolution makes the grid of `x`. Without it n stride under "same", else
        (n - 1) stride + dilation (taps - 1) + 1 - before - after.

    Returns
    -------
    (batch, outputs, *size) array or variable

    Raises
    ------
    ShapeError
        Also for a `size` of which `convolve` does not make the grid of `x`.
    InvalidValueError, DTypeError
        As `convolve`.

    Notes
    -----
    2 inputs outputs / groups taps flops a cell of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import convolve_transposed
    >>> convolve_transposed(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 1.0]]]), stride=2)
    array([[[1., 1., 2., 2.]]])
    """
    _checked("convolve_transposed", x, weight, bias, groups, True)
    w = _transposed_window(x, weight, stride, dilation, padding, size)
    call = _Call(w, int(groups), boundary == "periodic")
    return _spread(x, weight, bias, call), (x, weight, bias is not None, call)
