"""Entries of the library: arguments are held against the signature, and no error of NumPy or Python leaves unnamed.

The annotations of a public function say what its arguments may be; `entry` reads them. An argument of another class is
refused by name before work starts, and where NumPy or Python refuses something later, in the library's own code, the
error leaves as one of `sci.errors` that shows what was given. Errors of the caller's functions pass unchanged.
"""

from __future__ import annotations

import collections.abc
import functools
import inspect
import numbers
import sys
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args, get_origin

import numpy as np

from sci.backend import is_device_array
from sci.distributed import agreed
from sci.errors import DTypeError, InvalidValueError, OutOfMemoryError, SciError, ShapeError

__all__ = ["RAW_ERRORS", "Check", "Computed", "Real", "Signature", "collective_entry", "entry"]

Computed: TypeAlias = Annotated[float, "number"]
"""A real number that was computed, and so may be NaN: where `float` alone stands in a signature, NaN is refused."""

Real: TypeAlias = Annotated[Any, "real"]
"""An array of real numbers, where complex ones would lose their imaginary part."""

RAW_ERRORS = (TypeError, ValueError, AttributeError, LookupError, ArithmeticError, StopIteration, MemoryError)
"""What NumPy and Python raise for arguments that do not fit, also into memory."""

_OURS = frozenset({"sci", "numpy", "scipy", "cupy", "cupyx", "h5py", "tqdm", "mpi4py", *sys.stdlib_module_names})
_LENGTH = 80
_Target = TypeVar("_Target", bound=Callable[..., Any])


@dataclass(frozen=True)
class Check:
    """What an argument may be.

    Parameters
    ----------
    test : callable
    text : str
        The test in words, after "expected".
    near : tuple of classes
        Objects of these have a wrong value, not a wrong class.
    entries : callable, optional
        Yields the entries of a container as their index in words, the entry, and its check.
    known : set of classes
        Objects of exactly these always pass.

    Examples
    --------
    >>> from sci.arguments import Check
    >>> Check(lambda value: value > 0, "a positive number").text
    'a positive number'
    """

    test: Callable[[Any], bool]
    text: str
    near: tuple[type, ...] = ()
    entries: Callable[[Any], Iterable[tuple[str, Any, Check]]] | None = None
    known: frozenset[type] = frozenset()

    def fits(self, value: Any) -> bool:
        """Whether `value` passes; false where the test itself fails."""
        if type(value) in self.known:
            return True
        try:
            return self.test(value)
        except Exception:
            return False

    def narrowed(self, name: str, value: Any) -> tuple[str, Any, Check]:
        """Return name, value and check of the entry of a container that does not fit, or those of the whole."""
        try:
            for index, item, check in () if self.entries is None else self.entries(value):
                if not check.fits(item):
                    return check.narrowed(f"{name}{index}", item)
        except Exception:
            pass  # no container at all
        return name, value, self

    def __repr__(self) -> str:
        return f"<Check for {self.text}>"


def _is_array(value: Any) -> bool:
    if type(value) is np.ndarray:
        return _is_number(value.dtype)
    return hasattr(value, "dtype") and _is_number(value.dtype) and hasattr(value, "shape") and not _is_class(value)


def _is_number(dtype: Any) -> bool:
    """Whether `dtype` is one of numbers; the bfloat16 of ml_dtypes has the kind of a record."""
    return bool((dtype.kind in _KINDS or dtype.name == "bfloat16") and dtype.isnative)


def _is_class(value: Any) -> bool:
    return isinstance(value, type)


def _is_float(value: Any) -> bool:
    if type(value) is float:
        return value == value
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return value == value  # no NaN
    return getattr(value, "shape", None) == () and getattr(value.dtype, "kind", "") in "iuf" and bool(value == value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_comm(value: Any) -> bool:
    return value is None or hasattr(value, "Get_rank")


def _plain(*kinds: type) -> frozenset[type]:
    """Return classes, not counting their heirs, all of whose objects fit: most arguments are told by their class."""
    return frozenset(kinds)


_KINDS = ("b", "i", "u", "f", "c")
_REAL = (int, float, np.number)
_MARKED = {
    "array": Check(_is_array, "an array of numbers in the machine's byte order"),
    "real": Check(lambda value: _is_array(value) and value.dtype.kind != "c", "an array of real numbers"),
    "number": Check(lambda value: _is_float(value) or value != value, "a real number", _REAL),
    "communicator": Check(_is_comm, "an mpi4py communicator, or None", known=_plain(type(None))),
}
_PLAIN: dict[Any, Check] = {
    bool: Check(
        lambda value: isinstance(value, bool | np.bool_) or value in (0, 1),
        "True or False",
        known=_plain(bool, np.bool_),
    ),
    int: Check(_is_integer, "an integer", _REAL, known=_plain(int, np.int64)),
    float: Check(_is_float, "a real number", _REAL, known=_plain(int, np.int64)),
    complex: Check(lambda value: isinstance(value, numbers.Complex) and not _is_class(value), "a number"),
    str: Check(lambda value: isinstance(value, str), "a text", known=_plain(str)),
    bytes: Check(lambda value: isinstance(value, bytes | bytearray), "bytes"),
    np.ndarray: Check(lambda value: isinstance(value, np.ndarray) and _is_array(value), "a NumPy array of numbers"),
    None: Check(lambda value: value is None, "None", known=_plain(type(None))),
    type(None): Check(lambda value: value is None, "None", known=_plain(type(None))),
}


def check_of(hint: Any) -> Check | None:
    """Return the check of an annotation; None where it takes anything."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _MARKED.get(inner[1])
    if origin in (typing.Union, types.UnionType):
        return _any_of([check_of(part) for part in inner])
    if origin is Literal:
        return Check(
            lambda value: isinstance(value, str) and value in inner, f"one of {', '.join(map(repr, inner))}", (str,)
        )
    if origin is tuple and inner[-1:] != (...,):
        return _tuple_of([check_of(part) for part in inner])
    if origin is not None and isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        return _mapping_of(check_of(inner[1]))
    if origin is not None and isinstance(origin, type) and issubclass(origin, collections.abc.Sequence):
        return _sequence_of(check_of(inner[0]))
    if origin is collections.abc.Callable:
        return Check(callable, "a function")
    if hint in _PLAIN:
        return _PLAIN[hint]
    return _instance_of(hint) if isinstance(hint, type) and hint is not object else None


def _any_of(checks: list[Check | None]) -> Check | None:
    if None in checks:
        return None
    known = [check for check in checks if check is not None]
    near = tuple(kind for check in known for kind in check.near)
    entries = [check.entries for check in known if check.entries is not None]
    text = " or ".join(check.text for check in known)
    one = entries[0] if len(entries) == 1 else None
    plain = frozenset(kind for check in known for kind in check.known)
    return Check(lambda value: any(check.fits(value) for check in known), text, near, one, plain)


def _is_sequence(value: Any) -> bool:
    if isinstance(value, str | bytes) or _is_class(value):
        return False
    return isinstance(value, collections.abc.Sequence) or (_is_array(value) and len(value.shape) > 0)


def _tuple_of(checks: list[Check | None]) -> Check:
    def test(value: Any) -> bool:
        return (
            _is_sequence(value)
            and len(value) == len(checks)
            and all(check is None or check.fits(item) for check, item in zip(checks, value))
        )

    return Check(test, f"({', '.join('anything' if check is None else check.text for check in checks)})")


def _sequence_of(check: Check | None) -> Check:
    if check is None:
        return Check(_is_sequence, "a sequence")

    def entries(value: Any) -> Iterable[tuple[str, Any, Check]]:
        items = value[:1] if hasattr(value, "dtype") else value  # the entries of an array are of one class
        return ((f"[{k}]", item, check) for k, item in enumerate(items) if _is_sequence(value))

    def test(value: Any) -> bool:
        if type(value) is tuple or type(value) is list:
            return all(check.fits(item) for item in value)
        return _is_sequence(value) and all(check.fits(item) for _, item, _ in entries(value))

    return Check(test, f"a sequence of entries that are each {check.text}", entries=entries)


def _mapping_of(check: Check | None) -> Check:
    if check is None:
        return Check(lambda value: isinstance(value, Mapping), "a dict")

    def entries(value: Any) -> Iterable[tuple[str, Any, Check]]:
        return ((f"[{key!r}]", item, check) for key, item in value.items())

    def test(value: Any) -> bool:
        return isinstance(value, Mapping) and all(map(check.fits, value.values()))

    return Check(test, f"a dict of values that are each {check.text}", entries=entries)


def _instance_of(kind: type) -> Check:
    name = kind.__name__
    if getattr(kind, "_is_protocol", False):
        members = sorted(n for n in vars(kind) if callable(vars(kind)[n]) and n not in vars(object) and n[:4] != "_abc")
        members = [n for n in members if n not in ("__init__", "__subclasshook__", "_proto_hook")]
        return Check(
            lambda value: not isinstance(value, type | str | bytes) and all(hasattr(value, n) for n in members),
            f"{_article(name)}, with {' and '.join(members)}",
        )
    if kind.__module__ == "typing":
        return Check(lambda value: True, "anything")
    return Check(lambda value: isinstance(value, kind), _article(name), known=_plain(kind))


def shown(value: Any) -> str:
    """Return a few words that describe an argument."""
    if _is_class(value):
        return f"the class {value.__name__}"
    dtype, shape = getattr(value, "dtype", None), getattr(value, "shape", None)
    if dtype is not None and isinstance(shape, tuple):
        if shape == ():
            return f"{value!r}"
        known = isinstance(value, np.ndarray) or is_device_array(value)
        order = "" if getattr(dtype, "isnative", True) else " in the other byte order"
        name = "an array" if known else _article(type(value).__name__)
        return f"{name} of shape {tuple(shape)} and dtype {dtype}{order}"
    text = " ".join(repr(value).split())
    kind = "" if value is None or isinstance(value, str | int | float | complex) else _article(type(value).__name__)
    return (text if len(text) <= _LENGTH else f"{text[: _LENGTH - 3]}...") + (kind and f", {kind}")


def _article(name: str) -> str:
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


class Signature:
    """What the annotations of a function say about its arguments; read when it is first used.

    Parameters
    ----------
    function : callable
    name : str
        Name for messages.
    collective : bool
        A refusal is agreed on over the communicator of the call, where the function's own first agreement meets it.

    Examples
    --------
    >>> from sci.arguments import Signature
    >>> Signature(len, "len").name
    'len'
    """

    def __init__(self, function: Callable[..., Any], name: str, collective: bool = False) -> None:
        self.function, self.name, self.collective = function, name, collective

    def __repr__(self) -> str:
        return f"Signature of {self.name}"

    @functools.cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters of the function."""
        return dict(inspect.signature(self.function).parameters)

    @functools.cached_property
    def checks(self) -> dict[str, Check | None]:
        """The check of each parameter."""
        hints = typing.get_type_hints(self.function, include_extras=True)
        return {name: check_of(hints.get(name, Any)) for name in self.parameters}

    @functools.cached_property
    def positional(self) -> tuple[tuple[str, Check | None], ...]:
        """Name and check of each argument that can be given by position; the last one repeats where it is variadic."""
        kinds = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
        return tuple((name, self.checks[name]) for name, p in self.parameters.items() if p.kind not in kinds)

    @functools.cached_property
    def many(self) -> bool:
        """Whether the last positional argument is variadic."""
        return any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in self.parameters.values())

    def misfit(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> SciError | None:
        """Return the error of the first argument that does not fit its annotation, None if all do."""
        positional, checks = self.positional, self.checks
        for (name, check), value in zip(positional, args):
            if check is not None and type(value) not in check.known and not self._fits(name, check, value):
                return self._error(f"{name}[0]" if self._is_many(name) else name, check, value)
        if self.many:
            name, check = positional[-1]
            for k, value in enumerate(args[len(positional) :], 1):
                if check is not None and not check.fits(value):
                    return self._error(f"{name}[{k}]", check, value)
        for name, value in options.items():
            check = checks.get(name)
            if check is not None and type(value) not in check.known and not self._fits(name, check, value):
                return self._error(name, check, value)
        return None

    def _is_many(self, name: str) -> bool:
        return self.parameters[name].kind is inspect.Parameter.VAR_POSITIONAL

    def _fits(self, name: str, check: Check, value: Any) -> bool:
        return check.fits(value) or value is self.parameters[name].default

    def _error(self, name: str, check: Check, value: Any) -> SciError:
        name, value, check = check.narrowed(name, value)
        kind = InvalidValueError if isinstance(value, check.near) and not isinstance(value, bool) else DTypeError
        numbers = isinstance(value, list | tuple | int | float) and not isinstance(value, bool)
        fix = f": pass numpy.asarray({name})" if numbers and "an array of" in check.text else ""
        return kind(f"{self.name}: {name} is {shown(value)}; expected {check.text}{fix}")

    def refuse(self, error: SciError, args: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        """Raise `error`, on all ranks if the call is collective."""
        comm = self._comm(args, options) if self.collective else None
        with agreed(comm, self.name):
            raise error

    def _comm(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> Any:
        names = [name for name, _ in self.positional]
        given = {**dict(zip(names, args)), **options}
        grids = [getattr(value, "grid", None) for value in given.values()]
        holders = (getattr(value, "comm", None) for value in [*given.values(), *grids])
        candidates = [given.get("comm"), *holders]
        return next((comm for comm in candidates if comm is not None and _is_comm(comm)), None)

    def translated(self, error: Exception, args: tuple[Any, ...], options: Mapping[str, Any]) -> Exception:
        """Return the error of `sci.errors` to raise for a raw one; the raw one if the caller's own code raised it."""
        if isinstance(error, SciError) or not _is_ours(error.__traceback__):
            return error
        found = self.misfit(args, options) or self._unfit(error, args, options)
        if hasattr(error, "_agreed_over"):
            found._agreed_over = error._agreed_over  # type: ignore[attr-defined]
        return found

    def _unfit(self, error: Exception, args: tuple[Any, ...], options: Mapping[str, Any]) -> SciError:
        names = [name for name, _ in self.positional]
        told = []
        for k, value in enumerate(args):
            name = names[min(k, len(names) - 1)] if names else "argument"
            told.append((f"{name}[{k - len(names) + 1}]" if names and self._is_many(name) else name, value))
        told += options.items()
        given = "; ".join(f"{name} {shown(value)}" for name, value in told if name not in ("self", "cls", "comm"))
        arrays = any(getattr(value, "shape", ()) != () for _, value in told)
        kind: type[SciError] = DTypeError if isinstance(error, TypeError | AttributeError) else InvalidValueError
        if kind is InvalidValueError and arrays and isinstance(error, ValueError | IndexError):
            kind = ShapeError
        cause = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, MemoryError):
            return OutOfMemoryError(f"{self.name} takes more memory than there is ({cause}) with: {given}")
        return kind(f"{self.name} cannot take these arguments ({cause}): {given}; expected those of its documentation")


def _is_ours(trace: types.TracebackType | None) -> bool:
    """Whether an error rose inside of the library; false for the binding of a call, and for code of the caller."""
    frames = []
    while trace is not None:
        frames.append(str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0])
        trace = trace.tb_next
    return len(frames) > 1 and all(name in _OURS for name in frames[2:])


def entry(target: _Target) -> _Target:
    """Hold the arguments of a public function, or of a class and its public methods, against the annotations.

    Parameters
    ----------
    target : function or class

    Returns
    -------
    function or class
        The class itself; for a function one that does the same, or raises errors of `sci.errors` alone.

    Notes
    -----
    The wrapper raises `DTypeError` for an argument of another class than its annotation names, `InvalidValueError` for
    a number or a choice that is out of place (NaN where a real number belongs), both with name, value and expectation.
    Missing and unknown arguments are Python's TypeError. Costs about a microsecond a call.

    Examples
    --------
    >>> from sci.arguments import entry
    >>> @entry
    ... def half(n: int) -> float:
    ...     return n / 2
    >>> half("3")
    Traceback (most recent call last):
    sci.errors.DTypeError: half: n is '3'; expected an integer
    """
    held: _Target = _checked(target, False)
    return held


def collective_entry(target: _Target) -> _Target:
    """Hold arguments against annotations, as `entry`, where a call starts with an agreement of ranks.

    The communicator is the argument `comm`, or that of an argument. A refusal on one rank is an error on all: the
    others meet it in their first agreement.

    Parameters
    ----------
    target : function or class
        What is decorated.

    Returns
    -------
    function or class

    Examples
    --------
    >>> from sci.arguments import collective_entry
    >>> from sci.distributed import Comm, agreed
    >>> @collective_entry
    ... def double(n: int, comm: Comm = None) -> int:
    ...     with agreed(comm, "double") as agreement:
    ...         agreement.same(n=n)
    ...     return 2 * n
    >>> double(3)
    6
    """
    held: _Target = _checked(target, True)
    return held


def _checked(target: Any, collective: bool) -> Any:
    if not isinstance(target, type):
        return _wrapped(target, target.__name__, collective)
    for name, member in list(vars(target).items()):
        public = not name.startswith("_") or name in ("__init__", "__call__", "__matmul__")
        if not public or isinstance(member, type):
            continue
        inner = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not inspect.isfunction(inner) or hasattr(inner, "signature_of_entry"):
            continue
        title = target.__name__ if name == "__init__" else f"{target.__name__}.{name}"
        made = _wrapped(inner, title, collective and name == "__init__")
        setattr(target, name, type(member)(made) if inner is not member else made)
    return target


def _wrapped(function: Callable[..., Any], name: str, collective: bool) -> Callable[..., Any]:
    signature = Signature(function, name, collective)

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        error = signature.misfit(args, options)
        if error is not None:
            signature.refuse(error, args, options)
        try:
            return function(*args, **options)
        except RAW_ERRORS as raised:
            found = signature.translated(raised, args, options)
            if found is raised:
                raise
            raise found from raised

    call.signature_of_entry = signature  # type: ignore[attr-defined]
    return call
