"""Reverse-mode differentiation: a tape over pairs of functions, on NumPy and CuPy arrays.

A pair is `op(*arrays, **options) -> (out, residuals)` and `op_vjp(dout, residuals) -> gradients`, one gradient (or
None) for each positional argument of `op`. Both are plain functions of plain arrays; only the tape knows `Variable`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["Tape", "Variable", "value_and_gradients", "value_of"]


_FLOATS = ("f", "c")


class _Cell:
    """Where the gradient of one variable gathers; steps of the tape hold cells, so that values can be freed."""

    __slots__ = ("dtype", "gradient", "owned", "shape")

    def __init__(self, value: Array) -> None:
        self.shape, self.dtype = value.shape, value.dtype
        self.gradient: Array | None = None
        self.owned = False

    def add(self, gradient: Array, origin: Callable[..., Any]) -> None:
        if gradient.shape != self.shape or gradient.dtype != self.dtype:
            error = DTypeError if gradient.shape == self.shape else ShapeError
            raise error(
                f"{getattr(origin, '__name__', 'a vjp')} returned a gradient of shape {gradient.shape} and dtype "
                f"{gradient.dtype}; expected {self.shape} and {self.dtype}"
            )
        if self.gradient is None:
            self.gradient = gradient
        elif self.owned:
            self.gradient += gradient
        else:
            # The first gradient may be an array that a second variable has too: it must not change in place.
            self.gradient, self.owned = self.gradient + gradient, True

    def take(self) -> Array | None:
        gradient, self.gradient, self.owned = self.gradient, None, False
        return gradient


class Variable:
    """An array whose gradient is wanted: `value`, and after `Tape.backward` its `gradient` (None where unused)."""

    __slots__ = ("_cell", "value")

    def __init__(self, value: Array) -> None:
        dtype = getattr(value, "dtype", type(value))
        if getattr(dtype, "kind", "") not in _FLOATS:
            raise DTypeError(f"a variable of type {dtype}; expected an array of real or complex floats")
        self.value = value
        self._cell = _Cell(value)

    @property
    def gradient(self) -> Array | None:
        """dL/dvalue, of the shape and dtype of `value`; dL/dRe + i dL/dIm where that is complex."""
        return self._cell.gradient

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the value."""
        return tuple(self.value.shape)


def value_of(x: Any) -> Any:
    """Return the array of a variable, and anything else as it is."""
    return x.value if isinstance(x, Variable) else x


def _spread(gradients: Any, cells: list[_Cell | None], op_vjp: Callable[..., Any]) -> None:
    """Add what a vjp returned to the cells of its arguments."""
    for cell, gradient in zip(cells, gradients, strict=True):
        if cell is not None and gradient is not None:
            cell.add(gradient, op_vjp)


def _step_of_several(
    targets: list[_Cell], cells: list[_Cell | None], op_vjp: Callable[..., Any], residuals: Any
) -> Callable[[], None]:
    """Return the step back of a call with several outputs."""

    def step() -> None:
        douts = tuple(t.take() for t in targets)
        if any(d is not None for d in douts):
            _spread(op_vjp(douts, residuals), cells, op_vjp)

    return step


class Tape:
    """Record calls of (op, vjp) pairs, and unwind them to the gradients of a scalar.

    Parameters
    ----------
    record : bool
        False computes without recording, whatever the arguments.

    Notes
    -----
    A call without variables among its arguments is not recorded and returns plain arrays, so one function serves
    training (parameters as variables) and inference (plain arrays, no residual kept). What is kept between forward and
    backward is the residuals alone; `backward` frees each as it goes, and a tape is used once. Overhead is a few
    microseconds a call.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Tape, Variable
    >>> def square(x):
    ...     return x * x, x
    >>> def square_vjp(dout, x):
    ...     return (2 * x * dout,)
    >>> def total(x):
    ...     return x.sum(), x.shape
    >>> def total_vjp(dout, shape):
    ...     return (np.broadcast_to(dout, shape),)
    >>> tape, x = Tape(), Variable(np.array([1.0, 2.0, 3.0]))
    >>> y = tape.call(total, total_vjp, tape.call(square, square_vjp, x))
    >>> tape.backward(y)
    >>> x.gradient
    array([2., 4., 6.])
    """

    def __init__(self, *, record: bool = True) -> None:
        self._record = record
        self._touched = False  # has a variable been among the arguments of a call?
        self._steps: list[Callable[[], None]] = []

    def call(self, op: Callable[..., Any], op_vjp: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Return `op(*args, **options)[0]` and record its derivative.

        Parameters
        ----------
        op : callable
            Takes plain arrays and returns (out, residuals); `out` may be a tuple of arrays.
        op_vjp : callable
            `op_vjp(dout, residuals)` returns a tuple: for each of `args` the gradient, in that argument's shape and
            dtype, or None. Where `out` is a tuple, so is `dout`, with None for an output that was not used. It must
            not change `dout`.
        *args : Variable, array or None
        **options
            Passed on; not differentiated.

        Returns
        -------
        Variable, or a tuple of them; plain arrays where no argument is a variable

        Raises
        ------
        InvalidValueError
            If an option is a variable.
        ShapeError, DTypeError
            In `backward`, if a gradient has not the shape and dtype of its argument.
        """
        for name, option in options.items():
            if isinstance(option, Variable):
                raise InvalidValueError(f"option {name} is a variable; only positional arguments are differentiated")
        values = [a.value if isinstance(a, Variable) else a for a in args]
        out, residuals = op(*values, **options)
        cells = [a._cell if isinstance(a, Variable) else None for a in args]
        if not any(cells):
            return out
        self._touched = True
        if not self._record:
            return out
        if isinstance(out, tuple):
            several = tuple(map(Variable, out))
            self._steps.append(_step_of_several([v._cell for v in several], cells, op_vjp, residuals))
            return several
        made = Variable(out)
        target = made._cell

        def step() -> None:
            dout = target.take()
            if dout is not None:
                _spread(op_vjp(dout, residuals), cells, op_vjp)

        self._steps.append(step)
        return made

    def checkpoint(self, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Return `function(tape, *args, **options)`, keeping nothing of its inside; backward runs it a second time.

        Parameters
        ----------
        function : callable
            Composes calls on the tape that it is handed; it must compute the same both times.
        *args, **options
            Variables, dicts of them, arrays, anything.

        Notes
        -----
        Memory falls to the values of `args` and the outputs; the cost is one more forward pass of `function`.
        """
        inside = Tape(record=False)
        out = function(inside, *args, **options)
        if not self._record or not inside._touched:
            self._touched |= inside._touched
            return out
        made = tuple(map(Variable, out)) if isinstance(out, tuple) else Variable(out)
        targets = [v._cell for v in made] if isinstance(made, tuple) else [made._cell]

        def step() -> None:
            douts = [t.take() for t in targets]
            if all(d is None for d in douts):
                return
            inner = Tape()
            again = function(inner, *args, **options)
            for variable, dout in zip(again if isinstance(again, tuple) else (again,), douts):
                if dout is not None and isinstance(variable, Variable):
                    variable._cell.add(dout, self.checkpoint)
            inner._unwind()

        self._steps.append(step)
        return made

    def backward(self, out: Variable, dout: Array | None = None) -> None:
        """Add dL/dv to the gradient of every variable v that `out` was made from, given dL/dout.

        Parameters
        ----------
        out : Variable
        dout : array, optional
            1 for a scalar `out` unless given.

        Raises
        ------
        InvalidValueError
            If `out` is no variable, or not a scalar and `dout` is missing.
        """
        if not isinstance(out, Variable):
            raise InvalidValueError("backward of a plain array: no variable was among what made it")
        if dout is None:
            if out.value.size != 1:
                raise InvalidValueError(f"backward of an array of shape {out.shape} needs dout; only a scalar does not")
            # A number without axes is neutral to `namespace`, so it is asked about a view with one.
            dout = namespace(out.value.reshape(1)).ones(out.shape, out.value.dtype)
        out._cell.add(dout, self.backward)
        self._unwind()

    def _unwind(self) -> None:
        while self._steps:
            self._steps.pop()()


def value_and_gradients(
    function: Callable[[Tape, dict[str, Variable]], Any], parameters: Mapping[str, Array]
) -> tuple[Any, dict[str, Array]]:
    """Return a scalar function of parameters and its gradient for each of them.

    Parameters
    ----------
    function : callable
        `function(tape, variables)` returns the scalar variable, or a tuple whose first entry it is.
    parameters : dict of arrays

    Returns
    -------
    value : what `function` returned, as plain arrays
    gradients : dict of arrays, with the names, shapes and dtypes of `parameters`; zeros where one was not used
    """
    tape = Tape()
    variables = {name: Variable(value) for name, value in parameters.items()}
    out = function(tape, variables)
    tape.backward(out[0] if isinstance(out, tuple) else out)
    gradients = {
        name: namespace(v.value).zeros_like(v.value) if v.gradient is None else v.gradient
        for name, v in variables.items()
    }
    return (tuple(map(value_of, out)) if isinstance(out, tuple) else out.value), gradients
