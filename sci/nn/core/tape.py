"""Variables and the tape that records what is computed from them: reverse-mode differentiation of array functions.

A `Variable` is an array that knows its tape. An `Op` (see `sci.nn.core.op`) that is called on variables appends one
step to their tape; `Variable.backward` runs the steps in reverse order and frees each as it goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias

import numpy as np

from sci.backend import Array, namespace
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.core.operand import Operand
from sci.nn.core.trees import map_tree

__all__ = ["Keeper", "Rest", "Tape", "Variable", "value_of", "variables_of"]

Rest: TypeAlias = "list[Callable[[Any], None]] | None"
"""Where a step back leaves what is not to be done yet; None does all at once."""

_FLOATS = ("f", "c")
_HOST = np.ndarray


class Keeper(Protocol):
    """In which form a tape keeps what it records."""

    def hold(self, array: Array) -> None:
        """Note an array that lives on outside of the tape."""

    def rounded(self, value: Array) -> Array:
        """Return the output of an op as the ops after it see it."""

    def kept(self, residuals: Any, given: Any, seen: Any) -> Any:
        """Return a stand-in for residuals until the way back; the output `given` was rounded to `seen`."""

    def opened(self, kept: Any) -> Any:
        """Return the residuals."""


class _Cell:
    """The gradient of one variable, while it is added up; steps of the tape hold cells, so that values can be freed."""

    __slots__ = ("dtype", "gradient", "late", "owned", "shape")

    def __init__(self, value: Array) -> None:
        self.shape, self.dtype = value.shape, value.dtype
        self.gradient: Array | None = None
        self.owned = self.late = False

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

    Parameters
    ----------
    keeper : Keeper, optional
        In which form residuals and outputs of ops are held; as they are unless given.

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

    __slots__ = ("keeper", "paused", "split", "steps")

    def __init__(self, keeper: Keeper | None = None) -> None:
        self.keeper = keeper
        self.steps: list[Callable[[Rest], None]] = []
        self.paused = self.split = False

    def __repr__(self) -> str:
        return f"Tape({len(self.steps)} steps)"

    def watch(self, arrays: Any, *, late: bool = False) -> Any:
        """Return variables on this tape: one for an array, or a dict or list of them for a dict or list of arrays.

        Parameters
        ----------
        arrays : array, or a dict or list of them
        late : bool
            `Variable.backward_of_inputs` leaves the gradients of these for later: the weights of a stage.

        Raises
        ------
        DTypeError
            For an array of anything but real or complex floats.
        """
        self.split = self.split or late

        def watched(array: Array) -> Variable:
            made = Variable(array, self)
            made._cell.late = late
            if self.keeper is not None:
                self.keeper.hold(array)
            return made

        return map_tree(watched, arrays)

    def record(self, op: Any, out: Any, cells: list[_Cell | None], residuals: Any) -> Any:
        """Append the step back of one call of `op`, and return its outputs as variables."""
        late = self.split and all(c is None or c.late for c in cells)
        vjp = op.vjp
        if self.keeper is not None:
            given, out = out, self.seen(out)
            residuals, vjp = self.keeper.kept(residuals, given, out), _opening(op.vjp, self.keeper)
        if isinstance(out, tuple):
            several = variables_of(out, self)
            targets = [None if v is None else v._cell for v in several]
            for t in targets:
                if t is not None:
                    t.late = late

            def step_of_several(rest: Rest) -> None:
                douts = tuple(None if t is None else t.take() for t in targets)
                if any(d is not None for d in douts):
                    _pull(op, vjp, douts, residuals, cells, rest)

            self.steps.append(_deferred(step_of_several) if late else step_of_several)
            return several
        made = Variable(out, self)
        target = made._cell
        target.late = late

        def step(rest: Rest) -> None:
            dout = target.take()
            if dout is not None:
                _pull(op, vjp, dout, residuals, cells, rest)

        self.steps.append(_deferred(step) if late else step)
        return made

    def seen(self, out: Any) -> Any:
        """Return the output of an op, or several, as the ops after it see it."""
        if self.keeper is None:
            return out
        if isinstance(out, tuple):
            return tuple(None if value is None else self.keeper.rounded(value) for value in out)
        return self.keeper.rounded(out)

    def unwind(self, rest: Rest = None) -> None:
        """Run the recorded steps in reverse order, and forget each; what may wait is appended to `rest`."""
        steps = self.steps
        while steps:
            steps.pop()(rest)


def _deferred(step: Callable[[Rest], None]) -> Callable[[Rest], None]:
    """Return a step that waits, where anything does."""
    return lambda rest: step(None) if rest is None else rest.append(step)


def _opening(vjp: Callable[..., Any], keeper: Keeper) -> Callable[..., Any]:
    """Return a vjp that takes what a keeper made of the residuals."""
    return lambda dout, kept, **wanted: vjp(dout, keeper.opened(kept), **wanted)


def _pull(op: Any, vjp: Callable[..., Any], dout: Any, residuals: Any, cells: list[_Cell | None], rest: Rest) -> None:
    """Add the gradients of the arguments of one call of `op` to their cells; those of late ones later, if at all."""
    if not op.selective:
        _spread(vjp(dout, residuals), cells, op)
        return
    wanted = tuple(c is not None for c in cells)
    if rest is not None and any(c is not None and c.late for c in cells):
        late = tuple(c is not None and c.late for c in cells)
        rest.append(lambda _: _spread(vjp(dout, residuals, wanted=late), cells, op))
        wanted = tuple(w and not x for w, x in zip(wanted, late))
    _spread(vjp(dout, residuals, wanted=wanted), cells, op)


def _spread(gradients: Any, cells: list[_Cell | None], op: Any) -> None:
    """Add the gradients that a vjp returned to the cells of its arguments; optional arguments may be missing."""
    n = len(cells)
    if len(gradients) != n and (len(gradients) < n or any(g is not None for g in gradients[n:])):
        raise ShapeError(f"the vjp of {op!r} returned {len(gradients)} gradients for {n} arguments")
    for cell, gradient in zip(cells, gradients):
        if cell is not None and gradient is not None:
            cell.add(gradient, op)


class Variable(Operand):
    """An array whose gradient is wanted, on a tape.

    Ops and the operators `+ - * / @ ** abs`, indexing, `T`, `reshape`, `sum` and `mean` are recorded. The other operand
    may be a variable, an array or a number. Comparisons are refused: compare the `value`.

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

    def __init__(self, value: Array, tape: Tape) -> None:
        dtype = value.dtype if type(value) is _HOST else _dtype_of(value)
        if dtype.kind not in _FLOATS or not dtype.isnative:
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
        self._start(dout)
        self.tape.unwind()

    def backward_of_inputs(self, dout: Array | None = None) -> Callable[[], None]:
        """Add gradients as `backward` does, but leave those that only late variables need to the function returned.

        Parameters
        ----------
        dout : array, optional
            As in `backward`.

        Returns
        -------
        callable
            Without arguments: it adds the gradients of the variables of `Tape.watch(late=True)`. Both together do the
            work of `backward`, sum by sum in its order where a variable is used once.

        Notes
        -----
        An op whose `vjp` takes `wanted` is split; of any other with an input that is not late all gradients are
        computed at once. Until the function is called it keeps, for each split op, the residuals and the gradient of
        the output: of a product x W^T, x and dL/dy.

        Examples
        --------
        >>> import numpy as np
        >>> from sci.nn import Tape, linear
        >>> tape = Tape()
        >>> x, weight = tape.watch(np.ones((1, 2))), tape.watch(np.ones((3, 2)), late=True)
        >>> weights_too = linear(x, weight).sum().backward_of_inputs()
        >>> x.gradient, weight.gradient
        (array([[3., 3.]]), None)
        >>> weights_too()
        >>> weight.gradient
        array([[1., 1.],
               [1., 1.],
               [1., 1.]])
        """
        rest: list[Callable[[Rest], None]] = []
        self._start(dout)
        self.tape.unwind(rest)
        rest.reverse()

        def finish() -> None:
            while rest:
                rest.pop()(None)

        return finish

    def _start(self, dout: Array | None) -> None:
        """Set the gradient of this variable itself."""
        if dout is None:
            if self.value.size != 1:
                raise InvalidValueError(
                    f"backward of a variable of shape {self.shape} without dout; pass dout of that shape"
                )
            # `namespace` ignores arrays without axes, so it gets a view with one.
            dout = namespace(self.value.reshape(1)).ones(self.shape, self.value.dtype)
        self._cell.add(dout, "backward")


def _dtype_of(value: Any) -> Any:
    """Return the dtype of an array; raise DTypeError for anything else, variables and duals too."""
    dtype: Any = None if isinstance(value, Operand) else getattr(value, "dtype", None)
    if not hasattr(dtype, "kind"):
        raise DTypeError(
            f"a variable of type {type(value)}; expected an array of real or complex floats, in the machine's byte "
            "order"
        )
    return dtype


def variables_of(out: Any, tape: Tape) -> Any:
    """Return the output of an op as a variable, or several as a tuple; None stays None."""
    if isinstance(out, tuple):
        return tuple(None if value is None else Variable(value, tape) for value in out)
    return Variable(out, tape)


def value_of(x: Any) -> Any:
    """Return the array of a variable or a dual, and anything else as it is.

    Parameters
    ----------
    x : Variable, Dual or anything else
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
    return x.value if isinstance(x, Operand) else x
