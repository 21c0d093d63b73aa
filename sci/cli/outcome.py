"""Output of commands: data on stdout, messages on stderr, failures, and checks of outputs before any work."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sci.errors import InvalidValueError, OutOfMemoryError, SciError

__all__ = [
    "Failure",
    "computing",
    "error_in_words",
    "muted",
    "print_json",
    "print_table",
    "release_outputs",
    "require_writable",
    "say",
    "size_in_words",
    "tell",
    "tell_figures",
    "to_accuracy",
]

_reserved = contextlib.ExitStack()
"""The outputs that this command writes."""


class Failure(Exception):
    """Failure of a computation with good input: exit code 1."""


@contextlib.contextmanager
def computing() -> Iterator[None]:
    """Turn errors of the library into a `Failure`; for use after the input was read and checked."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except SciError as error:
        raise Failure(str(error)) from error


_mute: list[bool] = []


@contextlib.contextmanager
def muted() -> Iterator[None]:
    """Let `say` print nothing in a block, but what is of one rank alone."""
    _mute.append(True)
    try:
        yield
    finally:
        _mute.pop()


def say(kind: str, message: str, *, rank: int | None = None) -> None:
    """Print one line on stderr; with a `rank`, one that this rank alone has to say."""
    if _mute and rank is None:
        return
    if rank is not None:
        message = f"rank {rank}: {message}"
    print(f"sci: {kind}: {_printable(' '.join(message.split()))}", file=sys.stderr, flush=True)


def print_json(data: Any) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(data, indent=2, allow_nan=False))


def print_table(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns on stdout."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(_printable(f"{name:<{width}}  {value}".rstrip()))


def to_accuracy(value: float, relative: float) -> str:
    """Return a number with the digits that a relative error leaves, and one more.

    >>> to_accuracy(-73.30729114, 1e-6)
    '-73.307291'
    """
    digits = 16 if relative <= 0 else min(max(math.ceil(-math.log10(relative)) + 2, 3), 16)
    return f"{value:.{digits}g}"


def error_in_words(name: str, found: Mapping[str, Any]) -> str:
    """Return a measured error, as `MeasuredError.as_dict` gives it, as one line.

    >>> error_in_words("field", {"relative": 2e-5, "worst": 1e-4, "groups": {"far": {"relative": 2e-5}}})
    'field 2.0e-05 relative (far 2.0e-05), 1.0e-04 at worst'
    """
    groups = ", ".join(f"{group} {pair['relative']:.1e}" for group, pair in found["groups"].items())
    return f"{name} {found['relative']:.1e} relative ({groups}), {found['worst']:.1e} at worst"


def size_in_words(n_bytes: float) -> str:
    """Return a number of bytes with a unit.

    >>> size_in_words(1.5e9)
    '1.5 GB'
    """
    for unit in ("B", "kB", "MB", "GB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:.3g} TB"


def tell(arguments: Any, data: Any, rows: Sequence[tuple[str, str]]) -> None:
    """Print the report of a command: one JSON object with --json, nothing with --quiet, else a table."""
    if arguments.json:
        print_json(data)
    elif not arguments.quiet:
        print_table(rows)


def tell_figures(arguments: Any, report: Mapping[str, Any]) -> None:
    """Print a report whose table has its entries as they are, numbers by four digits."""
    tell(arguments, report, [(name, f"{v:.4g}" if isinstance(v, float) else str(v)) for name, v in report.items()])


def require_writable(
    outputs: Sequence[Path],
    inputs: Sequence[Path] = (),
    *,
    overwrite: bool,
    continued: Sequence[Path | None] = (),
    comm: Any = None,
) -> None:
    """Raise, before any work, if a file cannot be written, exists, or would replace an input or another output.

    The outputs are then held until `release_outputs`: this command writes them, another that names one is refused.

    Parameters
    ----------
    outputs, inputs : sequence of Path
    overwrite : bool
        Whether outputs may exist.
    continued : sequence of Path or None
        Outputs that may exist in any case, because the command continues them.
    comm : mpi4py communicator, optional
        Rank 0 looks, and holds the outputs.

    Raises
    ------
    FileFormatError, InvalidValueError
        On every rank.
    """
    from sci.distributed import agreed, rank_of
    from sci.io.core.outputs import reserve

    with agreed(comm, "the outputs"):
        if rank_of(comm) > 0:
            return
        places = [path.resolve() for path in outputs]
        for path, place in zip(outputs, places):
            if places.count(place) > 1:
                raise InvalidValueError(f"{path} is the name of two outputs; choose different names")
            if any(_same_file(path, other) for other in inputs):
                raise InvalidValueError(f"{path} is the input; choose another name for the output")
            _reserved.enter_context(reserve(path, overwrite=overwrite or path in continued))


def release_outputs() -> None:
    """Let others write the outputs that `require_writable` holds."""
    _reserved.close()


def _same_file(path: Path, other: Path) -> bool:
    """Return True if two names are those of one file, also through links."""
    try:
        return path.resolve() == other.resolve() or path.samefile(other)
    except OSError:
        return False


def _printable(text: str) -> str:
    """Return a text without control characters, which a file may hold and a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
