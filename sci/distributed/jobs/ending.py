"""The end of a job: where one rank fails or is interrupted, all end, and leave no file that is not finished."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from sci.distributed.agreement import agreed_over
from sci.distributed.communicators import Comm, rank_of, running_jobs, size
from sci.tasks import terminable

__all__ = ["abort_on_error", "job", "release_file", "remove_unfinished", "unfinished", "watch_file"]

POLL = 0.2
"""Seconds between two looks for the message of a rank that ends the job."""
GRACE = 1.0
"""Seconds in which the main thread may unwind by itself."""
PATIENCE = 3.0
"""Seconds that a rank at its end waits for the others."""
TOGETHER = 0.1
"""Seconds to the moment at which all ranks exit."""
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)

_unfinished: dict[Path, None] = {}


@contextlib.contextmanager
def unfinished(path: Path) -> Iterator[Path]:
    """Yield `path`; a file of this name is removed after the block, and where `job` ends the process within it.

    Parameters
    ----------
    path : Path
        A temporary name, which the finished file loses in the block.

    Returns
    -------
    context manager

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from sci.distributed import unfinished
    >>> with unfinished(pathlib.Path(tempfile.mkdtemp(), "half")) as path:
    ...     _ = path.write_text("so far")
    >>> path.exists()
    False
    """
    watch_file(path)
    try:
        yield path
    finally:
        release_file(path)
        _remove(path)


def watch_file(path: Path) -> None:
    """Remove a file where `job` ends the process before `release_file`.

    Parameters
    ----------
    path : Path
        A file that is not complete yet.
    """
    _unfinished[path] = None


def release_file(path: Path) -> None:
    """Leave a file of `watch_file` alone from now on.

    Parameters
    ----------
    path : Path
        As it was given to `watch_file`.
    """
    _unfinished.pop(path, None)


def remove_unfinished() -> None:
    """Remove the files of all blocks of `unfinished` that this process is in, and those of `watch_file`."""
    for path in list(_unfinished):
        _remove(path)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)


def _exit_code(error: BaseException) -> int:
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else int(error.code is not None)
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _report(comm: Comm, error: BaseException, once: bool = False) -> int:
    """Print the traceback of an error that this rank does not share, or rank 0 for all; return the exit code."""
    sys.stdout.flush()
    shared = bool(agreed_over(error)) or (once and isinstance(error, KeyboardInterrupt))
    if not isinstance(error, SystemExit) and (rank_of(comm) == 0 or not shared):
        text = "".join(traceback.format_exception(error))
        print(f"rank {rank_of(comm)} of {size(comm)} failed:\n{text}", file=sys.stderr)
    sys.stderr.flush()
    return _exit_code(error)


@contextlib.contextmanager
def abort_on_error(comm: Comm) -> Iterator[None]:
    """End the whole job, with this rank's traceback on stderr, if the block raises on this rank.

    A rank that dies alone leaves the others waiting for its messages, and MPI waits for ever. Also a decorator:
    `@abort_on_error(comm)`.

    Parameters
    ----------
    comm : mpi4py communicator, optional
        None is one process.

    Returns
    -------
    context manager

    Notes
    -----
    Not collective. The job's exit code is that of `SystemExit`, 130 for `KeyboardInterrupt`, 1 for other errors. The
    exception is raised again: with one rank it passes through unchanged, and where `Abort` returns, nothing after the
    block runs. Files of this rank that are not finished are removed; within `job` those of the other ranks, too.
    """
    try:
        yield
    except BaseException as error:
        if size(comm) > 1 and _exit_code(error) != 0:
            if running_jobs:
                running_jobs[-1].end(error)
            else:
                code = _report(comm, error)
                remove_unfinished()
                comm.Abort(code)
        raise


@contextlib.contextmanager
def job(comm: Comm, *, report: Callable[[BaseException], int] | None = None) -> Iterator[None]:
    """Run the block of a whole program; where one rank fails or is interrupted, all end, and leave no half file.

    SIGTERM, which batch systems send at the time limit, unwinds the program as Ctrl-C does, with exit code 143. A rank
    that fails alone tells the others. Each then removes what it has not finished, whatever it waits for at that
    moment, and the job ends with one exit code.

    Parameters
    ----------
    comm : mpi4py communicator or None
        All ranks of the program.
    report : callable, optional
        On several ranks: takes the error of this rank, says it to the user, and returns the exit code. By default the
        traceback is printed, once for an interrupt and for an error that all ranks share.

    Returns
    -------
    context manager

    Raises
    ------
    BaseException
        What the block raises; on several ranks `SystemExit` with the exit code of the job.

    Notes
    -----
    Collective over `comm`: one duplicate of it. On several ranks a thread waits for signals and looks for messages
    five times a second, because a rank that waits within MPI runs no Python. It talks where MPI serves several threads,
    the default of mpi4py; otherwise a failing rank calls `Abort`, and the launcher kills the others. The handlers of
    signals are set only in the main thread.

    Examples
    --------
    >>> from sci.distributed import job
    >>> with job(None):
    ...     pass
    """
    running = _Job(comm, report)
    running.begin()
    try:
        with terminable():
            yield
    except BaseException as error:
        if _exit_code(error) == 0:
            raise
        code = running.end(error)
        if running.comm is None:
            raise
        raise SystemExit(code) from error
    finally:
        running.leave()


class _Job:
    """The state of a block of `job` on one rank."""

    def __init__(self, comm: Comm, report: Callable[[BaseException], int] | None) -> None:
        self.comm: Comm = comm.Dup() if size(comm) > 1 else None
        self.report = report or (lambda error: _report(comm, error, once=True))
        self._ended, self._once = threading.Event(), threading.Lock()
        self._reported, self._code = False, 0
        self._main = threading.current_thread() is threading.main_thread()
        self._thread: threading.Thread | None = None
        self._messages: list[Any] = []
        self._threads = False

    def begin(self) -> None:
        """Set the handlers, and start the thread that watches over a rank."""
        running_jobs.append(self)
        if self.comm is None:
            return
        from mpi4py import MPI

        self._threads = MPI.Query_thread() == MPI.THREAD_MULTIPLE
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        if self._main:
            self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._watch, name="sci job", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Put back what `begin` changed."""
        running_jobs.remove(self)
        self._ended.set()
        if self._thread is not None:
            if self._main:
                signal.set_wakeup_fd(self._wakeup)
            with contextlib.suppress(OSError):
                os.write(self._write, b"\0")
            self._thread.join()
            os.close(self._read)
            os.close(self._write)
        if self.comm is not None and sys.exception() is None:
            self.comm.Free()

    def end(self, error: BaseException) -> int:
        """Report an error and end the job with the other ranks; return its exit code if all have come to this point."""
        if self.comm is not None and not self._reported:  # by an inner block
            self._reported = True
            self._ended.set()  # the watch is over
            self._code = self._depart(self.report(error), watching=False)
        return self._code

    def _watch(self) -> None:
        """Wait for a signal, or the message of another rank, and end this process if its main thread does not."""
        while not self._ended.is_set():
            ready, _, _ = select.select([self._read], [], [], POLL)
            numbers = os.read(self._read, 64) if ready else b""
            code = next((128 + n for n in numbers if n in INTERRUPTS), None) or self._told()
            if code is not None:
                remove_unfinished()  # at once: some launchers kill a second after their signal
            if code is not None and not self._ended.wait(GRACE) and not self._reported:
                self._reported = True
                interrupt = KeyboardInterrupt() if code == 130 else SystemExit(code)
                if numbers:
                    self.report(interrupt)
                self._depart(code, watching=True)

    def _told(self) -> int | None:
        """Return the exit code that another rank sends, if one does."""
        if not self._threads or not self.comm.Iprobe():
            return None
        code = np.empty(1, dtype=np.int64)
        self.comm.Recv(code)
        return int(code[0])

    def _depart(self, code: int, *, watching: bool) -> int:
        """Remove what is not finished, wait until all ranks have, and return the exit code of all.

        Where a rank leaves by its watch, this process ends here: MPI_Finalize would wait for that rank.
        """
        with self._once:
            remove_unfinished()
            sys.stdout.flush()
            sys.stderr.flush()
            found = self._meet(code, watching)
            if found is not None and not found[0]:
                return int(found[1])
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), 2)  # all is said; MPI would add that Abort was called
            if found is not None:
                self._exit_together(int(found[1]))
            self.comm.Abort(code)
            return code

    def _exit_together(self, code: int) -> None:
        """End the processes of all ranks at one moment.

        A launcher that sees one rank leave, by exit or by `Abort`, kills those that are left, and then the job's exit
        code may be that of the kill.
        """
        from mpi4py import MPI

        moment = self.comm.allreduce(time.time() + TOGETHER, op=MPI.MAX)
        time.sleep(min(max(moment - time.time(), 0.0), 2 * TOGETHER))  # clocks of nodes may differ
        os._exit(code)

    def _meet(self, code: int, watching: bool) -> np.ndarray | None:
        """Tell the other ranks and wait for them; return whether one leaves by its watch, and the largest code."""
        if not self._threads:
            return None
        own, found = np.array([watching, code], dtype=np.int64), np.empty(2, dtype=np.int64)
        others = (rank for rank in range(self.comm.Get_size()) if rank != self.comm.Get_rank())
        self._messages = [self.comm.Isend(own[1:], rank) for rank in others]
        from mpi4py import MPI

        meeting, end = self.comm.Iallreduce(own, found, op=MPI.MAX), time.monotonic() + PATIENCE
        while not meeting.Test():
            if time.monotonic() > end:
                return None
            time.sleep(0.005)
        return found
