"""The command on the ranks of a launcher: the first speaks for all, and all end alike."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Callable, Iterator

from sci.cli.outcome import muted
from sci.errors import SciError
from sci.options import options
from sci.tasks import launched_rank

__all__ = ["first_task_speaks", "on_ranks"]


@contextlib.contextmanager
def first_task_speaks() -> Iterator[None]:
    """Let the first task of a launcher's job speak: what the others print and say goes nowhere."""
    if launched_rank() == 0:
        yield
        return
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), muted(), options(progress="off"):
        yield


@contextlib.contextmanager
def on_ranks(arguments: argparse.Namespace, report: Callable[[BaseException, int | None], int]) -> Iterator[None]:
    """Give a command the communicator of the launcher's job as `arguments.comm`, and end it on all ranks alike.

    Parameters
    ----------
    arguments : argparse.Namespace
        With `diagnoses` true, a communicator that cannot be had is no error: `diagnosis` says why, and `comm` is None.
    report : callable
        Says an error and returns the exit code; called on several ranks alone. Takes the number of this rank where the
        error is this rank's alone, else None.

    Raises
    ------
    BaseException
        On one process what the block raises; on ranks `SystemExit`.

    Notes
    -----
    A rank that fails alone meets the others in their next agreement, and all end; see `sci.distributed.job` for ranks
    that have none ahead of them.
    """
    from sci.distributed import agreed, job, launched_communicator, rank_of
    from sci.distributed.agreement import agreed_over

    try:
        arguments.comm = comm = launched_communicator()
    except SciError as error:
        if not getattr(arguments, "diagnoses", False):
            raise
        arguments.comm, arguments.diagnosis = None, str(error)
        comm = None

    def verdict(error: BaseException) -> int:
        shared = agreed_over(error) or isinstance(error, KeyboardInterrupt | SystemExit)
        return report(error, None if shared else rank_of(comm))

    with job(comm, report=verdict), agreed(comm, "the command"):
        yield
