"""Sums, products and contractions as pairs for the tape; real and complex, with broadcasting."""

from __future__ import annotations

import math
from typing import Any

from sci.backend import Array, is_device_array, namespace
from sci.errors import InvalidValueError

__all__ = [
    "add",
    "add_vjp",
    "affine",
    "affine_vjp",
    "einsum",
    "einsum_vjp",
    "linear",
    "linear_vjp",
    "matmul",
    "matmul_vjp",
    "mean_over",
    "mean_over_vjp",
    "mix_channels",
    "mix_channels_vjp",
    "multiply",
    "multiply_vjp",
    "outer_sum",
    "soft_gate",
    "soft_gate_vjp",
    "subtract",
    "subtract_vjp",
    "sum_over",
    "sum_over_vjp",
]

DEVICE_POINTS = 512
"""Points of a piece of a row on a device, see `outer_sum`."""

Axes = int | tuple[int, ...] | None


def _fit(gradient: Array, like: tuple[tuple[int, ...], Any]) -> Array:
    """Undo broadcasting and promotion: sum over the axes that were added or stretched, drop an added imaginary part."""
    shape, dtype = like
    if gradient.shape == shape and gradient.dtype == dtype:
        return gradient
    extra = gradient.ndim - len(shape)
    axes = (*range(extra), *(extra + k for k, n in enumerate(shape) if n == 1 and gradient.shape[extra + k] != 1))
    if axes:
        gradient = gradient.sum(axis=axes, keepdims=True).reshape(shape)
    if dtype.kind == "f" and gradient.dtype.kind == "c":
        gradient = gradient.real
    return gradient.astype(dtype, copy=False)


def _plus(out: Array, bias: Array) -> Array:
    """Return out + bias, in the memory of `out` where the dtype allows it."""
    if out.dtype.kind != bias.dtype.kind:
        return out + bias
    out += bias
    return out


def add(a: Array, b: Array) -> tuple[Array, Any]:
    """Return a + b, broadcast."""
    return a + b, ((a.shape, a.dtype), (b.shape, b.dtype))


def add_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    """Return the gradients of `add`."""
    return _fit(dout, residuals[0]), _fit(dout, residuals[1])


def subtract(a: Array, b: Array) -> tuple[Array, Any]:
    """Return a - b, broadcast."""
    return a - b, ((a.shape, a.dtype), (b.shape, b.dtype))


def subtract_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    """Return the gradients of `subtract`."""
    return _fit(dout, residuals[0]), _fit(-dout, residuals[1])


def multiply(a: Array, b: Array) -> tuple[Array, Any]:
    """Return a b elementwise, broadcast."""
    return a * b, (a, b)


def multiply_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    """Return the gradients of `multiply`."""
    a, b = residuals
    return _fit(dout * b.conj(), (a.shape, a.dtype)), _fit(dout * a.conj(), (b.shape, b.dtype))


def affine(x: Array, *, scale: Any, shift: Any) -> tuple[Array, Any]:
    """Return x scale + shift with constant `scale` and `shift` that broadcast to the shape of `x`."""
    return (x * scale + shift).astype(x.dtype, copy=False), (scale, x.dtype)


def affine_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `affine`."""
    scale, dtype = residuals
    return ((dout * scale).astype(dtype, copy=False),)


def soft_gate(x: Array, weight: Array) -> tuple[Array, Any]:
    """Return x times one number a channel: `x` (batch, channel, *grid), `weight` (channel,)."""
    gate = weight.reshape(-1, *(1,) * (x.ndim - 2))
    return x * gate, (x, gate)


def soft_gate_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    """Return the gradients of `soft_gate`."""
    x, gate = residuals
    dx, dgate = multiply_vjp(dout, (x, gate))
    return dx, dgate.reshape(-1)


def linear(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Any]:
    """Return x W^T + b over the last axis: `x` (..., in), `weight` (out, in), `bias` (out,) or None."""
    out = namespace(x, weight).matmul(x, weight.T)
    if bias is not None:
        out = _plus(out, bias)
    return out, (x, weight, None if bias is None else (bias.shape, bias.dtype))


def linear_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `linear`; one entry for each argument that it was given."""
    x, weight, biased = residuals
    rows = dout.reshape(-1, dout.shape[-1])
    dx, dweight = dout @ weight.conj(), rows.T @ x.conj().reshape(-1, x.shape[-1])
    found = _fit(dx, (x.shape, x.dtype)), _fit(dweight, (weight.shape, weight.dtype))
    return *found, *((_fit(rows.sum(axis=0), biased),) if biased else ())


def mix_channels(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Any]:
    """Return y[b, o, ...] = sum_i W[o, i] x[b, i, ...] + bias[o], the convolution with a kernel of one point.

    Parameters
    ----------
    x : (batch, in, *grid) array
    weight : (out, in) array
    bias : (out,) array, optional

    Notes
    -----
    2 batch in out points flops, as matrix products without transposed copies of `x`.
    """
    xp = namespace(x, weight)
    flat = x.reshape(x.shape[0], x.shape[1], -1)
    out = xp.matmul(weight, flat)
    if bias is not None:
        out = _plus(out, bias[:, None])
    biased = None if bias is None else (bias.shape, bias.dtype)
    return out.reshape(x.shape[0], weight.shape[0], *x.shape[2:]), (flat, weight, biased, x.shape)


def outer_sum(a: Array, b: Array) -> Array:
    """Return the sum over samples and points of a (s, m, p) b (s, n, p): (m, n).

    Notes
    -----
    On a device long rows are cut: BLAS gives a product of few entries few blocks of threads, however long its sums.
    """
    xp, points = namespace(a, b), a.shape[2]
    pieces = points // DEVICE_POINTS if is_device_array(a) else 0
    if pieces < 2:
        products = xp.matmul(a, b.swapaxes(1, 2))
        return products[0] if len(products) == 1 else products.sum(axis=0)
    cut = pieces * DEVICE_POINTS
    left, right = (x[:, :, :cut].reshape(*x.shape[:2], pieces, DEVICE_POINTS).swapaxes(1, 2) for x in (a, b))
    total = xp.matmul(left, right.swapaxes(2, 3)).sum(axis=(0, 1))
    return total + outer_sum(a[:, :, cut:], b[:, :, cut:]) if cut < points else total


def mix_channels_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `mix_channels`; one entry for each argument that it was given."""
    flat, weight, biased, shape = residuals
    xp = namespace(dout, flat)
    rows = dout.reshape(dout.shape[0], dout.shape[1], -1)
    dx = _fit(xp.matmul(weight.conj().T, rows), (flat.shape, flat.dtype)).reshape(shape)
    dweight = _fit(outer_sum(rows, flat.conj()), (weight.shape, weight.dtype))
    return dx, dweight, *((_fit(rows.sum(axis=2).sum(axis=0), biased),) if biased else ())


def matmul(a: Array, b: Array) -> tuple[Array, Any]:
    """Return the matrix products a b of the last two axes, the others broadcast; both have two axes or more."""
    return namespace(a, b).matmul(a, b), (a, b)


def matmul_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    """Return the gradients of `matmul`: dout b^H and a^H dout."""
    a, b = residuals
    xp = namespace(a, b, dout)
    da, db = xp.matmul(dout, b.conj().swapaxes(-1, -2)), xp.matmul(a.conj().swapaxes(-1, -2), dout)
    return _fit(da, (a.shape, a.dtype)), _fit(db, (b.shape, b.dtype))


def einsum(*operands: Array, subscripts: str) -> tuple[Array, Any]:
    """Return the contraction `subscripts`, like "bi,io->bo", with an explicit right side.

    Raises
    ------
    InvalidValueError
        For an ellipsis, no "->", an index twice in one operand, or an index of one operand alone: sum that one first.

    Notes
    -----
    The gradient of an operand is the contraction of dout with the other operands, conjugated.
    """
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if not arrow or "." in subscripts or len(terms) != len(operands):
        raise InvalidValueError(f"einsum of {len(operands)} arrays by {subscripts!r}; expected like 'bi,io->bo'")
    for k, term in enumerate(terms):
        others = right + "".join(terms[:k] + terms[k + 1 :])
        if len(set(term)) != len(term) or not set(term) <= set(others):
            raise InvalidValueError(
                f"einsum by {subscripts!r}: an index of {term!r} is in no other term, or twice in it"
            )
    out = namespace(*operands).einsum(f"{left}->{right}", *operands, optimize=True)
    return out, (operands, terms, right)


def einsum_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the gradients of `einsum`."""
    operands, terms, right = residuals
    xp = namespace(dout, *operands)
    gradients = []
    for k, operand in enumerate(operands):
        others = [o.conj() for o in (*operands[:k], *operands[k + 1 :])]
        subscripts = ",".join([right, *terms[:k], *terms[k + 1 :]]) + "->" + terms[k]
        gradient = xp.einsum(subscripts, dout, *others, optimize=True)
        gradients.append(_fit(gradient, (operand.shape, operand.dtype)))
    return tuple(gradients)


def _kept(x: Array, axis: Axes) -> tuple[int, ...]:
    """The shape of a reduction of `x` that keeps its axes."""
    axes = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    reduced = {a % x.ndim for a in axes}
    return tuple(1 if k in reduced else n for k, n in enumerate(x.shape))


def sum_over(x: Array, *, axis: Axes = None) -> tuple[Array, Any]:
    """Return the sum over `axis`, or over everything."""
    return x.sum(axis=axis), (x.shape, _kept(x, axis))


def sum_over_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `sum_over`."""
    shape, kept = residuals
    share = dout.reshape(kept)
    return (namespace(share).broadcast_to(share, shape),)


def mean_over(x: Array, *, axis: Axes = None) -> tuple[Array, Any]:
    """Return the mean over `axis`, or over everything."""
    return x.mean(axis=axis), (x.shape, _kept(x, axis))


def mean_over_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    """Return the gradient of `mean_over`."""
    shape, kept = residuals
    share = dout.reshape(kept) * (math.prod(kept) / math.prod(shape))
    return (namespace(share).broadcast_to(share, shape),)
