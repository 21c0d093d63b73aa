"""Dual numbers: arrays that carry their derivative along a direction, for derivatives of derivatives.

An `Op` that is called on duals calls itself on their values, and its rule `jvp` on values and tangents. The rule is
written in ops, so that the tangent is a variable where the values are: it is recorded, and differentiated once more by
`backward`. Duals of duals are second derivatives; each `directional_derivatives` works on a level of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from sci.backend import namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.operand import Operand
from sci.nn.core.tape import value_of

__all__ = ["Dual", "dual_of", "linear_rule", "multilinear_rule", "next_level", "refuse_second_derivative", "sum_of"]

_LEVELS = itertools.count(1)


def next_level() -> int:
    """Return a number above those of all duals made so far."""
    return next(_LEVELS)


class Dual(Operand):
    """An array and its derivative along a direction, as functions get it from `directional_derivatives`.

    Parameters
    ----------
    primal : array, Variable or Dual of a lower level
    tangent : array, Variable or Dual of a lower level
        The derivative, with the shape and dtype of `primal`.
    level : int
        Tells the duals of nested derivatives apart.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import directional_derivatives
    >>> _, slope = directional_derivatives(lambda x: print(x) or x * x, np.array([3.0]), np.array([1.0]))
    Dual(shape=(1,), dtype=float64)
    >>> slope
    array([6.])
    """

    __slots__ = ("level", "primal", "tangent")

    def __init__(self, primal: Any, tangent: Any, level: int) -> None:
        self.primal, self.tangent, self.level = primal, tangent, level

    def __repr__(self) -> str:
        return f"Dual(shape={self.shape}, dtype={self.dtype})"

    @property
    def value(self) -> Any:
        """The array, without derivatives."""
        return value_of(self.primal)


def dual_of(op: Any, out: Any, tangent: Any, level: int) -> Any:
    """Return the value of an op with its tangent; without one where the rule returned None, a derivative of zero."""
    if tangent is None or out is None:
        return out
    expected, given = value_of(out), value_of(tangent)
    if given.shape != expected.shape or given.dtype != expected.dtype:
        error = DTypeError if given.shape == expected.shape else ShapeError
        raise error(
            f"the jvp of {op!r} returned a tangent of shape {given.shape} and dtype {given.dtype}; expected "
            f"{expected.shape} and {expected.dtype}, those of the value"
        )
    return Dual(out, tangent, level)


def sum_of(terms: list[Any]) -> Any:
    """Return the sum of the tangents that are not None; None without one."""
    total = None
    for term in terms:
        if term is not None:
            total = term if total is None else total + term
    return total


def _zero(argument: Any) -> Any:
    """Return zero in the place of an argument that is differentiated, and any other argument as it is."""
    if type(argument) in (int, float, complex):
        return type(argument)(0)
    value = value_of(argument)
    if getattr(getattr(value, "dtype", None), "kind", "") not in ("f", "c"):
        return argument
    return namespace(value).zeros(value.shape, value.dtype)


def linear_rule(op: Callable[..., Any]) -> Callable[..., Any]:
    """Return the jvp of an op that is linear in all its float arguments together: the op of the tangents."""

    def jvp(out: Any, args: tuple[Any, ...], tangents: tuple[Any, ...], **options: Any) -> Any:
        return op(*(_zero(a) if t is None else t for a, t in zip(args, tangents)), **options)

    return jvp


def multilinear_rule(op: Callable[..., Any]) -> Callable[..., Any]:
    """Return the jvp of an op that is linear in each float argument: a sum over the arguments that have a tangent."""

    def jvp(out: Any, args: tuple[Any, ...], tangents: tuple[Any, ...], **options: Any) -> Any:
        terms = (None if t is None else op(*args[:k], t, *args[k + 1 :], **options) for k, t in enumerate(tangents))
        return sum_of(list(terms))

    return jvp


def refuse_second_derivative(name: str, *args: Any) -> None:
    """Raise `InvalidValueError` if a derivative of a piecewise linear op is to be differentiated once more.

    Its second derivative is zero wherever it exists, which says nothing about the function that it is to approximate.
    """
    if any(isinstance(value_of_primal, Dual) for value_of_primal in args):
        raise InvalidValueError(
            f"{name} is piecewise linear and has no second derivative; expected a smooth op, like tanh, gelu, silu or "
            "softplus, or `where` with a condition of your own"
        )
