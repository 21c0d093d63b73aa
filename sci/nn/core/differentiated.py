"""The gradient of functions for their input, as an op that is differentiated once more: energies and their forces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError, with_article
from sci.nn.core.derivatives import directional_derivatives
from sci.nn.core.op import op
from sci.nn.core.operand import Operand
from sci.nn.core.tape import Tape, Variable
from sci.nn.core.trees import Tree, flatten_tree, unflatten_tree

__all__ = ["input_gradient", "value_and_input_gradient"]


@entry
def input_gradient(function: Callable[[Any, Any], Any], parameters: Tree, x: Any) -> Any:
    """Return dE/dx of a scalar function E(parameters, x); a variable, for a loss of forces, where parameters or x are.

    Parameters
    ----------
    function : callable
        `function(parameters, x)` returns one number, by ops that have a rule `jvp`. For a batch, the sum over its
        independent samples.
    parameters : dict of arrays or variables, or of dicts and lists of them
    x : array or variable
        Real floats.

    Returns
    -------
    array or variable
        Of the shape of `x`.

    Raises
    ------
    InvalidValueError
        For a function that returns no scalar; in `backward` for an op without a rule, by name.

    Notes
    -----
    One pass back; on the way back, a derivative along the gradient's gradient and one more pass: about four times E.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import input_gradient, mean_squared_error, value_and_gradients
    >>> def energy(v, x):
    ...     return (v["k"] * x**2).sum() * 0.5
    >>> x, forces = np.array([1.0, 2.0]), np.array([-2.0, -6.0])
    >>> def loss(v):
    ...     return mean_squared_error(-input_gradient(energy, v, x), forces)
    >>> value, gradients = value_and_gradients(loss, {"k": np.array([3.0, 2.0])})
    >>> float(value), gradients["k"]
    (2.5, array([ 1., -4.]))
    """
    return _both(function, parameters, x, one_number=True)[1]


@entry
def value_and_input_gradient(function: Callable[[Any, Any], Any], parameters: Tree, x: Any) -> tuple[Any, Any]:
    """Return E(parameters, x) and the gradient of its sum for x; variables where parameters or x are.

    Parameters
    ----------
    function : callable
        `function(parameters, x)` returns the numbers of independent samples, by ops that have a rule `jvp`: each entry
        of `x` belongs to one of them.
    parameters : dict of arrays or variables, or of dicts and lists of them
    x : array or variable
        Real floats.

    Returns
    -------
    value : array or variable
        What `function` returns.
    gradient : array or variable
        Of the shape of `x`.

    Raises
    ------
    InvalidValueError
        For a function whose value does not depend on x; in `backward` for an op without a rule, by name.

    Notes
    -----
    A loss of both takes the work of a loss of the gradient alone, see `input_gradient`. Where x is an array, no
    derivatives for it are computed on the way back.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import value_and_gradients, value_and_input_gradient
    >>> def energy(v, x):
    ...     return (v["k"] * x**2).sum(axis=1) * 0.5
    >>> x = np.array([[1.0], [2.0]])
    >>> def loss(v):
    ...     value, slope = value_and_input_gradient(energy, v, x)
    ...     return (value - 1.0).sum() + (slope**2).sum()
    >>> value, gradients = value_and_gradients(loss, {"k": np.array([2.0])})
    >>> float(value), gradients["k"]
    (23.0, array([22.5]))
    """
    return _both(function, parameters, x, one_number=False)


def _both(function: Callable[[Any, Any], Any], parameters: Tree, x: Any, one_number: bool) -> tuple[Any, Any]:
    leaves = flatten_tree(parameters)
    given, fixed = (x, None) if isinstance(x, Operand) else (None, x)
    call = {"function": function, "names": tuple(leaves), "like": parameters, "one_number": one_number}
    value, gradient = _input_gradient(given, *leaves.values(), fixed=fixed, call=call)
    return value, gradient


def _checked(found: Any, one_number: bool) -> Variable:
    """Return the value of a function of x that its gradient can be taken of."""
    if not isinstance(found, Variable) or (one_number and found.size != 1):
        raise InvalidValueError(
            f"input_gradient: the function returned {with_article(type(found).__name__)} of shape "
            f"{tuple(getattr(found, 'shape', ()))}; expected {'one number' if one_number else 'numbers'}, computed "
            "from x with the ops of sci.nn"
        )
    return found


def _input_gradient_vjp(douts: tuple[Any, Any], residuals: Any) -> tuple[Any, ...]:
    """Return the gradients of <E, dvalue> + the derivative of E along `dgradient`, for x and all parameters."""
    (of_value, along), (x, fixed, leaves, call) = douts, residuals
    tape = Tape()
    variables = tape.watch(list(leaves))
    at = fixed if x is None else tape.watch(x)
    tree = unflatten_tree(dict(zip(call["names"], variables)), call["like"])
    if along is None:
        value, slope = call["function"](tree, at), None
    else:
        value, slope = directional_derivatives(lambda y: call["function"](tree, y), at, along)
    total = None if of_value is None else (value * of_value).sum()
    if slope is not None:
        total = slope.sum() if total is None else total + slope.sum()
    if isinstance(total, Variable):  # not where E is linear in x, with a constant slope
        total.backward()
    found = [namespace(v.value).zeros_like(v.value) if v.gradient is None else v.gradient for v in variables]
    if x is None:
        return None, *found
    return namespace(x).zeros_like(x) if at.gradient is None else at.gradient, *found


@op(vjp=_input_gradient_vjp)
def _input_gradient(x: Array | None, *leaves: Array, fixed: Array | None, call: Any) -> tuple[tuple[Array, Array], Any]:
    """Return E and dE/dx."""
    at = Tape().watch(fixed if x is None else x)
    value = _checked(
        call["function"](unflatten_tree(dict(zip(call["names"], leaves)), call["like"]), at), call["one_number"]
    )
    value.backward(namespace(value.value.reshape(-1)).ones(value.shape, value.dtype))
    return (value.value, at.gradient), (x, fixed, leaves, call)
