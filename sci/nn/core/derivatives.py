"""Derivatives along directions, to any order, that can be differentiated once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sci.arguments import entry
from sci.backend import namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError, with_article
from sci.nn.core.dual import Dual, next_level
from sci.nn.core.operand import Operand
from sci.nn.core.tape import value_of

__all__ = ["directional_derivatives"]


@entry
def directional_derivatives(
    function: Callable[[Any], Any], x: Any, direction: Any, *, order: int = 1
) -> tuple[Any, ...]:
    """Return f(x) and the derivatives d^k/dt^k f(x + t d) at t = 0, for k = 1 ... order.

    Parameters
    ----------
    function : callable
        Of `x`, made of ops that have a rule `jvp`; returns one array, or a variable.
    x : array or variable
        Real or complex floats.
    direction : array or variable
        Broadcast to the shape of `x`: for points (n, d), the vector e_k gives the derivatives by coordinate k.
    order : int
        Highest derivative, 1 or more.

    Returns
    -------
    tuple
        order + 1 values of the shape of f(x). They are variables if f(x) is, recorded on its tape: the gradient of a
        loss that is made of them takes derivatives of derivatives.

    Raises
    ------
    InvalidValueError
        For an op without a rule, by name; also where a piecewise linear op (`relu`, `maximum`, ...) is to be
        differentiated twice, and for a value that does not depend on `x`.
    ShapeError, DTypeError

    Notes
    -----
    Forward mode by nested dual numbers: exact to rounding, 2^order times the work of f. A call inside of `function` is
    a mixed derivative: see the second example.

    References
    ----------
    Griewank and Walther, Evaluating Derivatives (2008), section 3.1.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import directional_derivatives
    >>> u, u_x, u_xx = directional_derivatives(lambda x: x**3, np.array([2.0]), np.array([1.0]), order=2)
    >>> u, u_x, u_xx
    (array([8.]), array([12.]), array([12.]))

    >>> def f(p):
    ...     return p[:, 0] * p[:, 0] * p[:, 1]
    >>> def f_y(p):
    ...     return directional_derivatives(f, p, np.array([0.0, 1.0]))[1]
    >>> directional_derivatives(f_y, np.array([[3.0, 5.0]]), np.array([1.0, 0.0]))[1]
    array([6.])
    """
    if order < 1:
        raise InvalidValueError(f"order is {order}; expected 1 or more")
    point, levels = x, []
    along = _along(direction, x)
    for _ in range(order):
        levels.append(next_level())
        point = Dual(point, along, levels[-1])
    found = function(point)
    if not isinstance(found, Dual) or found.level not in levels:
        raise InvalidValueError(
            f"the function returned {with_article(type(found).__name__)} that does not depend on x; "
            "expected an array computed "
            "from it with the ops of sci.nn"
        )
    return tuple(_part(found, levels, k) for k in range(order + 1))


def _along(direction: Any, x: Any) -> Any:
    """Return a direction in the shape and dtype of `x`."""
    at, given = value_of(x), value_of(direction)
    if getattr(getattr(at, "dtype", None), "kind", "") not in ("f", "c"):
        raise DTypeError(
            f"x is {with_article(type(x).__name__)} of dtype {getattr(at, 'dtype', None)}; expected an array of floats"
        )
    kind = getattr(getattr(given, "dtype", None), "kind", "")
    if kind not in ("b", "i", "u", "f", "c") or (kind == "c" and at.dtype.kind != "c"):
        raise DTypeError(
            f"direction is {with_article(type(direction).__name__)} {given!r:.60}; expected an array of numbers like x"
        )
    if isinstance(direction, Operand):
        if direction.shape != tuple(at.shape) or direction.dtype != at.dtype:
            raise ShapeError(
                f"direction is a variable of shape {direction.shape} and dtype {direction.dtype}; expected "
                f"{tuple(at.shape)} and {at.dtype}, those of x"
            )
        return direction
    xp = namespace(at, given)
    try:
        return xp.broadcast_to(given.astype(at.dtype, copy=False), at.shape)
    except ValueError as error:
        raise ShapeError(
            f"direction has shape {tuple(given.shape)}; expected one that broadcasts to {tuple(at.shape)}, that of x"
        ) from error


def _part(found: Any, levels: list[int], order: int) -> Any:
    """Return the derivative of an order: tangents of the first `order` levels, primals of the others."""
    part = found
    for k in reversed(range(len(levels))):
        mine = isinstance(part, Dual) and part.level == levels[k]
        if k >= order:
            part = part.primal if mine else part
        elif mine:
            part = part.tangent
        else:
            value = value_of(part)
            return namespace(value).zeros(value.shape, value.dtype)
    return part
