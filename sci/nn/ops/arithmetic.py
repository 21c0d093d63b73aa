"""Elementwise sums, products and powers as ops; real and complex, with broadcasting."""

from __future__ import annotations

import numbers
import operator
from typing import Any

from sci.arguments import Real
from sci.backend import Array
from sci.errors import InvalidValueError, ShapeError
from sci.nn.core.dual import sum_of
from sci.nn.core.op import op
from sci.nn.core.operand import variable_method
from sci.nn.ops.checks import broadcast

__all__ = ["add", "channel_scale", "divide", "multiply", "negative", "power", "scale_shift", "subtract", "unbroadcast"]

Kind = tuple[tuple[int, ...], Any] | None
"""Shape and dtype of an operand; None for a number."""
_NUMBERS = frozenset({bool, int, float, complex})


def kind_of(x: Any) -> Kind:
    """Return the shape and dtype of an operand, or None for a Python number, which has no gradient."""
    return None if type(x) in _NUMBERS else (x.shape, x.dtype)


def unbroadcast(gradient: Array, kind: Kind) -> Any:
    """Undo broadcasting and promotion of an operand of a given shape and dtype.

    Sums over the axes that were added or stretched, and drops an imaginary part that was added. The gradient of
    integers stays in floats.
    """
    if kind is None:
        return None
    shape, dtype = kind
    if gradient.shape == shape and gradient.dtype == dtype:
        return gradient
    extra = gradient.ndim - len(shape)
    axes = (*range(extra), *(extra + k for k, n in enumerate(shape) if n == 1 and gradient.shape[extra + k] != 1))
    if axes:
        gradient = gradient.sum(axis=axes, keepdims=True).reshape(shape)
    if dtype.kind != "c" and gradient.dtype.kind == "c":
        gradient = gradient.real
    return gradient.astype(dtype, copy=False) if dtype.kind in "fc" else gradient


def _conj(x: Any) -> Any:
    return x.conjugate() if type(x) in _NUMBERS else x.conj()


def _add_vjp(dout: Array, residuals: Any) -> tuple[Any, Any]:
    return unbroadcast(dout, residuals[0]), unbroadcast(dout, residuals[1])


@variable_method("add")
@op(vjp=_add_vjp, jvp="linear")
def add(a: Any, b: Any) -> tuple[Array, Any]:
    """Return a + b, broadcast.

    Parameters
    ----------
    a : array
        The left operand.
    b : array
        The right operand.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import add
    >>> add(np.ones((2, 1)), np.ones(3)).shape
    (2, 3)
    """
    return broadcast("add", operator.add, a, b), (kind_of(a), kind_of(b))


def _subtract_vjp(dout: Array, residuals: Any) -> tuple[Any, Any]:
    return unbroadcast(dout, residuals[0]), unbroadcast(-dout, residuals[1])


@variable_method("subtract")
@op(vjp=_subtract_vjp, jvp="linear")
def subtract(a: Any, b: Any) -> tuple[Array, Any]:
    """Return a - b, broadcast.

    Parameters
    ----------
    a : array
        The left operand.
    b : array
        The right operand.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import subtract
    >>> subtract(np.array([3.0, 2.0]), 1.0)
    array([2., 1.])
    """
    return broadcast("subtract", operator.sub, a, b), (kind_of(a), kind_of(b))


def _multiply_vjp(dout: Array, residuals: Any) -> tuple[Any, Any]:
    """Return the gradients dout conj(b) and conj(a) dout."""
    a, b = residuals
    da = None if type(a) in _NUMBERS else unbroadcast(dout * _conj(b), (a.shape, a.dtype))
    db = None if type(b) in _NUMBERS else unbroadcast(dout * _conj(a), (b.shape, b.dtype))
    return da, db


@variable_method("multiply")
@op(vjp=_multiply_vjp, jvp="multilinear")
def multiply(a: Any, b: Any) -> tuple[Array, Any]:
    """Return a b elementwise, broadcast.

    Parameters
    ----------
    a : array
        The left operand.
    b : array
        The right operand.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import multiply
    >>> multiply(np.array([3.0, 2.0]), 2.0)
    array([6., 4.])
    """
    return broadcast("multiply", operator.mul, a, b), (a, b)


def _divide_vjp(dout: Array, residuals: Any) -> tuple[Any, Any]:
    """Return the gradients dout / conj(b) and -dout conj(a / b) / conj(b)."""
    out, of_a, b = residuals
    of_b = kind_of(b)
    da = dout / _conj(b)
    return unbroadcast(da, of_a), None if of_b is None else unbroadcast(-da * out.conj(), of_b)


def _divide_jvp(out: Any, args: Any, tangents: Any) -> Any:
    """Return (da - out db) / b."""
    of_a, of_b = tangents
    return sum_of([of_a, None if of_b is None else -(out * of_b)]) / args[1]


@variable_method("divide")
@op(vjp=_divide_vjp, jvp=_divide_jvp)
def divide(a: Any, b: Any) -> tuple[Array, Any]:
    """Return a / b elementwise, broadcast.

    Parameters
    ----------
    a : array
        The left operand.
    b : array
        The right operand.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import divide
    >>> divide(1.0, np.array([4.0, 2.0]))
    array([0.25, 0.5 ])
    """
    out = broadcast("divide", operator.truediv, a, b)
    return out, (out, kind_of(a), b)


def _negative_vjp(dout: Array, residuals: None) -> tuple[Array]:
    return (-dout,)


@variable_method("negative")
@op(vjp=_negative_vjp, jvp="linear")
def negative(x: Array) -> tuple[Array, None]:
    """Return -x.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.

    Returns
    -------
    array or variable

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import negative
    >>> negative(np.array([3.0, -2.0]))
    array([-3.,  2.])
    """
    return -x, None


def _power_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    x, exponent = residuals
    slope = exponent * x ** (exponent - 1) if exponent else 0 * x
    return ((dout * slope.conj()).astype(x.dtype, copy=False),)


def _power_jvp(out: Any, args: Any, tangents: Any, *, exponent: float) -> Any:
    """Return n x^(n - 1) dx; None for a constant."""
    if exponent == 0:
        return None
    return tangents[0] if exponent == 1 else power(args[0], exponent=exponent - 1) * tangents[0] * exponent


@variable_method("power")
@op(vjp=_power_vjp, jvp=_power_jvp)
def power(x: Array, *, exponent: float) -> tuple[Array, Any]:
    """Return x^exponent elementwise for a constant real exponent.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    exponent : float
        Constant.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError
        For an exponent that is no real number.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import power
    >>> power(np.array([3.0, 2.0]), exponent=2)
    array([9., 4.])
    """
    if not isinstance(exponent, numbers.Real):
        raise InvalidValueError(f"power with exponent {exponent!r}; expected a real number")
    exponent = float(exponent) if exponent != int(exponent) else int(exponent)
    return x**exponent, (x, exponent)


def _scale_shift_vjp(dout: Array, residuals: Any) -> tuple[Array]:
    scale, dtype = residuals
    return ((dout * scale).astype(dtype, copy=False),)


def _scale_shift_jvp(out: Any, args: Any, tangents: Any, *, scale: Any, shift: Any) -> Any:
    return scale_shift(tangents[0], scale=scale, shift=0.0)


@op(vjp=_scale_shift_vjp, jvp=_scale_shift_jvp)
def scale_shift(x: Array, *, scale: Real | float, shift: Real | float) -> tuple[Array, Any]:
    """Return x scale + shift with constant real `scale` and `shift` that broadcast to the shape of `x`.

    Parameters
    ----------
    x : array
        On the host or on a device, or a variable.
    scale : array or float
        Constant factor.
    shift : array or float
        Constant summand.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import scale_shift
    >>> scale_shift(np.array([0.0, 1.0]), scale=2.0, shift=-1.0)
    array([-1.,  1.])
    """
    out = broadcast("scale_shift", operator.add, broadcast("scale_shift", operator.mul, x, scale), shift)
    if out.shape != x.shape:
        raise ShapeError(f"scale_shift of shape {tuple(x.shape)} to {tuple(out.shape)}; expected constants that fit x")
    return out.astype(x.dtype, copy=False), (scale, x.dtype)


def _channel_scale_vjp(dout: Array, residuals: Any) -> tuple[Array, Array]:
    x, gate = residuals
    dx = unbroadcast(dout * gate.conj(), kind_of(x))
    return dx, unbroadcast(dout * x.conj(), kind_of(gate)).reshape(-1)


@op(vjp=_channel_scale_vjp, jvp="multilinear")
def channel_scale(x: Array, weight: Array) -> tuple[Array, Any]:
    """Return x times one number per channel: `x` (batch, channel, *grid), `weight` (channel,).

    Parameters
    ----------
    x : (batch, channel, *grid) array
        The fields.
    weight : (channel,) array
        The numbers.

    Returns
    -------
    array or variable

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import channel_scale
    >>> channel_scale(np.ones((1, 2, 2)), np.array([1.0, 3.0]))
    array([[[1., 1.],
            [3., 3.]]])
    """
    if x.ndim < 2 or weight.shape != x.shape[1:2]:
        raise ShapeError(
            f"channel_scale of x {tuple(x.shape)} by weight {tuple(weight.shape)}; expected (batch, channel, *grid) "
            "and (channel,)"
        )
    gate = weight.reshape(-1, *(1,) * (x.ndim - 2))
    return x * gate, (x, gate)
