"""Norms fused with the activation behind them: group norm with ReLU, EvoNorm-S0 and EvoNorm-B0."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.kernels import get_kernel, launch, use_compiled
from sci.nn.core.op import op
from sci.nn.ops import norm_references as reference
from sci.nn.ops.checks import require_single_or_double
from sci.nn.ops.normalization import row_blocks

__all__ = ["evonorm_b0", "evonorm_s0", "group_norm_relu"]

_SOURCE = "nn/norms.cu"


def _checked(x: Array, name: str, eps: float, *vectors: Array) -> None:
    """Check dtype, axes, weights and eps; a variance needs one entry or more of each channel."""
    if x.dtype != np.float16:
        require_single_or_double(x, name)
    shapes = [tuple(v.shape) for v in vectors]
    if odd := [v.dtype for v in vectors if v.dtype.kind not in "fiu"]:
        raise DTypeError(f"{name} with weights of dtype {odd[0]}; expected real numbers")
    if x.ndim < 2 or math.prod(x.shape[1:]) == 0 or any(shape != tuple(x.shape[1:2]) for shape in shapes):
        raise ShapeError(
            f"{name} of shape {tuple(x.shape)} with weights {', '.join(map(str, shapes))}; expected (batch, channel, "
            "*grid), none but the batch empty, and one weight for each channel"
        )
    if not 0 <= eps < math.inf:
        raise InvalidValueError(f"{name} with eps {eps}; expected 0 or a small positive number")


def _members(x: Array, groups: int | None, name: str) -> int:
    """Return the channels of a group; each channel is one where `groups` is None."""
    channels = x.shape[1]
    groups = channels if groups is None else groups
    if groups < 1 or channels % groups:
        raise ShapeError(f"{name} of {channels} channels in {groups} groups; expected a divisor of the channels")
    return int(channels) // groups


def _working(x: Array, *vectors: Array) -> list[Array]:
    """Return `x` and the weights in the dtype of the sums: that of `x`, float32 for float16."""
    xp, dtype = namespace(x, *vectors), np.float32 if x.dtype == np.float16 else x.dtype
    return [xp.ascontiguousarray(a, dtype) for a in (x, *vectors)]


def _by_channel(sums: Array, like: Array) -> Array:
    """Return sums of each row and member, (batch groups, members), added over the batch."""
    channels = like.shape[0]
    return sums.reshape(sums.size // channels, channels).sum(axis=0, dtype=np.float64).astype(like.dtype)


def _group_norm_relu_vjp(dout: Array, residuals: Any) -> tuple[Array | None, ...]:
    """Return the gradients of `group_norm_relu`."""
    rows, y, mean, inverse, weight, members, slope, added = residuals
    factors, (d,) = weight.astype(rows.dtype, copy=False), _working(dout)
    dx, dadded, *sums = _norm_relu_vjp(d.reshape(rows.shape), rows, y, factors, mean, inverse, members, slope, added)
    shaped = [a.reshape(dout.shape).astype(dout.dtype, copy=False) for a in (dx, *([dadded] if added else []))]
    dweight, dbias = (_by_channel(s, weight) for s in sums)
    return shaped[0], dweight, dbias, *(shaped[1:] or [None])


def _norm_relu_vjp(
    d: Array, x: Array, y: Array, weight: Array, mean: Array, inverse: Array, members: int, slope: float, added: bool
) -> tuple[Array, ...]:
    """Return dx, dadded, and the sums for weight and bias."""
    kernel = get_kernel(_SOURCE, "norm_relu_vjp", x.dtype, added)
    if not use_compiled(kernel, x):
        return reference.norm_relu_vjp(d, x, y, weight, mean, inverse, members, slope)
    xp = namespace(x, d)
    dx, dadded = xp.empty(x.shape, x.dtype), xp.empty(x.shape if added else (0, 0), x.dtype)
    sums = [xp.empty((len(x), members), x.dtype) for _ in range(2)]
    sizes = (*x.shape, len(weight), members)
    launch(kernel, row_blocks(x), d, x, y, weight, mean, inverse, dx, dadded, *sums, *sizes, slope)
    return dx, dadded, *sums


@op(vjp=_group_norm_relu_vjp)
def group_norm_relu(
    x: Array,
    weight: Array,
    bias: Array,
    added: Array | None = None,
    *,
    groups: int | None = None,
    slope: float = 0.01,
    eps: float = 1e-5,
) -> tuple[Array, Any]:
    """Normalize over grid and group, scale and shift, add, and apply the leaky ReLU, in one kernel.

        a = weight (x - mean) / sqrt(var + eps) + bias + added;  y = a where a > 0, else slope a

    Parameters
    ----------
    x : (batch, channel, *grid) array
        float16 is normalized in float32.
    weight, bias : (channel,) arrays
    added : array of the shape of `x`, optional
        The end of a residual branch.
    groups : int, optional
        Divides the channels; each channel is a group unless given, which is an instance norm.
    slope : float
        From 0, which is the plain ReLU, to below 1.
    eps : float

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    Reads `x` twice, `added` once, and keeps `x` and the result, which the next layer keeps anyhow.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import group_norm_relu
    >>> group_norm_relu(np.array([[[1.0, 3.0]]]), np.ones(1), np.zeros(1), slope=0.1, eps=0.0)
    array([[[-0.1,  1. ]]])
    """
    _checked(x, "group_norm_relu", eps, weight, bias)
    members = _members(x, groups, "group_norm_relu")
    if added is not None and (added.shape != x.shape or added.dtype != x.dtype):
        raise ShapeError(
            f"group_norm_relu adds {added.dtype}{tuple(added.shape)}; expected {x.dtype}{tuple(x.shape)}, like x"
        )
    if not 0 <= slope < 1:
        raise InvalidValueError(f"group_norm_relu of slope {slope}; expected from 0 to below 1")
    work, scales, shifts = _working(x, weight, bias)
    rows = work.reshape(x.shape[0] * x.shape[1] // members, members * math.prod(x.shape[2:]))
    more = None if added is None else _working(added)[0].reshape(rows.shape)
    y, mean, inverse = _norm_relu(rows, more, scales, shifts, members, slope, eps)
    out = y.reshape(x.shape).astype(x.dtype, copy=False)
    return out, (rows, y, mean, inverse, weight, members, slope, added is not None)


def _norm_relu(
    x: Array, added: Array | None, weight: Array, bias: Array, members: int, slope: float, eps: float
) -> tuple[Array, Array, Array]:
    """Return y, and mean and inverse root of the variance of each row."""
    kernel = get_kernel(_SOURCE, "norm_relu", x.dtype, added is not None)
    if not use_compiled(kernel, x):
        return reference.norm_relu(x, added, weight, bias, members, slope, eps)
    xp = namespace(x, weight)
    y, mean, inverse = xp.empty(x.shape, x.dtype), xp.empty(len(x), np.float64), xp.empty(len(x), x.dtype)
    sizes = (*x.shape, len(weight), members)
    more = x if added is None else added
    launch(kernel, row_blocks(x), x, more, weight, bias, y, mean, inverse, *sizes, slope, eps)
    return y, mean, inverse


def _evonorm_s0_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `evonorm_s0`."""
    rows, gate, weight, mean, inverse, members = residuals
    d, gates, factors = _working(dout, gate, weight)
    dx, *sums = _s0_vjp(d.reshape(rows.shape), rows, gates, factors, mean, inverse, members)
    dgate, dweight, dbias = (_by_channel(s, weight) for s in sums)
    return dx.reshape(dout.shape).astype(dout.dtype, copy=False), dgate.astype(gate.dtype), dweight, dbias


def _s0_vjp(
    d: Array, x: Array, gate: Array, weight: Array, mean: Array, inverse: Array, members: int
) -> tuple[Array, ...]:
    """Return dx, and the sums for gate, weight and bias."""
    kernel = get_kernel(_SOURCE, "evonorm_s0_vjp", x.dtype)
    if not use_compiled(kernel, x):
        return reference.evonorm_s0_vjp(d, x, gate, weight, mean, inverse, members)
    xp = namespace(x, d)
    dx, sums = xp.empty(x.shape, x.dtype), [xp.empty((len(x), members), x.dtype) for _ in range(3)]
    sizes = (*x.shape, len(weight), members)
    launch(kernel, row_blocks(x), d, x, gate, weight, mean, inverse, dx, *sums, *sizes)
    return dx, *sums


@op(vjp=_evonorm_s0_vjp)
def evonorm_s0(
    x: Array, gate: Array, weight: Array, bias: Array, *, groups: int = 1, eps: float = 1e-5
) -> tuple[Array, Any]:
    """Normalize and activate in one step by statistics of each sample: EvoNorm-S0.

        y = weight x sigmoid(gate x) / sqrt(var + eps) + bias,   var over the grid and the channels of a group

    Parameters
    ----------
    x : (batch, channel, *grid) array
        float16 is normalized in float32.
    gate, weight, bias : (channel,) arrays
        Start at 1, 1 and 0. With gate 0 the result is x / (2 sqrt(var + eps)): no activation.
    groups : int
        Divides the channels.
    eps : float

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    Two reads of `x` and one write, where variance, gate and quotient apart take three reads and two writes. The mean is
    not taken off: the result changes with a constant that is added to x.

    References
    ----------
    Liu et al., NeurIPS 2020, arXiv:2004.02967, table 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import evonorm_s0
    >>> evonorm_s0(np.array([[[1.0, 3.0]]]), np.zeros(1), np.ones(1), np.zeros(1), eps=0.0)
    array([[[0.5, 1.5]]])
    """
    _checked(x, "evonorm_s0", eps, gate, weight, bias)
    members = _members(x, groups, "evonorm_s0")
    work, gates, factors, shifts = _working(x, gate, weight, bias)
    rows = work.reshape(x.shape[0] * groups, members * math.prod(x.shape[2:]))
    y, mean, inverse = _s0(rows, gates, factors, shifts, members, eps)
    out = y.reshape(x.shape).astype(x.dtype, copy=False)
    return out, (rows, gate, weight, mean, inverse, members)


def _s0(x: Array, gate: Array, weight: Array, bias: Array, members: int, eps: float) -> tuple[Array, Array, Array]:
    """Return y, and mean and inverse root of the variance of each row."""
    kernel = get_kernel(_SOURCE, "evonorm_s0", x.dtype)
    if not use_compiled(kernel, x):
        return reference.evonorm_s0(x, gate, weight, bias, members, eps)
    xp = namespace(x, weight)
    y, mean, inverse = xp.empty(x.shape, x.dtype), xp.empty(len(x), np.float64), xp.empty(len(x), x.dtype)
    launch(kernel, row_blocks(x), x, gate, weight, bias, y, mean, inverse, *x.shape, len(weight), members, eps)
    return y, mean, inverse


def row_moments(x: Array) -> tuple[Array, Array]:
    """Return mean and variance of every row of `x` (rows, n), float64."""
    kernel = get_kernel(_SOURCE, "row_moments", x.dtype)
    if not use_compiled(kernel, x):
        return reference.row_moments(x)
    xp = namespace(x)
    mean, square = xp.empty(len(x), np.float64), xp.empty(len(x), np.float64)
    launch(kernel, row_blocks(x), x, mean, square, *x.shape)
    return mean, square


def _evonorm_b0_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `evonorm_b0`: dx from the quotient, then from the variances of sample and batch."""
    rows, gate, weight, (mean, own, center, batch), training = residuals
    d, *factors = _working(dout, gate, weight)
    d = d.reshape(rows.shape)
    xp, dtype, (count, n), channels = namespace(rows), rows.dtype, rows.shape, len(weight)
    roots = batch.astype(dtype), own.reshape(-1).astype(dtype)
    sums = b0_sums(d, rows, *roots, factors[0]).reshape(count // channels, channels, 5)
    wide = weight.astype(np.float64)
    tilt = sums[:, :, 3] * wide / n  # of (x - mean) / own: the quotient by own^2 leaves float32
    lift = xp.zeros_like(tilt)
    if training:
        across = sums[:, :, 2].sum(axis=0) * wide / (max(count // channels, 1) * n * batch)
        tilt, lift = tilt + across * own, across * (mean - center)
    lift = lift - (mean - mean.astype(dtype)) / own * tilt
    shifts = (a.reshape(-1).astype(dtype) for a in (mean, tilt, lift))
    dx = b0_vjp(d, rows, *roots, *factors, *shifts).reshape(dout.shape).astype(dout.dtype, copy=False)
    plain, ratio, gated = (sums[:, :, k].sum(axis=0) for k in (0, 1, 4))
    return dx, (gated * wide).astype(gate.dtype), ratio.astype(weight.dtype), plain.astype(weight.dtype)


def b0_sums(d: Array, x: Array, batch: Array, own: Array, gate: Array) -> Array:
    """Return the five sums of every row that the derivative of `evonorm_b0` takes, (rows, 5) float64."""
    kernel = get_kernel(_SOURCE, "evonorm_b0_sums", x.dtype)
    if not use_compiled(kernel, x):
        return reference.evonorm_b0_sums(d, x, batch, own, gate)
    sums = namespace(x, d).empty((len(x), 5), np.float64)
    launch(kernel, row_blocks(x), d, x, batch, own, gate, sums, *x.shape, len(gate))
    return sums


def b0_vjp(d: Array, x: Array, *arrays: Array) -> Array:
    """Return the gradient for x of `evonorm_b0`, given roots, weights, and mean, tilt and lift of every row."""
    kernel = get_kernel(_SOURCE, "evonorm_b0_vjp", x.dtype)
    if not use_compiled(kernel, x):
        return reference.evonorm_b0_vjp(d, x, *arrays)
    dx = namespace(x, d).empty(x.shape, x.dtype)
    launch(kernel, row_blocks(x), d, x, *arrays, dx, *x.shape, len(arrays[0]))
    return dx


def b0_apply(x: Array, *arrays: Array) -> Array:
    """Return x weight / max(batch, gate x + own) + bias, given batch, own, gate, weight and bias."""
    kernel = get_kernel(_SOURCE, "evonorm_b0", x.dtype)
    if not use_compiled(kernel, x):
        return reference.evonorm_b0(x, *arrays)
    y = namespace(x).empty(x.shape, x.dtype)
    launch(kernel, row_blocks(x), x, *arrays, y, *x.shape, len(arrays[0]))
    return y


@op(vjp=_evonorm_b0_vjp)
def evonorm_b0(
    x: Array,
    gate: Array,
    weight: Array,
    bias: Array,
    *,
    statistics: Mapping[str, Array] | None = None,
    training: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> tuple[Array, Any]:
    """Normalize and activate in one step by statistics of the batch and of each sample: EvoNorm-B0.

        y = weight x / max(sqrt(var_batch + eps), gate x + sqrt(var_sample + eps)) + bias

    The variance of the batch is over batch and grid, that of the sample over the grid; in evaluation the running one
    stands in for that of the batch.

    Parameters
    ----------
    x : (batch, channel, *grid) array
        float16 is normalized in float32.
    gate, weight, bias : (channel,) arrays
        Start at 1, 1 and 0.
    statistics : dict of arrays, optional
        `variance` (channel,), and `count` (1,) of batches, 0 at the start: changed in place in training, used in
        evaluation. The running variance is unbiased: times n / (n - 1) for n numbers of a channel.
    training : bool
    momentum : float
        Weight of a new batch in the running variance; the first ones have 1, 1/2, 1/3, ... down to it.
    eps : float

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError, DTypeError, InvalidValueError

    Notes
    -----
    Two reads of `x` and one write. The batch is that of this process: no sum over ranks. With one sample both variances
    are the same, and results depend on the sample alone. Statistics change in each call in training, so the op must not
    be inside of `sci.nn.checkpoint`, which calls twice.

    References
    ----------
    Liu et al., NeurIPS 2020, arXiv:2004.02967, table 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import evonorm_b0
    >>> evonorm_b0(np.array([[[1.0, 3.0]]]), np.zeros(1), np.ones(1), np.zeros(1), eps=0.0)
    array([[[1., 3.]]])
    """
    _checked(x, "evonorm_b0", eps, gate, weight, bias)
    _check_statistics(x, statistics, training, momentum)
    work, *factors = _working(x, gate, weight, bias)
    xp, (samples, channels) = namespace(work), x.shape[:2]
    rows = work.reshape(samples * channels, math.prod(x.shape[2:]))
    mean, square = (a.reshape(samples, channels) for a in row_moments(rows))
    _check_variance(square, x)
    own, center = xp.sqrt(square + eps), None
    if training:
        center = mean.mean(axis=0) if samples else xp.zeros(channels)
        variance = (square + (mean - center) ** 2).mean(axis=0) if samples else xp.ones(channels)
        if statistics is not None and samples:
            _update(statistics, variance, samples * rows.shape[1], momentum)
    else:
        variance = statistics["variance"].astype(np.float64)  # type: ignore[index]
    batch = xp.sqrt(variance + eps)
    y = b0_apply(rows, batch.astype(rows.dtype), own.reshape(-1).astype(rows.dtype), *factors)
    out = y.reshape(x.shape).astype(x.dtype, copy=False)
    return out, (rows, gate, weight, (mean, own, center, batch), training)


def _check_variance(square: Array, x: Array) -> None:
    """Refuse squares beyond float64, which only float64 entries reach."""
    if x.dtype == np.float64 and not bool(namespace(square).isfinite(square).all()):
        raise InvalidValueError("evonorm_b0 of entries whose variance leaves float64; expected finite ones up to 1e150")


def _check_statistics(x: Array, statistics: Mapping[str, Array] | None, training: bool, momentum: float) -> None:
    if not 0 < momentum <= 1:
        raise InvalidValueError(f"momentum is {momentum}; expected a weight above 0, at most 1")
    if statistics is not None and tuple(statistics["variance"].shape) != tuple(x.shape[1:2]):
        raise ShapeError(
            f"running variance of shape {tuple(statistics['variance'].shape)}; expected ({x.shape[1]},), that of the "
            "channels"
        )
    if not training and (statistics is None or not float(statistics["count"][0])):
        raise InvalidValueError(
            "evaluation without the statistics of a batch; pass the statistics of a training, or training=True"
        )


def _update(statistics: Mapping[str, Array], variance: Array, n: int, momentum: float) -> None:
    """Move the running variance towards the unbiased one of a batch with `n` numbers a channel."""
    weight = max(momentum, 1 / (float(statistics["count"][0]) + 1))
    found = variance * (n / max(n - 1, 1))
    statistics["variance"][...] += (weight * (found - statistics["variance"])).astype(statistics["variance"].dtype)
    statistics["count"][...] += 1
