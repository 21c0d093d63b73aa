"""Matrix products and contractions as ops; real and complex."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

from sci.backend import Array, is_device_array, namespace
from sci.errors import InvalidValueError, ShapeError
from sci.nn.core.coded import CodedArray, decoded
from sci.nn.core.dual import sum_of
from sci.nn.core.op import op
from sci.nn.core.operand import variable_method
from sci.nn.core.tape import value_of
from sci.nn.ops.arithmetic import kind_of, unbroadcast
from sci.nn.ops.checks import broadcast
from sci.nn.ops.shaping import reshape
from sci.tensor import plan_contraction
from sci.tensor.contraction.network import run_network, run_network_vjp

__all__ = ["einsum", "linear", "matmul", "outer_sum", "pointwise_conv"]

Wanted: TypeAlias = tuple[bool, ...]
"""For each argument, whether its gradient is asked for."""
ALL: Wanted = (True, True, True)
DEVICE_POINTS = 512
"""Points of a piece of a row on a device, see `outer_sum`."""


def _shape(bias: Array | None) -> tuple[int, ...] | None:
    return None if bias is None else tuple(bias.shape)


def _plus(out: Array, bias: Array) -> Array:
    """Return out + bias, in the memory of `out` where the dtype allows it."""
    if out.dtype.kind != bias.dtype.kind:
        return out + bias
    out += bias
    return out


def biased_tangent(op: Any, out: Any, args: Any, tangents: Any, axis: int, **options: Any) -> Any:
    """Return the tangent of op(x, weight, bias): the bias is added along `axis`, and is the last argument or missing.

    A rule `jvp` of products with a bias.
    """
    (x, weight), (of_x, of_weight) = args[:2], tangents[:2]
    terms = [
        None if of_x is None else op(of_x, weight, **options),
        None if of_weight is None else op(x, of_weight, **options),
    ]
    of_bias = tangents[2] if len(tangents) > 2 else None
    if of_bias is not None:
        value = value_of(out)
        shape = tuple(-1 if k == axis % value.ndim else 1 for k in range(value.ndim))
        terms.append(namespace(value).zeros(value.shape, value.dtype) + reshape(of_bias, shape=shape))
    return sum_of(terms)


def _linear_vjp(dout: Array, residuals: Any, *, wanted: Wanted = ALL) -> tuple[Any, Any, Any]:
    x, weight, biased = residuals
    count = math.prod(dout.shape[:-1])
    rows = dout.reshape(count, dout.shape[-1])
    dx = unbroadcast(dout @ weight.conj(), kind_of(x)) if wanted[0] else None
    dweight = unbroadcast(rows.T @ x.conj().reshape(count, x.shape[-1]), kind_of(weight)) if wanted[1] else None
    return dx, dweight, unbroadcast(rows.sum(axis=0), biased) if biased and wanted[2] else None


def _linear_jvp(out: Any, args: Any, tangents: Any) -> Any:
    return biased_tangent(linear, out, args, tangents, -1)


def _fits_codes(x: Any, weight: Any, axis: int) -> bool:
    """Whether a weight of codes is a matrix for the axis of plain inputs; if not, the op says what does not fit."""
    known = isinstance(weight, CodedArray) and len(weight.shape) == 2 and weight.has_rows((0,))
    return known and not isinstance(x, CodedArray) and x.ndim > abs(axis) and x.shape[axis] == weight.shape[1]


def _linear_coded(x: Any, weight: Any, bias: Any = None) -> Any:
    bias = decoded(bias)
    if not _fits_codes(x, weight, -1) or (bias is not None and bias.shape != weight.shape[:1]):
        return linear(decoded(x), decoded(weight), bias)
    out = weight.product(x)
    return out if bias is None else _plus(out, bias)


@op(vjp=_linear_vjp, jvp=_linear_jvp, coded=_linear_coded)
def linear(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Any]:
    """Return x W^T + b over the last axis: `x` (..., in), `weight` (out, in), `bias` (out,) or None.

    Parameters
    ----------
    x : (..., in) array
        The inputs.
    weight : (out, in) array
        The matrix.
    bias : (out,) array, optional
        The summands.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import linear
    >>> linear(np.array([1.0, 2.0]), np.array([[3.0, 4.0]]), np.array([0.5]))
    array([11.5])
    """
    fits = weight.ndim == 2 and x.ndim > 0 and x.shape[-1] == weight.shape[1]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ShapeError(
            f"linear of x {tuple(x.shape)}, weight {tuple(weight.shape)}, bias {_shape(bias)}; expected (..., in), "
            "(out, in) and (out,) or None"
        )
    out = namespace(x, weight).matmul(x, weight.T)
    if bias is not None:
        out = _plus(out, bias)
    return out, (x, weight, None if bias is None else kind_of(bias))


def _pointwise_conv_vjp(dout: Array, residuals: Any, *, wanted: Wanted = ALL) -> tuple[Any, Any, Any]:
    flat, weight, biased, shape = residuals
    xp = namespace(dout, flat)
    rows = dout.reshape(dout.shape[0], dout.shape[1], math.prod(dout.shape[2:]))
    dx = unbroadcast(xp.matmul(weight.conj().T, rows), kind_of(flat)).reshape(shape) if wanted[0] else None
    dweight = unbroadcast(outer_sum(rows, flat.conj()), kind_of(weight)) if wanted[1] else None
    return dx, dweight, unbroadcast(rows.sum(axis=2).sum(axis=0), biased) if biased and wanted[2] else None


def _pointwise_conv_jvp(out: Any, args: Any, tangents: Any) -> Any:
    return biased_tangent(pointwise_conv, out, args, tangents, 1)


def _pointwise_conv_coded(x: Any, weight: Any, bias: Any = None) -> Any:
    bias = decoded(bias)
    if not _fits_codes(x, weight, 1) or (bias is not None and bias.shape != weight.shape[:1]):
        return pointwise_conv(decoded(x), decoded(weight), bias)
    points = namespace(x).moveaxis(x.reshape(x.shape[0], x.shape[1], math.prod(x.shape[2:])), 1, 2)
    out = weight.product(points)
    if bias is not None:
        out = _plus(out, bias)
    return namespace(x).ascontiguousarray(namespace(x).moveaxis(out, 2, 1)).reshape(len(x), -1, *x.shape[2:])


@op(vjp=_pointwise_conv_vjp, jvp=_pointwise_conv_jvp, coded=_pointwise_conv_coded)
def pointwise_conv(x: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Any]:
    """Return the 1 x 1 convolution y[b, o, ...] = sum_i W[o, i] x[b, i, ...] + bias[o].

    Parameters
    ----------
    x : (batch, in, *grid) array
    weight : (out, in) array
    bias : (out,) array, optional

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Notes
    -----
    2 batch in out points flops, as matrix products without transposed copies of `x`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import pointwise_conv
    >>> pointwise_conv(np.ones((2, 3, 8, 8)), np.ones((5, 3))).shape
    (2, 5, 8, 8)
    """
    fits = weight.ndim == 2 and x.ndim > 1 and x.shape[1] == weight.shape[1]
    if not fits or (bias is not None and bias.shape != weight.shape[:1]):
        raise ShapeError(
            f"pointwise_conv of x {tuple(x.shape)}, weight {tuple(weight.shape)}, bias {_shape(bias)}; expected "
            "(batch, in, *grid), (out, in) and (out,) or None"
        )
    xp = namespace(x, weight)
    flat = x.reshape(x.shape[0], x.shape[1], math.prod(x.shape[2:]))
    out = xp.matmul(weight, flat)
    if bias is not None:
        out = _plus(out, bias[:, None])
    biased = None if bias is None else kind_of(bias)
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


def _matmul_vjp(dout: Array, residuals: Any, *, wanted: Wanted = ALL) -> tuple[Any, Any]:
    """Return the gradients dout b^H and a^H dout."""
    a, b = residuals
    xp = namespace(a, b, dout)
    da = unbroadcast(xp.matmul(dout, b.conj().swapaxes(-1, -2)), kind_of(a)) if wanted[0] else None
    return da, unbroadcast(xp.matmul(a.conj().swapaxes(-1, -2), dout), kind_of(b)) if wanted[1] else None


@variable_method("matmul")
@op(vjp=_matmul_vjp, jvp="multilinear")
def matmul(a: Array, b: Array) -> tuple[Array, Any]:
    """Return the matrix products a b of the last two axes, the others broadcast; both have two axes or more.

    Parameters
    ----------
    a : (..., m, k) array
        The left factor.
    b : (..., k, n) array
        The right factor.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError
        Also for vectors: use `linear`, or give them a second axis of length 1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import matmul
    >>> matmul(np.ones((4, 2, 3)), np.ones((3, 5))).shape
    (4, 2, 5)
    """
    xp = namespace(a, b)
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            f"matmul of shapes {tuple(a.shape)} and {tuple(b.shape)}; expected (..., n, k) and (..., k, m); give a "
            "vector a second axis of length 1"
        )
    return broadcast("matmul", xp.matmul, a, b), (a, b)


def _check_sizes(subscripts: str, terms: list[str], operands: tuple[Array, ...]) -> None:
    """Raise ShapeError unless every operand has the axes of its term, and every index one length."""
    lengths: dict[str, int] = {}
    for term, operand in zip(terms, operands):
        same = len(term) == operand.ndim and all(lengths.setdefault(i, n) == n for i, n in zip(term, operand.shape))
        if not same:
            shapes = ", ".join(str(tuple(o.shape)) for o in operands)
            raise ShapeError(f"einsum by {subscripts!r} of shapes {shapes}; expected one length for each index")


def _einsum_vjp(dout: Array, residuals: Any, *, wanted: Wanted | None = None) -> tuple[Any, ...]:
    operands, terms, right, steps, values = residuals
    if steps:
        found = run_network_vjp(steps, values, dout)
        return (None, *(unbroadcast(found[str(k)], kind_of(operand)) for k, operand in enumerate(operands)))
    xp = namespace(dout, *operands)
    gradients: list[Any] = [None]
    for k, operand in enumerate(operands):
        if wanted is not None and not wanted[1 + k]:
            gradients.append(None)
            continue
        others = [o.conj() for o in (*operands[:k], *operands[k + 1 :])]
        subscripts = ",".join([right, *terms[:k], *terms[k + 1 :]]) + "->" + terms[k]
        gradient = xp.einsum(subscripts, dout, *others, optimize=True)
        gradients.append(unbroadcast(gradient, kind_of(operand)))
    return tuple(gradients)


@op(vjp=_einsum_vjp, jvp="multilinear")
def einsum(subscripts: str, *operands: Array) -> tuple[Array, Any]:
    """Return the contraction of `operands` by `subscripts`, like "bi,io->bo", with an explicit right side.

    Parameters
    ----------
    subscripts : str
        With an arrow: "bi,io->bo".
    *operands : arrays
        One for each term on the left.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        For an ellipsis, no "->", an index twice in one operand, or an index of one operand alone: sum that one first.
    ShapeError
        If the operands do not have the axes of `subscripts`.

    Notes
    -----
    Three operands or more are multiplied two at a time in the order of least work, see `sci.tensor.plan_contraction`;
    the gradients go back through the same products.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import einsum
    >>> einsum("bi,io->bo", np.ones((2, 3)), np.ones((3, 1)))
    array([[3.],
           [3.]])
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
    if not set(right) <= set("".join(terms)) or len(set(right)) != len(right):
        raise InvalidValueError(f"einsum by {subscripts!r}: an index of {right!r} is in no operand, or twice in it")
    _check_sizes(subscripts, terms, operands)
    if len(operands) < 3:
        out = namespace(*operands).einsum(f"{left}->{right}", *operands, optimize=True)
        return out, (operands, terms, right, (), {})
    lengths = {i: max(1, n) for term, operand in zip(terms, operands) for i, n in zip(term, operand.shape)}
    plan = plan_contraction(f"{left}->{right}", lengths)
    values = run_network(plan.steps, {str(k): operand for k, operand in enumerate(operands)})
    return values[plan.result], (operands, terms, right, plan.steps, values)
