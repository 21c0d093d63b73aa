"""The command `sci`: its exit codes, and its one-line error messages."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from sci.cli.common import settings_of
from sci.cli.outcome import Failure, release_outputs, say
from sci.cli.parser import parse
from sci.errors import ConvergenceError, KernelCompileError, SciError

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command `sci`.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process unless given.

    Returns
    -------
    int
        0; 1 if the computation failed, 2 for bad input, 130 when interrupted, 141 if the reader of stdout left.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        arguments = parse(words)
        with settings_of(arguments), _terminable(), _warnings_as_lines():
            _launched()
            arguments.run(arguments)
            sys.stdout.flush()
        return 0
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        say("error", "interrupted; no file was left incomplete")
        return 130
    except BrokenPipeError:
        # Python flushes stdout once more at exit, and would complain.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        return _failed(error)
    finally:
        release_outputs()


def _launched() -> None:
    """Refuse tasks of a launcher that know nothing of each other; the import brings NumPy, which reads --threads."""
    from sci.distributed import launched

    launched(None)


def _failed(error: Exception) -> int:
    """Print the error and return the exit code."""
    if os.environ.get("SCI_DEBUG", "0") not in ("", "0"):
        traceback.print_exc()
    if isinstance(error, Failure):
        say("error", _as_options(str(error)))
        return 1
    if isinstance(error, SciError):
        say("error", _as_options(str(error)))
        return 1 if isinstance(error, KernelCompileError | ConvergenceError) else 2
    if isinstance(error, MemoryError):
        say("error", f"out of memory ({error}); use a larger --tol, a smaller --grid, or a machine with more")
    else:
        say("error", f"{type(error).__name__}: {error} (this is a bug in sci; SCI_DEBUG=1 shows where)")
    return 1


def _as_options(message: str) -> str:
    """Turn the arguments of functions that a message names into options."""
    message = re.sub(r"\b(resume|overwrite)=True", r"--\1", message)
    return re.sub(r"\b(format|forcefield|model)=(?:'(\w+)'|(\d+))?", r"--\1 \2\3", message).replace(" :", ":")


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print a warning as one line on stderr."""

    def show(message: Warning | str, *_: Any) -> None:
        say("warning", str(message))

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Unwind on SIGTERM, which batch systems send at the time limit, so that temporary files are removed."""

    def stop(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
