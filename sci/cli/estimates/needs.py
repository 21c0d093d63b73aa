"""What a job needs, held against what there is, before it computes."""

from __future__ import annotations

import argparse
import platform
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sci.cli.estimates.limits import available_memory, resident
from sci.cli.outcome import Failure, size_in_words, tell
from sci.io.core.outputs import free_space

__all__ = ["Needs", "goes_on", "require_memory"]

SURE = 0.5
"""A job whose bound stays below this part of the available memory is not looked at closer."""


@dataclass(frozen=True)
class Needs:
    """What a job needs.

    Parameters
    ----------
    memory : float
        Bytes of one process at the peak, beyond what it holds when the job begins.
    seconds : dict of str to float
        Time of each phase.
    """

    memory: float
    seconds: dict[str, float] = field(default_factory=dict)


def goes_on(
    arguments: argparse.Namespace,
    needs: Callable[[], Needs],
    *,
    bound: float,
    disk: float,
    outputs: Sequence[Path | None],
    remedy: str,
    about: dict[str, Any] | None = None,
) -> bool:
    """Return True if the job fits and is to be done; for --dry-run, print what it needs and return False.

    Call it on every rank, after the input was read and checked. The first rank tries pieces of the work, alone.

    Parameters
    ----------
    arguments : argparse.Namespace
        With `dry_run`, and `comm` on ranks.
    needs : callable
        Returns the needs of one process; it may try a piece of the work, and is asked for --dry-run, and where
        `bound` does not say that there is memory enough.
    bound : float
        Bytes that one process takes at most, from the shapes of arrays.
    disk : float
        Bytes that are written.
    outputs : sequence of Path or None
        Files that are written, for their folders.
    remedy : str
        The options that make the job smaller.
    about : dict, optional
        More for the report of --dry-run, like the number of particles.

    Raises
    ------
    Failure
        If the job does not fit. On every rank.
    """
    from sci.cli.sharing import from_first
    from sci.distributed import agreed, rank_of

    comm = getattr(arguments, "comm", None)
    processes = _on_this_node(comm)
    with agreed(comm, "the memory that the job needs"):
        have, origin = available_memory()
        held = resident()
    closer = arguments.dry_run or processes * bound > SURE * _least(have, comm)
    need = from_first(comm, needs) if closer else None
    with agreed(comm, "the memory that the job needs"):
        if need is not None:
            _require(processes * need.memory, have, f"memory{_shared(processes)}", origin, remedy)
        for folder in {path.resolve().parent for path in outputs if path is not None}:
            _require(disk, free_space(folder), "space on the disk", f"free in {folder}", remedy)
    if not arguments.dry_run:
        return True
    assert need is not None
    if rank_of(comm) == 0:
        _report(arguments, replace(need, memory=need.memory + held), processes, disk, have, origin, about or {})
    return False


def require_memory(comm: Any, n_bytes: float, remedy: str) -> None:
    """Refuse, before it is read, an input of which a process will hold more than there is memory (collective).

    Parameters
    ----------
    comm : mpi4py communicator or None
    n_bytes : float
        What this process will hold.
    remedy : str
        The options that make the input smaller.

    Raises
    ------
    Failure
        On every rank.
    """
    from sci.distributed import agreed

    processes = _on_this_node(comm)
    with agreed(comm, "the memory that the input needs"):
        have, origin = available_memory()
        _require(processes * n_bytes, have, f"memory for the input{_shared(processes)}", origin, remedy)


def _least(value: float, comm: Any) -> float:
    """Return the least value of all ranks, so that all go the same way."""
    import numpy as np

    from sci.distributed import allreduce_max

    return value if comm is None else -float(allreduce_max(np.array([-float(value)]), comm)[0])


def _shared(processes: int) -> str:
    return f" for {processes} processes on this node" if processes > 1 else ""


def _require(need: float, have: float, what: str, origin: str, remedy: str) -> None:
    if need > have:
        raise Failure(
            f"the job needs {size_in_words(need)} of {what}, and {size_in_words(have)} are {origin}; {remedy}"
        )


def _on_this_node(comm: Any) -> int:
    """Return the number of ranks that share the memory of this node."""
    import numpy as np

    from sci.distributed import allgather_rows

    if comm is None:
        return 1
    name = np.array([zlib.crc32(platform.node().encode())], dtype=np.int64)
    return int((allgather_rows(name, comm) == name[0]).sum())


def _report(
    arguments: argparse.Namespace,
    need: Needs,
    processes: int,
    disk: float,
    have: float,
    origin: str,
    about: dict[str, Any],
) -> None:
    report = {
        **about,
        "seconds": sum(need.seconds.values()),
        "phases": need.seconds,
        "memory_bytes": need.memory,
        "processes_on_node": processes,
        "available_bytes": have,
        "disk_bytes": disk,
    }
    phases = ", ".join(f"{name} {value:.2g}" for name, value in need.seconds.items() if value >= 0.005)
    each = "" if processes == 1 else f" in each of {processes} processes"
    rows = [(name.replace("_", " "), str(value)) for name, value in about.items()]
    rows += [
        ("time", f"about {_duration(report['seconds'])} ({phases})" if phases else "below a second"),
        ("memory", f"about {size_in_words(need.memory)}{each}; {size_in_words(have)} {origin}"),
        ("disk", size_in_words(disk)),
        ("dry run", "nothing was computed or written"),
    ]
    tell(arguments, report, rows)


def _duration(seconds: float) -> str:
    """Return a time in words: seconds, minutes or hours."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} s"
