"""The gradient of a scalar function for its input, as an op that is differentiated once more: forces of energies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError
from sci.nn.core.derivatives import directional_derivatives
from sci.nn.core.op import op
from sci.nn.core.tape import Tape, Variable
from sci.nn.core.trees import Tree, flatten_tree, unflatten_tree

__all__ = ["input_gradient"]


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
    leaves = flatten_tree(parameters)
    return _input_gradient(x, *leaves.values(), function=function, names=tuple(leaves), like=parameters)


def _scalar(function: Callable[[Any, Any], Any], parameters: Any, x: Any) -> Variable:
    found = function(parameters, x)
    if not isinstance(found, Variable) or found.size != 1:
        shape = getattr(found, "shape", ())
        raise InvalidValueError(
            f"input_gradient: the function returned a {type(found).__name__} of shape {tuple(shape)}; expected one "
            "number, computed from x with the ops of sci.nn"
        )
    return found


def _input_gradient_vjp(dout: Array, residuals: Any) -> tuple[Any, ...]:
    """Return the gradients of the derivative of E along `dout`, for x and all parameters."""
    x, leaves, function, names, like = residuals
    tape = Tape()
    at, *variables = tape.watch([x, *leaves])
    tree = unflatten_tree(dict(zip(names, variables)), like)
    slope = directional_derivatives(lambda y: function(tree, y), at, dout)[1]
    if isinstance(slope, Variable):  # not where E is linear in x, with a constant slope
        slope.backward()
    return tuple(namespace(v.value).zeros_like(v.value) if v.gradient is None else v.gradient for v in (at, *variables))


@op(vjp=_input_gradient_vjp)
def _input_gradient(x: Array, *leaves: Array, function: Any, names: Any, like: Any) -> tuple[Array, Any]:
    """Return dE/dx."""
    at = Tape().watch(x)
    _scalar(function, unflatten_tree(dict(zip(names, leaves)), like), at).backward()
    return at.gradient, (x, leaves, function, names, like)
