"""What commands share over ranks: rank 0 reads and writes, the others take part in the work."""

from __future__ import annotations

import argparse
import functools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from sci.cli.outcome import say
from sci.distributed import agreed, broadcast_object, rank_of, recv, send, size
from sci.distributed.agreement import resting

__all__ = ["from_first", "on_first_alone", "rows_from_first", "rows_to_first"]

T = TypeVar("T")


def from_first(comm: Any, work: Callable[[], T]) -> T:
    """Return on every rank what `work` returns on rank 0, like the contents of a file that only rank 0 reads.

    Parameters
    ----------
    comm : mpi4py communicator or None
    work : callable
        Called on rank 0. Its result is pickled for the others.

    Raises
    ------
    Exception
        On every rank, if `work` does.

    Notes
    -----
    Collective.
    """
    with agreed(comm, "rank 0"):
        found = work() if rank_of(comm) == 0 else None
    return broadcast_object(found, comm)  # type: ignore[no-any-return]


def on_first_alone(run: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """Decorate a command that ranks cannot share: rank 0 runs it with `comm` None, the others wait for its end."""

    @functools.wraps(run)
    def alone(arguments: argparse.Namespace) -> None:
        comm, arguments.comm = arguments.comm, None
        if size(comm) > 1:
            say("note", f"this command is not parallel: of {size(comm)} ranks the first runs it, as without mpirun")
        with agreed(comm, "rank 0"), resting(comm):
            if rank_of(comm) == 0:
                run(arguments)

    return alone


def rows_from_first(comm: Any, array: np.ndarray | None, bounds: Sequence[int]) -> np.ndarray:
    """Return the rows `bounds[rank]:bounds[rank + 1]` of an array that rank 0 holds (collective)."""
    tail, dtype = broadcast_object(None if array is None else (array.shape[1:], array.dtype.str), comm)
    if array is None:
        rank = rank_of(comm)
        shape = (bounds[rank + 1] - bounds[rank], *tail)
        return np.asarray(recv(shape, np.dtype(dtype), 0, comm=comm).wait()) if shape[0] else np.empty(shape, dtype)
    for rank in range(1, size(comm)):
        if bounds[rank + 1] > bounds[rank]:
            send(np.ascontiguousarray(array[bounds[rank] : bounds[rank + 1]]), rank, comm=comm).wait()
    return array[bounds[0] : bounds[1]]


def rows_to_first(comm: Any, own: np.ndarray | None) -> np.ndarray | None:
    """Return on rank 0 the rows of all ranks in their order, and None elsewhere (collective).

    A rank other than the first may pass None for no rows.
    """
    with agreed(comm, "rows") as agreement:
        agreement.gather(0 if own is None else len(own))
    if own is not None and rank_of(comm) > 0:
        send(np.ascontiguousarray(own), 0, comm=comm).wait()
    if own is None or rank_of(comm) > 0:
        return None
    others = [
        np.asarray(recv((int(count), *own.shape[1:]), own.dtype, rank, comm=comm).wait())
        for rank, count in enumerate(agreement.table[1:, 0], 1)
        if count
    ]
    return np.concatenate([own, *others]) if others else own
