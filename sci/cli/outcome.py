"""Output of commands: data on stdout, messages on stderr, failures, and checks of outputs before any work."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sci.errors import FileFormatError, InvalidValueError, SciError

__all__ = [
    "Failure",
    "computing",
    "print_json",
    "print_table",
    "release_outputs",
    "require_writable",
    "say",
    "tell",
]

_held: dict[Path, int] = {}
"""Lock files of the outputs that this command writes, and their descriptors."""


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
    print(f"sci: {kind}: {_printable(' '.join(message.split()))}", file=sys.stderr, flush=True)


def print_json(data: Any) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(data, indent=2, allow_nan=False))


def print_table(rows: Sequence[tuple[str, str]]) -> None:
    """Print names and values in two columns on stdout."""
    width = max((len(name) for name, _ in rows), default=0)
    for name, value in rows:
        print(_printable(f"{name:<{width}}  {value}".rstrip()))


def tell(arguments: Any, data: Any, rows: Sequence[tuple[str, str]]) -> None:
    """Print the report of a command: one JSON object with --json, nothing with --quiet, else a table."""
    if arguments.json:
        print_json(data)
    elif not arguments.quiet:
        print_table(rows)


def require_writable(
    outputs: Sequence[Path], inputs: Sequence[Path] = (), *, overwrite: bool, continued: Sequence[Path | None] = ()
) -> None:
    """Raise, before any work, if a file cannot be written, exists, or would replace an input or another output.

    The outputs are then held until `release_outputs`: another command that names one of them is refused.

    Parameters
    ----------
    outputs, inputs : sequence of Path
    overwrite : bool
        Whether outputs may exist.
    continued : sequence of Path or None
        Outputs that may exist in any case, because the command continues them.

    Raises
    ------
    FileFormatError, InvalidValueError
    """
    places = [path.resolve() for path in outputs]
    for path, place in zip(outputs, places):
        _require_room(path)
        _hold(path, place)
        if places.count(place) > 1:
            raise InvalidValueError(f"{path} is the name of two outputs; choose different names")
        if any(_same_file(path, other) for other in inputs):
            raise InvalidValueError(f"{path} is the input; choose another name for the output")
        if path.exists() and not overwrite and path not in continued:
            raise InvalidValueError(f"{path} exists; choose another name, or replace it with --overwrite")


def _hold(path: Path, place: Path) -> None:
    """Lock the name of an output, before anybody asks whether it exists; the end of the process unlocks it."""
    try:
        import fcntl
    except ImportError:
        return
    lock = place.with_name(f".{place.name[:50]}.{zlib.crc32(place.name.encode()):08x}.lock")
    if lock in _held:
        return
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise InvalidValueError(f"{path}: another command writes this file; wait for it, or end it") from error
        lock.unlink(missing_ok=True)  # a file system without locks
        return
    _held[lock] = descriptor


def release_outputs() -> None:
    """Let others write the outputs that `require_writable` holds."""
    while _held:
        lock, descriptor = _held.popitem()
        with contextlib.suppress(OSError):
            lock.unlink()
        os.close(descriptor)


def _require_room(path: Path) -> None:
    """Raise if a file of this name cannot be made."""
    if not path.parent.is_dir():
        what = "is a file" if path.parent.exists() else "does not exist; create it first"
        raise FileFormatError(f"{path}: the folder {path.parent} {what}")
    try:
        path.lstat()
    except FileNotFoundError:
        pass
    except OSError as error:
        raise FileFormatError(f"{path}: cannot be written ({error.strerror}); choose another name") from error
    if path.exists() and not path.is_file():
        from sci.io.core.atomic_write import what_is

        raise FileFormatError(f"{path}: {what_is(path)}; expected the name of a file to write")
    try:
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        raise FileFormatError(
            f"{path}: the folder {path.parent} cannot be written to ({error.strerror}); check its permissions"
        ) from error


def _same_file(path: Path, other: Path) -> bool:
    """Return True if two names are those of one file, also through links."""
    try:
        return path.resolve() == other.resolve() or path.samefile(other)
    except OSError:
        return False


def _printable(text: str) -> str:
    """Return a text without control characters, which a file may hold and a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
