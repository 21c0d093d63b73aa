"""The command `sci`: its exit codes, and its one-line error messages."""

from __future__ import annotations

import argparse
import contextlib
import errno
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

from sci.cli.common import settings_of
from sci.cli.outcome import Failure, release_outputs, say
from sci.cli.parser import parse
from sci.cli.ranks import first_task_speaks, on_ranks
from sci.errors import ConvergenceError, DiskFullError, KernelCompileError, SciError
from sci.tasks import terminable

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
    _open_streams()
    words = list(sys.argv[1:] if argv is None else argv)
    with first_task_speaks(), terminable():
        try:
            arguments = _parsed(words)
            with settings_of(arguments), _warnings_as_lines(), on_ranks(arguments, _failed):
                arguments.run(arguments)
                sys.stdout.flush()
            return 0
        except SystemExit as stop:
            return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        except (KeyboardInterrupt, Exception) as error:
            return _failed(error)
        finally:
            release_outputs()


def _open_streams() -> None:
    """Open the standard streams that the caller has closed on the null device.

    A file that is opened later would get the number of one, and what is meant for a terminal would go into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the least number that is free
    sys.stdout = sys.stdout or io.TextIOWrapper(io.FileIO(1, "w", closefd=False), write_through=True)
    sys.stderr = sys.stderr or io.TextIOWrapper(io.FileIO(2, "w", closefd=False), write_through=True)


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    """Return the arguments; a help that is printed instead is flushed before the end."""
    try:
        return parse(words)
    except SystemExit:
        sys.stdout.flush()
        raise


def _is_of_stdout(error: BaseException) -> bool:
    """Return True for an error that a command met where it prints: other code writes files."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and str(trace.tb_frame.f_globals.get("__name__", "")).startswith("sci.cli.")


def _discard_stdout() -> None:
    """Send what is left to the null device: Python flushes stdout once more at exit, and would complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _failed(error: BaseException, rank: int | None = None) -> int:
    """Print the error, naming the rank if it is that of one rank, and return the exit code."""
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    if isinstance(error, KeyboardInterrupt):
        say("error", "interrupted; no file was left incomplete")
        return 130
    if isinstance(error, BrokenPipeError):
        _discard_stdout()
        return 141
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT) and _is_of_stdout(error):
        _discard_stdout()
        say("error", f"stdout cannot be written ({error.strerror}); free some space, or send it elsewhere", rank=rank)
        return 1
    if os.environ.get("SCI_DEBUG", "0") not in ("", "0"):
        traceback.print_exception(error)
    code, text = _judged(error)
    say("error", text, rank=rank)
    return code


def _judged(error: BaseException) -> tuple[int, str]:
    """Return the exit code and the line of an error."""
    if isinstance(error, MemoryError):
        return 1, _NO_MEMORY.format(_of_another_rank(str(error)))
    if isinstance(error, Failure):
        return 1, _as_options(_of_another_rank(str(error)))
    if isinstance(error, SciError):
        foreign = type(error) is SciError  # what another rank raises, if it is none of sci.errors
        failed = foreign or isinstance(error, KernelCompileError | ConvergenceError | DiskFullError)
        return 1 if failed else 2, _as_options(_of_another_rank(str(error)))
    return 1, f"{type(error).__name__}: {error} (this is a bug in sci; SCI_DEBUG=1 shows where)"


_NO_MEMORY = "out of memory ({}); make the job smaller, as --dry-run tells what it takes, or use a machine with more"


def _of_another_rank(message: str) -> str:
    """Return the text of an error of another rank, as that rank would say it."""
    found = re.match(r"(rank \d+: )(Failure|MemoryError): (.*)", message, re.DOTALL)
    if found is None:
        return message
    return found[1] + (_NO_MEMORY.format(found[3]) if found[2] == "MemoryError" else found[3])


def _as_options(message: str) -> str:
    """Turn the arguments of functions that a message names into options."""
    message = re.sub(r"\b(resume|overwrite)=True", r"--\1", message)
    message = re.sub(r"\bn_modes is", "--modes: n_modes is", message)
    return re.sub(r"\b(format|forcefield|model)=(?:'(\w+)'|(\d+))?", r"--\1 \2\3", message).replace(" :", ":")


@contextlib.contextmanager
def _warnings_as_lines() -> Iterator[None]:
    """Print a warning as one line on stderr."""

    def show(message: Warning | str, *_: Any) -> None:
        say("warning", str(message))

    with warnings.catch_warnings():
        warnings.showwarning = show  # type: ignore[assignment]
        yield
