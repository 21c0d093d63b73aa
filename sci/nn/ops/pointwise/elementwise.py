"""Elementwise functions as ops, with NumPy's names; real and complex where NumPy's are."""

from __future__ import annotations

import operator
from typing import Any

from sci.arguments import Real
from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.dual import refuse_second_derivative
from sci.nn.core.op import op
from sci.nn.core.operand import variable_method
from sci.nn.core.tape import value_of
from sci.nn.ops.arithmetic import kind_of, unbroadcast
from sci.nn.ops.checks import broadcast, require_real

__all__ = ["absolute", "clip", "cos", "exp", "log", "maximum", "minimum", "sin", "sqrt", "where"]


def times_slope(dout: Array, slope: Array) -> tuple[Array]:
    """Return the gradient of a function whose residual is its derivative."""
    return (dout * slope,)


def _exp_vjp(dout: Array, out: Array) -> tuple[Array]:
    """Return the gradient of `exp`: dout conj(e^x)."""
    return (dout * out.conj(),)


def _exp_jvp(out: Any, args: Any, tangents: Any) -> Any:
    """Return e^x dx."""
    return out * tangents[0]


@variable_method("exp")
@op(vjp=_exp_vjp, jvp=_exp_jvp)
def exp(x: Array) -> tuple[Array, Array]:
    """Return e^x elementwise.

    Parameters
    ----------
    x : array
        Real or complex, on the host or on a device, or a variable.

    Returns
    -------
    array or variable

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import exp
    >>> exp(np.array([0.0, 1.0])).round(4)
    array([1.    , 2.7183])
    """
    out = namespace(x).exp(x)
    return out, out


def _log_vjp(dout: Array, x: Array) -> tuple[Array]:
    """Return the gradient of `log`: dout / conj(x)."""
    return (dout / x.conj(),)


def _log_jvp(out: Any, args: Any, tangents: Any) -> Any:
    """Return dx / x."""
    return tangents[0] / args[0]


@op(vjp=_log_vjp, jvp=_log_jvp)
def log(x: Array) -> tuple[Array, Array]:
    """Return the natural logarithm elementwise.

    Parameters
    ----------
    x : array
        Real or complex, on the host or on a device, or a variable.

    Returns
    -------
    array or variable

    Notes
    -----
    As NumPy's: -inf at 0 and NaN below it for real `x`, with a warning; a training stops at either.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import log
    >>> log(np.array([1.0, 2.0])).round(4)
    array([0.    , 0.6931])
    """
    return namespace(x).log(x), x


def _sin_vjp(dout: Array, x: Array) -> tuple[Array]:
    """Return the gradient of `sin`: dout conj(cos(x))."""
    return (dout * namespace(x).cos(x).conj(),)


def _sin_jvp(out: Any, args: Any, tangents: Any) -> Any:
    """Return cos(x) dx."""
    return cos(args[0]) * tangents[0]


@op(vjp=_sin_vjp, jvp=_sin_jvp)
def sin(x: Array) -> tuple[Array, Array]:
    """Return sin(x) elementwise.

    Parameters
    ----------
    x : array
        Real or complex, on the host or on a device, or a variable.

    Returns
    -------
    array or variable

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import sin
    >>> sin(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8415])
    """
    return namespace(x).sin(x), x


def _cos_vjp(dout: Array, x: Array) -> tuple[Array]:
    """Return the gradient of `cos`: -dout conj(sin(x))."""
    return (-dout * namespace(x).sin(x).conj(),)


def _cos_jvp(out: Any, args: Any, tangents: Any) -> Any:
    """Return -sin(x) dx."""
    return -(sin(args[0]) * tangents[0])


@op(vjp=_cos_vjp, jvp=_cos_jvp)
def cos(x: Array) -> tuple[Array, Array]:
    """Return cos(x) elementwise.

    Parameters
    ----------
    x : array
        Real or complex, on the host or on a device, or a variable.

    Returns
    -------
    array or variable

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import cos
    >>> cos(np.array([0.0, 1.0])).round(4)
    array([1.    , 0.5403])
    """
    return namespace(x).cos(x), x


def _sqrt_vjp(dout: Array, out: Array) -> tuple[Array]:
    """Return the gradient of `sqrt`: dout / (2 conj(sqrt(x)))."""
    return (dout / (2 * out.conj()),)


def _sqrt_jvp(out: Any, args: Any, tangents: Any) -> Any:
    """Return dx / (2 sqrt(x))."""
    return tangents[0] / (out * 2)


@op(vjp=_sqrt_vjp, jvp=_sqrt_jvp)
def sqrt(x: Array) -> tuple[Array, Array]:
    """Return the square root elementwise.

    Parameters
    ----------
    x : array
        Real or complex, on the host or on a device, or a variable.

    Returns
    -------
    array or variable

    Notes
    -----
    The derivative is infinite at 0: add a small number where `x` may vanish. Negative real numbers give NaN, as in
    NumPy.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import sqrt
    >>> sqrt(np.array([4.0, 2.0])).round(4)
    array([2.    , 1.4142])
    """
    out = namespace(x).sqrt(x)
    return out, out


def _absolute_jvp(out: Any, args: Any, tangents: Any) -> Any:
    """Return sign(x) dx."""
    if out.dtype != args[0].dtype:
        raise DTypeError("absolute of a complex array has no complex derivative; expected real numbers")
    refuse_second_derivative("absolute", *args)
    return tangents[0] * _direction(value_of(args[0]))


def _direction(x: Array) -> Array:
    """Return x / |x|, 0 at 0."""
    xp = namespace(x)
    if x.dtype.kind != "c":
        return xp.sign(x)
    size = xp.abs(x)
    return xp.where(size > 0, x / xp.where(size > 0, size, 1), 0).astype(x.dtype, copy=False)


@variable_method("absolute")
@op(vjp=times_slope, jvp=_absolute_jvp)
def absolute(x: Array) -> tuple[Array, Array]:
    """Return |x| elementwise; the derivative at 0 is 0.

    Parameters
    ----------
    x : array
        Real or complex, on the host or on a device, or a variable.

    Returns
    -------
    array or variable

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import absolute
    >>> absolute(np.array([-2.0, 3.0]))
    array([2., 3.])
    """
    return namespace(x).abs(x), _direction(x)


def _chosen_vjp(dout: Array, residuals: Any) -> tuple[Any, Any]:
    """Return the gradients of `maximum` and `minimum`: dout to the one that was chosen, half to each where equal."""
    share, of_a, of_b = residuals
    return unbroadcast(dout * share, of_a), unbroadcast(dout * (1 - share), of_b)


def _maximum_jvp(out: Any, args: Any, tangents: Any) -> Any:
    return _chosen_jvp("maximum", out, args, tangents, 1.0)


def _minimum_jvp(out: Any, args: Any, tangents: Any) -> Any:
    return _chosen_jvp("minimum", out, args, tangents, -1.0)


def _chosen_jvp(name: str, out: Any, args: Any, tangents: Any, sign: float) -> Any:
    refuse_second_derivative(name, *args)
    share = _share(value_of(args[0]), value_of(args[1]), value_of(out), sign)
    a, b = (0.0 if t is None else t for t in tangents)
    return a * share + b * (1 - share)


def _share(a: Any, b: Any, out: Array, sign: float) -> Array:
    """Return 1 where a is chosen, 0 where b is, 1/2 where they are equal."""
    xp = namespace(a, b)
    return (xp.sign((a - b) * sign).astype(out.dtype) + 1) / 2


@op(vjp=_chosen_vjp, jvp=_maximum_jvp)
def maximum(a: Real | float, b: Real | float) -> tuple[Array, Any]:
    """Return the larger of a and b elementwise, broadcast; NaN where either is.

    Parameters
    ----------
    a, b : real arrays or numbers

    Returns
    -------
    array or variable

    Raises
    ------
    DTypeError, ShapeError

    Notes
    -----
    Where a = b each gets half of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import maximum
    >>> maximum(np.array([1.0, 4.0]), 2.0)
    array([2., 4.])
    """
    require_real("maximum", a, b)
    out = broadcast("maximum", namespace(a, b).maximum, a, b)
    return out, (_share(a, b, out, 1.0), kind_of(a), kind_of(b))


@op(vjp=_chosen_vjp, jvp=_minimum_jvp)
def minimum(a: Real | float, b: Real | float) -> tuple[Array, Any]:
    """Return the smaller of a and b elementwise, broadcast; NaN where either is.

    Parameters
    ----------
    a, b : real arrays or numbers

    Returns
    -------
    array or variable

    Raises
    ------
    DTypeError, ShapeError

    Notes
    -----
    Where a = b each gets half of the gradient.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import minimum
    >>> minimum(np.array([1.0, 4.0]), 2.0)
    array([1., 2.])
    """
    require_real("minimum", a, b)
    out = broadcast("minimum", namespace(a, b).minimum, a, b)
    return out, (_share(a, b, out, -1.0), kind_of(a), kind_of(b))


def _where_vjp(dout: Array, residuals: Any) -> tuple[None, Any, Any]:
    condition, of_a, of_b = residuals
    zero = dout.dtype.type(0)
    xp = namespace(dout, condition)
    da, db = xp.where(condition, dout, zero), xp.where(condition, zero, dout)
    return None, unbroadcast(da, of_a), unbroadcast(db, of_b)


@op(vjp=_where_vjp, jvp="linear")
def where(condition: Array, a: Any, b: Any) -> tuple[Array, Any]:
    """Return a where the condition holds and b elsewhere, broadcast.

    Parameters
    ----------
    condition : array of booleans
        Not differentiated.
    a, b : arrays or numbers

    Returns
    -------
    array or variable

    Raises
    ------
    DTypeError, ShapeError

    Notes
    -----
    Both branches are computed and differentiated: an infinite derivative in the branch that is not chosen gives NaN.
    Guard its argument, as in `where(x.value > 0, log(where(x.value > 0, x, 1.0)), 0.0)`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import where
    >>> x = np.array([-1.0, 2.0])
    >>> where(x > 0, x, 0.0)
    array([0., 2.])
    """
    if condition.dtype.kind != "b":
        raise DTypeError(f"where: a condition of dtype {condition.dtype}; expected booleans, like x > 0")
    xp = namespace(condition, a, b)
    try:
        return xp.where(condition, a, b), (condition, kind_of(a), kind_of(b))
    except ValueError as error:
        shapes = ", ".join(str(tuple(getattr(x, "shape", ()))) for x in (condition, a, b))
        raise ShapeError(f"where of shapes {shapes}; expected shapes that broadcast together") from error


def _clip_jvp(out: Any, args: Any, tangents: Any, *, a_min: Any = None, a_max: Any = None) -> Any:
    refuse_second_derivative("clip", *args)
    return tangents[0] * (value_of(out) == value_of(args[0]))


@op(vjp=times_slope, jvp=_clip_jvp)
def clip(x: Real, *, a_min: Real | float | None = None, a_max: Real | float | None = None) -> tuple[Array, Any]:
    """Return `x` within bounds elementwise; the derivative is 1 inside and on them, 0 outside.

    Parameters
    ----------
    x : real array
        On the host or on a device, or a variable.
    a_min, a_max : array or float, optional
        Constant bounds that broadcast to the shape of `x`; none unless given.

    Returns
    -------
    array or variable

    Raises
    ------
    InvalidValueError, ShapeError
        Also for a lower bound above the upper one.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import clip
    >>> clip(np.array([-2.0, 0.5, 3.0]), a_min=-1.0, a_max=1.0)
    array([-1. ,  0.5,  1. ])
    """
    require_real("clip", x)
    xp, out = namespace(x), x
    if a_min is not None and a_max is not None and bool(broadcast("clip", operator.gt, xp.asarray(a_min), a_max).any()):
        raise InvalidValueError("clip: a_min is above a_max; expected a_min <= a_max")
    for bound, nearer in ((a_min, xp.maximum), (a_max, xp.minimum)):
        if bound is not None:
            out = broadcast("clip", nearer, out, bound)
    if out.shape != x.shape:
        raise ShapeError(f"clip of shape {tuple(x.shape)} to {tuple(out.shape)}; expected bounds that fit x")
    out = out.astype(x.dtype, copy=False)
    return out, out == x
