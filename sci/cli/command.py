"""The parser of the command `sci`, its exit codes, and its one-line error messages."""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import sci
from sci.cli.commands import doctor, lattice, operator, potential, sequence, solve, trajectory
from sci.cli.commands.files import export, info, join
from sci.cli.outcome import Failure, release_outputs, say
from sci.distributed import launched
from sci.errors import ConvergenceError, KernelCompileError, SciError

__all__ = ["main"]

EPILOG = """exit codes: 0 done, 1 the computation failed, 2 bad input, 130 interrupted.
Data go to stdout, messages to stderr. SCI_DEBUG=1 shows the traceback of an error."""


class _Parser(argparse.ArgumentParser):
    """Parser whose errors are one line, and that may have actions beside its own arguments."""

    def __init__(self, *settings: Any, **more: Any) -> None:
        super().__init__(*settings, **more)
        self._actions_by_name: dict[str, _Parser] = {}

    def add_action_parser(self, name: str, **settings: Any) -> _Parser:
        """Add an action: `sci COMMAND NAME ...` is parsed by the parser that this returns.

        `argparse` has sub-parsers instead of arguments; `sci solve` has both, `sci solve FILE` and `sci solve train`.
        """
        self._actions_by_name[name] = _Parser(prog=f"{self.prog} {name}", **settings)
        return self._actions_by_name[name]

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse, by the action's parser if the first word names an action."""
        action = self._actions_by_name.get(args[0]) if args else None
        return super().parse_known_args(args, namespace) if action is None else action.parse_known_args(args[1:])

    def error(self, message: str) -> NoReturn:
        """Print one line and exit with 2."""
        say("error", f"{message}; see {self.prog} --help")
        raise SystemExit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="sci",
        description="Electrostatic potentials, neural operators, Poisson solvers and attention, from the command line.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"sci {sci.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (potential, trajectory, lattice, operator, solve, sequence, info, export, join, doctor):
        module.add_parser(commands)
    return parser


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
        arguments = _parser().parse_args(words)
        arguments.command = shlex.join(["sci", *words])
        launched(None)
        with _terminable(), _warnings_as_lines():
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
