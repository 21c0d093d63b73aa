"""Errors of what the caller passes to an iteration over ranks: one rank's error becomes an error of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import nan
from typing import TypeVar

from sci.distributed import agreed
from sci.distributed import size as size_of
from sci.distributed.communicators import Comm
from sci.errors import ConvergenceError

__all__ = ["Guard"]

T = TypeVar("T")


class Guard:
    """Calls of the caller's functions in an iteration that is collective.

    The first exception on a rank is kept, and later calls are skipped there. The rank goes on in step with the others,
    but adds NaN to its next sum over the ranks, which ends the iteration everywhere at once; then `settle` raises on
    all ranks. That costs no message while nothing is wrong. On one process an exception is raised at once.

    Parameters
    ----------
    comm : mpi4py communicator, optional
    """

    def __init__(self, comm: Comm = None) -> None:
        self.comm, self.error = comm, None
        self._alone = size_of(comm) == 1

    error: Exception | None

    def call(self, function: Callable[[], T], default: T) -> T:
        """Return function(), or `default` if it raises or an earlier call did."""
        if self._alone:
            return function()
        if self.error is None:
            try:
                return function()
            except Exception as error:
                self.error = error
        return default

    def part(self, value: float) -> float:
        """Return this rank's part of a sum over the ranks: NaN after an error."""
        return value if self.error is None else nan

    @contextmanager
    def settling(self) -> Iterator[None]:
        """Settle after an iteration, also a failed one: the error of a caller's function goes before that of a sum."""
        problem: ConvergenceError | None = None
        try:
            yield
        except ConvergenceError as error:
            problem = error
        self.settle()
        if problem is not None:
            raise problem

    def settle(self) -> None:
        """Raise on every rank if any rank has an error; collective."""
        with agreed(self.comm, "an iteration"):
            if self.error is not None:
                raise self.error
