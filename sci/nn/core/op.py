"""The primitive of differentiation: a function and its derivative in one object, called on arrays or on variables."""

from __future__ import annotations

import contextlib
import functools
import inspect
import threading
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

from sci.arguments import RAW_ERRORS, Signature, entry
from sci.errors import InvalidValueError
from sci.nn.core.coded import CodedArray, decoded
from sci.nn.core.dual import Dual, dual_of, linear_rule, multilinear_rule
from sci.nn.core.operand import Operand
from sci.nn.core.tape import Tape, Variable, variables_of

__all__ = ["Op", "around_ops", "op", "watched"]

_REAL = frozenset("biuf")
_WATCH = threading.local()
"""What stands around the calls of ops in this thread, if anything does."""
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@contextlib.contextmanager
def around_ops(around: Callable[[str, Callable[[], Any]], Any] | None) -> Iterator[None]:
    """Let `around(name, call)` return the value of every call of an op in the block, in this thread, by `call()`.

    An op that calls others inside is around them. `call` is a partial whose `args` are (arguments, options) of the op.
    """
    before, _WATCH.around = getattr(_WATCH, "around", None), around
    try:
        yield
    finally:
        _WATCH.around = before


@contextlib.contextmanager
def watched(see: Callable[[str, Any], None]) -> Iterator[None]:
    """Let `see` have name and value of every call of an op in the block, in this thread; not of those inside an op."""

    def around(name: str, call: Callable[[], Any]) -> Any:
        with around_ops(None):  # an op is one layer, whatever ops it calls
            out = call()
        see(name, out)
        return out

    with around_ops(around):
        yield


class Op:
    """A function of arrays with its derivative.

    Called on arrays, an op returns its value. Called with variables among its positional arguments, it returns
    variables and records the call on their tape. `forward` and `vjp` are the two halves on plain arrays, for users of
    other autodiff systems.

    Parameters
    ----------
    forward : callable
        `forward(*arrays, **options)` returns (out, residuals): the value, and whatever `vjp` needs. `out` may be a
        tuple of arrays.
    vjp : callable
        `vjp(dout, residuals)` returns a tuple: for each positional argument of the call the gradient, with the
        argument's shape and dtype, or None. If `out` is a tuple then so is `dout`, with None for an output that was not
        used. It must not change `dout`. If it takes a keyword `wanted`, that is True for an argument whose gradient is
        asked for, and returns None for the others: constants cost nothing, and gradients of weights may come later than
        those of inputs, see `Variable.backward_of_inputs`.
    value : callable, optional
        `value(*arrays, **options)` returns `out` alone, more cheaply than `forward`; used where nothing is recorded.
    collective : bool
        `forward` starts with an agreement over its `comm`, which meets a refusal of arguments on another rank.
    jvp : callable, "linear" or "multilinear", optional
        Rule for derivatives of derivatives, see `directional_derivatives`: `jvp(out, args, tangents, **options)`
        returns the derivative of `out` along the tangents (None for an argument that is constant), computed by ops
        from arrays, variables or duals; None for a derivative of zero. "linear" stands for an op that is linear in its
        float arguments together, "multilinear" for one that is linear in each.
    coded : callable, optional
        Rule for parameters that are held as codes: `coded(*arrays, **options)` returns `out` for arrays of which some
        are each a `CodedArray`. Without it, and where something is recorded, `forward` gets the arrays that they decode
        to.

    Raises
    ------
    InvalidValueError
        In a call with a variable as an option, with variables of two tapes, or with a dual without `jvp`.
    ShapeError, DTypeError
        In `backward`, if a gradient does not have the shape and dtype of its argument.

    Notes
    -----
    The annotations of `forward` are checked, see `sci.arguments.entry`; an argument without one may be anything.
    Overhead is a few microseconds per call with variables, and about one without.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import op, value_and_gradients
    >>> def cube_vjp(dout, x):
    ...     return (3 * x * x * dout,)
    >>> @op(vjp=cube_vjp)
    ... def cube(x):
    ...     return x**3, x
    >>> cube(np.array([1.0, 2.0]))
    array([1., 8.])
    >>> value, gradient = value_and_gradients(lambda x: cube(x).sum(), np.array([1.0, 2.0]))
    >>> float(value), gradient
    (9.0, array([ 3., 12.]))
    """

    __name__: str
    __qualname__: str

    @entry
    def __init__(
        self,
        forward: Callable[..., tuple[Any, Any]],
        vjp: Callable[..., tuple[Any, ...]],
        value: Callable[..., Any] | None = None,
        collective: bool = False,
        jvp: Callable[..., Any] | Literal["linear", "multilinear"] | None = None,
        coded: Callable[..., Any] | None = None,
    ) -> None:
        self.forward = forward
        self.vjp = vjp
        self.coded = coded
        self.jvp = _RULES[jvp](self) if isinstance(jvp, str) else jvp
        self.value = value or (lambda *arrays, **options: forward(*arrays, **options)[0])
        self.collective = collective
        self.selective = "wanted" in inspect.signature(vjp).parameters
        functools.update_wrapper(self, forward)
        self.signature_of_entry = Signature(forward, forward.__name__, collective)
        self._signature = inspect.signature(forward)
        self._names = frozenset(p.name for p in self._signature.parameters.values() if p.kind in _POSITIONAL)

    def __repr__(self) -> str:
        parameters = (("*" if p.kind == p.VAR_POSITIONAL else "") + p.name for p in self._signature.parameters.values())
        return f"<op {self.__name__}({', '.join(parameters)})>"

    def __reduce__(self) -> str:
        return self.__qualname__

    def __call__(self, *args: Any, **options: Any) -> Any:
        """Return the value of `forward`, recorded if a variable is among `args`."""
        if options:
            args, options = self._bound(args, options)
        try:
            around = getattr(_WATCH, "around", None)
            if around is None:
                return self._call(args, options)
            return around(self.__name__, functools.partial(self._call, args, options))
        except RAW_ERRORS as raised:
            found = self.signature_of_entry.translated(raised, args, options)
            if found is raised:
                raise
            raise found from raised

    def _call(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        tape: Tape | None = None
        values = list(args)
        cells: list[Any] = [None] * len(args)
        odd = False
        for k, a in enumerate(args):
            if isinstance(a, Variable):
                values[k], cells[k] = a.value, a._cell
                if tape is None:
                    tape = a.tape
                elif a.tape is not tape:
                    raise InvalidValueError(f"{self!r} was called with variables of two tapes; expected one tape")
            elif type(a) is not np.ndarray or a.dtype.kind not in _REAL:
                odd = True
        if odd and Dual in map(type, args):
            return self._pushed(args, options)
        if odd and any(isinstance(value, CodedArray) for value in values):
            if tape is None and self.coded is not None:
                return self.coded(*args, **options)
            return self._call(tuple(map(decoded, args)), options)
        if odd or options:
            self._check(args if odd else (), options)  # arrays of real numbers fit wherever an array is expected
        if tape is None:
            return self.value(*args, **options)
        if tape.paused:
            out = self.value(*values, **options)
            return variables_of(tape.seen(out), tape)
        out, residuals = self.forward(*values, **options)
        return tape.record(self, out, cells, residuals)

    def _pushed(self, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """Return the value of a call with duals among its arguments, with the tangent: a dual of the highest level."""
        if self.jvp is None:
            raise InvalidValueError(
                f"{self!r} has no rule for derivatives of derivatives; expected ops that have one (an own op takes it "
                "as jvp=)"
            )
        level = max(a.level for a in args if type(a) is Dual)
        own = [type(a) is Dual and a.level == level for a in args]
        primals = tuple(a.primal if mine else a for a, mine in zip(args, own))
        tangents = tuple(a.tangent if mine else None for a, mine in zip(args, own))
        out = self._call(primals, options)
        found = self.jvp(out, primals, tangents, **options)
        if isinstance(out, tuple):
            several = (None,) * len(out) if found is None else found
            return tuple(dual_of(self, value, tangent, level) for value, tangent in zip(out, several, strict=True))
        return dual_of(self, out, found, level)

    def _check(self, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        """Refuse arguments that the annotations of `forward` do not name."""
        error = self.signature_of_entry.misfit(args, options)
        if error is not None:
            self.signature_of_entry.refuse(error, args, options)

    def _bound(self, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Turn positional arguments that were given by name into positional ones, and check the options."""
        if not self._names.isdisjoint(options):
            bound = self._signature.bind(*args, **options)
            args, options = bound.args, bound.kwargs
        for name, option in options.items():
            if isinstance(option, Operand):
                raise InvalidValueError(
                    f"the option {name} of {self!r} is a variable; only positional arguments are differentiated"
                )
        return args, options


_RULES = {"linear": linear_rule, "multilinear": multilinear_rule}


@entry
def op(
    *,
    vjp: Callable[..., tuple[Any, ...]],
    value: Callable[..., Any] | None = None,
    collective: bool = False,
    jvp: Callable[..., Any] | Literal["linear", "multilinear"] | None = None,
    coded: Callable[..., Any] | None = None,
) -> Callable[[Callable[..., tuple[Any, Any]]], Op]:
    """Make the decorated function, which returns (out, residuals), the forward half of an `Op`.

    Parameters
    ----------
    vjp, value, collective, jvp, coded
        As in `Op`.

    Returns
    -------
    decorator

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import op
    >>> @op(vjp=lambda dout, x: (2 * x * dout,))
    ... def square(x):
    ...     return x * x, x
    >>> square(np.array([3.0]))
    array([9.])
    """
    return lambda forward: Op(forward, vjp, value, collective, jvp, coded)
