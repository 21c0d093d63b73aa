"""Settings, in the order: arguments, `with sci.options(...)`, `SCI_*` variables, defaults."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sci.errors import InvalidValueError

__all__ = ["MOST_THREADS", "get", "options", "recorded", "snapshot"]


def _one_of(*choices: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if value not in choices:
            raise ValueError("expected " + " or ".join(repr(c) for c in choices))
        return str(value)

    return parse


MOST_THREADS = 4096
"""Threads that a kernel on the CPU may take: each holds megabytes of address space."""


def _threads(value: Any) -> int:
    number = int(value)
    if not 1 <= number <= MOST_THREADS:
        raise ValueError(f"expected an integer from 1 to {MOST_THREADS}")
    return number


CPU_LEVELS = ("x86-64-v2", "x86-64-v3", "x86-64-v4")

_OPTIONS: dict[str, tuple[Any, Callable[[Any], Any], str]] = {
    "kernels": (
        "auto",
        _one_of("auto", "compiled", "native", "reference"),
        "compiled kernels, array references, or auto",
    ),
    "kernel_path": (None, str, "folder of kernel sources that replaces the shipped one"),
    "cache_dir": (None, str, "folder of compiled kernels; the user's cache folder by default"),
    "compiler": (None, str, "C++ compiler for kernels on the CPU; found on PATH by default"),
    "cxxflags": ("", str, "more flags for the C++ compiler, e.g. -O2"),
    "kernel_layers": ("", str, "folders of compiled kernels to read, beside cache_dir, as in PATH"),
    "cpu_level": (None, _one_of(*CPU_LEVELS), "highest level of compiled kernels that a wheel brings"),
    "threads": (None, _threads, "threads of a kernel on the CPU; OMP_NUM_THREADS or all cores by default"),
    "progress": ("auto", _one_of("auto", "on", "off"), "progress reports of long builds"),
    "cuda_aware_mpi": ("auto", _one_of("auto", "on", "off"), "hand device buffers to MPI"),
    "external_data": ("off", _one_of("off", "on"), "read data that an HDF5 file keeps in other files, by links too"),
    "nccl": ("off", _one_of("off", "on"), "collectives of device arrays through NCCL"),
}

_VARIABLES = {name: f"SCI_{name.upper()}" for name in _OPTIONS}
_KEYS = {variable: variable.encode() for variable in _VARIABLES.values()}

_arguments: ContextVar[dict[str, Any] | None] = ContextVar("sci_arguments", default=None)
_overrides: ContextVar[dict[str, Any] | None] = ContextVar("sci_options", default=None)


def _parse(name: str, value: Any, origin: str) -> Any:
    if name not in _OPTIONS:
        raise InvalidValueError(f"unknown option {name!r}; the options are {', '.join(_OPTIONS)}")
    if value is None:
        return None
    try:
        return _OPTIONS[name][1](value)
    except (TypeError, ValueError) as error:
        raise InvalidValueError(f"{origin} is {value!r}: {error}") from error


def get(name: str, argument: Any = None) -> Any:
    """Return the value of option `name`; an `argument` that is not None wins.

    Parameters
    ----------
    name : str
        Of the option.
    argument : object, optional
        The argument of a call.

    Returns
    -------
    object
        Of the class that the option has, or None where it is not set and has no default.

    Raises
    ------
    InvalidValueError
        For an unknown name, or a value that the option does not take.
    """
    if argument is not None:
        return _parse(name, argument, f"argument {name}")
    overrides = _overrides.get()
    if overrides and name in overrides:
        return overrides[name]
    variable = _VARIABLES.get(name)
    if variable is None:
        return _parse(name, None, name)
    value = _environment(variable)
    return _parse(name, value, variable) if value else _OPTIONS[name][0]


def _environment(variable: str) -> str | None:
    """Return the value of a variable of ours, None if it is not set.

    `os.environ.get` raises and catches an error where there is none, for a microsecond; a launch asks for 20 options.
    """
    table = getattr(os.environ, "_data", None)  # of bytes, where the system's variables are
    if os.name == "posix" and isinstance(table, dict) and _KEYS[variable] not in table:
        return None
    return os.environ.get(variable)


@contextmanager
def options(**settings: Any) -> Iterator[None]:
    """Set options inside a `with` block: `with sci.options(kernels="reference"): ...`.

    The settings are local to the thread or task and restored on leaving the block.

    Parameters
    ----------
    **settings : object
        Options by name; see the table of settings.

    Returns
    -------
    context manager
    """
    parsed = {name: _parse(name, value, f"option {name}") for name, value in settings.items()}
    token = _overrides.set({**(_overrides.get() or {}), **parsed})
    try:
        yield
    finally:
        _overrides.reset(token)


@contextmanager
def recorded(arguments: Mapping[str, Any]) -> Iterator[None]:
    """Let `snapshot`, and so every file that is written inside the `with` block, tell the arguments of a command.

    Parameters
    ----------
    arguments : mapping of str to JSON values
        Every option of the command, also those that were not given.

    Returns
    -------
    context manager
    """
    token = _arguments.set(dict(arguments))
    try:
        yield
    finally:
        _arguments.reset(token)


def snapshot() -> dict[str, Any]:
    """Return every option with its present value, and under "arguments" those of a command, see `recorded`.

    Returns
    -------
    dict
        By name; values are numbers, texts, or None.
    """
    arguments = _arguments.get()
    more = {} if arguments is None else {"arguments": arguments}
    return {name: get(name) for name in _OPTIONS} | more
