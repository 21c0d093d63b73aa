"""Output of commands: data on stdout, messages on stderr, failures, and checks of outputs before any work."""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sci.errors import FileFormatError, InvalidValueError, SciError

__all__ = ["Failure", "computing", "print_json", "print_table", "require_writable", "say"]


class Failure(Exception):
    """Failure of a computation with good input: exit code 1."""


@contextlib.contextmanager
def computing() -> Iterator[None]:
    """Turn errors of the library into a `Failure`; for use after the input was read and checked."""
    try:
        yield
    except SciError as error:
        raise Failure(str(error)) from error


def say(kind: str, message: str) -> None:
    """Print one line on stderr."""
    print(f"sci: {kind}: {' '.join(message.split())}", file=sys.stderr, flush=True)


def print_json(data: Any) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(data, indent=2, allow_nan=False))


def print_table(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns on stdout."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(f"{name:<{width}}  {value}".rstrip())


def require_writable(outputs: Sequence[Path], inputs: Sequence[Path] = ()) -> None:
    """Raise, before any work, if a file cannot be written or would replace an input or another output.

    Raises
    ------
    FileFormatError, InvalidValueError
    """
    places = [path.resolve() for path in outputs]
    for path, place in zip(outputs, places):
        if path.is_dir():
            raise FileFormatError(f"{path}: this is a directory; expected the name of a file to write")
        if not path.parent.is_dir():
            what = "is a file" if path.parent.exists() else "does not exist; create it first"
            raise FileFormatError(f"{path}: the folder {path.parent} {what}")
        if places.count(place) > 1:
            raise InvalidValueError(f"{path} is the name of two outputs; choose different names")
        if place in [other.resolve() for other in inputs]:
            raise InvalidValueError(f"{path} is the input; choose another name for the output")
        try:
            with tempfile.TemporaryFile(dir=path.parent):
                pass
        except OSError as error:
            raise FileFormatError(
                f"{path}: the folder {path.parent} cannot be written to ({error.strerror}); check its permissions"
            ) from error
