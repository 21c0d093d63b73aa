"""Variables and the tape that records what is computed from them: reverse-mode differentiation of array functions.

A `Variable` is an array that knows its tape. An `Op` (see `sci.nn.core.op`) that is called on variables appends one
step to their tape; `Variable.backward` runs the steps in reverse order and frees each as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn, TypeVar

from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = ["Tape", "Variable", "map_tree", "value_of", "variable_method", "variables_of"]

_FLOATS = ("f", "c")
_OPS: dict[str, Callable[..., Any]] = {}
"""The ops behind the operators and methods of `Variable`, by name; the modules of `sci.nn.ops` fill it."""

Operation = TypeVar("Operation", bound=Callable[..., Any])


def variable_method(name: str) -> Callable[[Operation], Operation]:
    """Register the decorated op as the one that `Variable` uses for `name`, such as "add" for `+`."""

    def register(operation: Operation) -> Operation:
        _OPS[name] = operation
        return operation

    return register


class _Cell:
    """The gradient of one variable, while it is added up; steps of the tape hold cells, so that values can be freed."""

    __slots__ = ("dtype", "gradient", "owned", "shape")

    def __init__(self, value: Array) -> None:
        self.shape, self.dtype = value.shape, value.dtype
        self.gradient: Array | None = None
        self.owned = False

    def add(self, gradient: Array, origin: Any) -> None:
        if gradient.shape != self.shape or gradient.dtype != self.dtype:
            error = DTypeError if gradient.shape == self.shape else ShapeError
            raise error(
                f"the vjp of {origin!r} returned a gradient of shape {gradient.shape} and dtype {gradient.dtype}; "
                f"expected {self.shape} and {self.dtype}, those of the argument"
            )
        if self.gradient is None:
            self.gradient = gradient
        elif self.owned:
            self.gradient += gradient
        else:
            # A second variable may hold the same array as its gradient: it must not change in place.
            self.gradient, self.owned = self.gradient + gradient, True

    def take(self) -> Array | None:
        gradient, self.gradient, self.owned = self.gradient, None, False
        return gradient


class Tape:
    """The record of a computation, from which gradients are made.

    `sci.nn.value_and_gradients` makes and unwinds a tape for you. Use one directly for gradients of something other
    than a scalar, or for the gradient of an input.

    Notes
    -----
    A tape keeps the residuals of its ops, not their values; `Variable.backward` frees each as it goes, and a tape is
    used once. Overhead is a few microseconds per call of an op.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Tape
    >>> x = Tape().watch(np.array([1.0, 2.0, 3.0]))
    >>> y = (x * x).sum()
    >>> y.backward()
    >>> x.gradient
    array([2., 4., 6.])
    """

    __slots__ = ("paused", "steps")

    def __init__(self) -> None:
        self.steps: list[Callable[[], None]] = []
        self.paused = False

    def __repr__(self) -> str:
        return f"Tape({len(self.steps)} steps)"

    def watch(self, arrays: Any) -> Any:
        """Return variables on this tape: one for an array, or a dict or list of them for a dict or list of arrays.

        Raises
        ------
        DTypeError
            For an array of anything but real or complex floats.
        """
        return map_tree(lambda array: Variable(array, self), arrays)

    def record(self, op: Any, out: Any, cells: list[_Cell | None], residuals: Any) -> Any:
        """Append the step back of one call of `op`, and return its outputs as variables."""
        vjp = op.vjp
        if isinstance(out, tuple):
            several = variables_of(out, self)
            targets = [None if v is None else v._cell for v in several]

            def step_of_several() -> None:
                douts = tuple(None if t is None else t.take() for t in targets)
                if any(d is not None for d in douts):
                    _spread(vjp(douts, residuals), cells, op)

            self.steps.append(step_of_several)
            return several
        made = Variable(out, self)
        target = made._cell

        def step() -> None:
            dout = target.take()
            if dout is not None:
                _spread(vjp(dout, residuals), cells, op)

        self.steps.append(step)
        return made

    def unwind(self) -> None:
        """Run the recorded steps in reverse order, and forget each."""
        steps = self.steps
        while steps:
            steps.pop()()


def _spread(gradients: Any, cells: list[_Cell | None], op: Any) -> None:
    """Add the gradients that a vjp returned to the cells of its arguments; optional arguments may be missing."""
    n = len(cells)
    if len(gradients) != n and (len(gradients) < n or any(g is not None for g in gradients[n:])):
        raise ShapeError(f"the vjp of {op!r} returned {len(gradients)} gradients for {n} arguments")
    for cell, gradient in zip(cells, gradients):
        if cell is not None and gradient is not None:
            cell.add(gradient, op)


class Variable:
    """An array whose gradient is wanted, on a tape.

    Ops and the operators `+ - * / @ **`, indexing, `T`, `reshape`, `sum` and `mean` are recorded. The other operand may
    be a variable, an array or a number. Comparisons are refused: compare the `value`.

    Parameters
    ----------
    value : array of real or complex floats
    tape : Tape

    Raises
    ------
    DTypeError
        For a value that is not an array of real or complex floats.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Tape
    >>> x = Tape().watch(np.array([1.0, 2.0]))
    >>> y = ((2 * x - 1) ** 2).sum()
    >>> y
    Variable(shape=(), dtype=float64)
    >>> y.backward()
    >>> x.gradient
    array([ 4., 12.])
    """

    __slots__ = ("_cell", "tape", "value")
    __array_ufunc__ = None  # NumPy leaves `array * variable` to the variable
    __array_priority__ = 1000  # and CuPy does, by this

    def __init__(self, value: Array, tape: Tape) -> None:
        dtype = getattr(value, "dtype", type(value))
        if getattr(dtype, "kind", "") not in _FLOATS or not dtype.isnative:
            raise DTypeError(
                f"a variable of type {dtype}; expected an array of real or complex floats, in the machine's byte order"
            )
        self.value = value
        self.tape = tape
        self._cell = _Cell(value)

    def __repr__(self) -> str:
        return f"Variable(shape={self.shape}, dtype={self.dtype})"

    @property
    def gradient(self) -> Array | None:
        """dL/dvalue after `backward`, with the shape and dtype of `value`; dL/dRe + i dL/dIm for complex values."""
        return self._cell.gradient

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return tuple(self.value.shape)

    @property
    def dtype(self) -> Any:
        """Dtype of the value."""
        return self.value.dtype

    @property
    def ndim(self) -> int:
        """Number of axes of the value."""
        return len(self.value.shape)

    @property
    def size(self) -> int:
        """Number of entries of the value."""
        return int(self.value.size)

    def backward(self, dout: Array | None = None) -> None:
        """Add dL/dv to the gradient of every variable v that this one was computed from, given dL/d(this one).

        Parameters
        ----------
        dout : array, optional
            1 for a scalar unless given.

        Raises
        ------
        InvalidValueError
            If this is no scalar and `dout` is missing.
        """
        if dout is None:
            if self.value.size != 1:
                raise InvalidValueError(
                    f"backward of a variable of shape {self.shape} without dout; pass dout of that shape"
                )
            # `namespace` ignores arrays without axes, so it gets a view with one.
            dout = namespace(self.value.reshape(1)).ones(self.shape, self.value.dtype)
        self._cell.add(dout, "backward")
        self.tape.unwind()

    def __add__(self, other: Any) -> Any:
        return _OPS["add"](self, other)

    def __radd__(self, other: Any) -> Any:
        return _OPS["add"](other, self)

    def __sub__(self, other: Any) -> Any:
        return _OPS["subtract"](self, other)

    def __rsub__(self, other: Any) -> Any:
        return _OPS["subtract"](other, self)

    def __mul__(self, other: Any) -> Any:
        return _OPS["multiply"](self, other)

    def __rmul__(self, other: Any) -> Any:
        return _OPS["multiply"](other, self)

    def __truediv__(self, other: Any) -> Any:
        return _OPS["divide"](self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _OPS["divide"](other, self)

    def __pow__(self, exponent: float) -> Any:
        return _OPS["power"](self, exponent=exponent)

    def __matmul__(self, other: Any) -> Any:
        return _OPS["matmul"](self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return _OPS["matmul"](other, self)

    def __neg__(self) -> Any:
        return _OPS["negative"](self)

    def __pos__(self) -> Variable:
        return self

    def __getitem__(self, index: Any) -> Any:
        return _OPS["select"](self, index=index)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    @property
    def T(self) -> Any:
        """The variable with its axes in reverse order."""
        return _OPS["transpose"](self, axes=tuple(reversed(range(self.ndim))))

    def reshape(self, *shape: Any) -> Any:
        """Return the variable in another shape, given as numbers or as one tuple."""
        return _OPS["reshape"](self, shape=shape[0] if len(shape) == 1 else shape)

    def sum(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Any:
        """Return the sum over `axis`, or over everything."""
        return _OPS["sum"](self, axis=axis, keepdims=keepdims)

    def mean(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Any:
        """Return the mean over `axis`, or over everything."""
        return _OPS["mean"](self, axis=axis, keepdims=keepdims)

    def _refuse_comparison(self, *_: Any) -> NoReturn:
        raise DTypeError("a variable has no truth value and no comparisons; compare its array, `variable.value`")

    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = _refuse_comparison
    __hash__ = object.__hash__

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise DTypeError("a variable is no array; use the ops of sci.nn, or take its array, `variable.value`")

    def __array_function__(self, function: Any, *_: Any) -> NoReturn:
        name = getattr(function, "__name__", function)
        raise DTypeError(f"numpy.{name} of a variable; use the op of sci.nn, or take its array, `variable.value`")


def variables_of(out: Any, tape: Tape) -> Any:
    """Return the output of an op as a variable, or several as a tuple; None stays None."""
    if isinstance(out, tuple):
        return tuple(None if value is None else Variable(value, tape) for value in out)
    return Variable(out, tape)


def value_of(x: Any) -> Any:
    """Return the array of a variable, and anything else as it is.

    Parameters
    ----------
    x : Variable or anything else
        What to look into.

    Returns
    -------
    array, or `x` itself

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import Tape, value_of
    >>> value_of(Tape().watch(np.ones(2)))
    array([1., 1.])
    """
    return x.value if isinstance(x, Variable) else x


def map_tree(function: Callable[[Any], Any], tree: Any) -> Any:
    """Return a tree of dicts, lists and tuples with `function` of every leaf."""
    if isinstance(tree, Mapping):
        return {key: map_tree(function, branch) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)(map_tree(function, branch) for branch in tree)
    return function(tree)
