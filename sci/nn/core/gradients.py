"""Gradients of functions of parameters, and checkpoints that trade computation for memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from sci.arguments import entry
from sci.backend import namespace
from sci.errors import InvalidValueError, with_article
from sci.nn.core.dual import Dual
from sci.nn.core.tape import Rest, Tape, Variable, value_of, variables_of
from sci.nn.core.trees import map_tree
from sci.nn.halves import asked, keeper_of

__all__ = ["checkpoint", "value_and_gradients"]


@entry
def value_and_gradients(
    function: Callable[[Any], Any], parameters: Any, *, activations: Literal["bfloat16"] | None = None
) -> tuple[Any, Any]:
    """Compute a scalar function of parameters and its gradient with respect to each of them.

    Parameters
    ----------
    function : callable
        `function(variables)` returns a scalar variable, or a tuple whose first entry is one. `variables` has the
        structure of `parameters`.
    parameters : array, or a dict, list or tuple of them, nested as you like
        Real or complex floats.
    activations : "bfloat16", optional
        Outputs of ops are rounded to this precision, and kept in two bytes where gradients need them, see
        `HalvedActivations`; ops compute in float32.

    Returns
    -------
    value
        What `function` returned, as plain arrays.
    gradients
        Arrays with the structure, shapes and dtypes of `parameters`; zeros for parameters that were not used.

    Raises
    ------
    InvalidValueError
        If `function` returns no scalar variable.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import value_and_gradients
    >>> parameters = {"w": np.ones(2), "x": np.arange(2.0)}
    >>> value, gradients = value_and_gradients(lambda v: (v["w"] * v["x"]).sum(), parameters)
    >>> float(value), gradients["w"]
    (1.0, array([0., 1.]))
    """
    variables = Tape(keeper_of(activations)).watch(parameters)
    with asked(activations):
        out = function(variables)
    scalar = out[0] if isinstance(out, tuple) else out
    if not isinstance(scalar, Variable):
        raise InvalidValueError(
            f"the function returned {with_article(type(scalar).__name__)}; expected a variable: "
            "compute it from the parameters "
            "with the ops of sci.nn"
        )
    scalar.backward()
    return (tuple(map(value_of, out)) if isinstance(out, tuple) else out.value), map_tree(_gradient, variables)


def _gradient(variable: Variable) -> Any:
    value = variable.value
    return namespace(value).zeros_like(value) if variable.gradient is None else variable.gradient


@entry
def checkpoint(function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Return `function(*args, **options)` without keeping the residuals inside; `backward` runs it a second time.

    Parameters
    ----------
    function : callable
        Composes ops; it must compute the same both times.
    *args, **options
        Variables, dicts, lists and tuples of them, arrays, anything. With no variable among them `function` is called
        as it is.

    Returns
    -------
    object
        What `function` returns.

    Raises
    ------
    InvalidValueError
        For a dual of `directional_derivatives` that `function` takes from outside of its arguments.

    Notes
    -----
    Memory falls to the values of `args` and the outputs; the cost is one more forward pass of `function`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Tape, checkpoint
    >>> x = Tape().watch(np.ones(3))
    >>> checkpoint(lambda x: (x * x * x).sum(), x).backward()
    >>> x.gradient
    array([3., 3., 3.])
    """
    tape = _tape_of([args, options])  # none with duals: what they carry has to be recorded at once
    if tape is None or tape.paused:
        return function(*args, **options)
    tape.paused = True
    try:
        out = function(*args, **options)
    finally:
        tape.paused = False
    if any(isinstance(value, Dual) for value in (out if isinstance(out, tuple) else (out,))):
        raise InvalidValueError(
            "checkpoint of a function that takes a dual from outside; expected it among the arguments of the function"
        )
    made = variables_of(tuple(map(value_of, out)) if isinstance(out, tuple) else value_of(out), tape)
    targets = [None if v is None else v._cell for v in (made if isinstance(made, tuple) else (made,))]

    def step(rest: Rest) -> None:
        douts = [None if t is None else t.take() for t in targets]
        if all(d is None for d in douts):
            return
        outside, tape.steps = tape.steps, []
        try:
            again = function(*args, **options)
            for variable, dout in zip(again if isinstance(again, tuple) else (again,), douts):
                if dout is not None and isinstance(variable, Variable):
                    variable._cell.add(dout, "checkpoint")
            tape.unwind(rest)
        finally:
            tape.steps = outside

    tape.steps.append(step)
    return made


def _tape_of(tree: Any) -> Tape | None:
    """Return the tape of the first variable in a tree; None without one, or with a dual."""
    leaves: list[Any] = []
    map_tree(leaves.append, tree)
    if any(isinstance(leaf, Dual) for leaf in leaves):
        return None
    return next((leaf.tape for leaf in leaves if isinstance(leaf, Variable)), None)
