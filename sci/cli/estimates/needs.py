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

__all__ = ["Needs", "duration", "file_bytes", "goes_on", "process_bytes", "require_memory"]

SURE = 0.5
"""A job whose bounds stay below this part of the available memory and space is not looked at closer."""
SPREAD, LATER = 1.15, 60e6
"""What trials and shapes miss: a part, and the bytes of modules, kernels and allocators that the work brings."""
HEADER, EACH, PICTURE = 12e3, 800.0, 200e3
"""Bytes of a file without arrays, of an array beside its numbers, and of a picture."""


@dataclass(frozen=True)
class Needs:
    """What a job needs.

    Parameters
    ----------
    memory : float
        Bytes of one process at the peak, beyond what it holds when the job begins.
    seconds : dict of str to float
        Time of each phase.
    disk : float, optional
        Bytes that are written, where the bound that is known without a look is far above them.
    """

    memory: float
    seconds: dict[str, float] = field(default_factory=dict)
    disk: float | None = None


def file_bytes(numbers: float, arrays: int = 8) -> float:
    """Return the bytes of a file whose arrays hold so many bytes."""
    return numbers + HEADER + EACH * arrays


def process_bytes(n_bytes: float) -> float:
    """Return the bytes that a process takes for arrays of so many, beyond what it holds when the job begins."""
    return SPREAD * n_bytes + LATER


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
    """Return True if the job fits and is to be done; for --dry-run, print what it needs and return False if it fits.

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
        Bytes that are written, at most.
    outputs : sequence of Path or None
        Files that are written, for their folders.
    remedy : str
        The options that make the job smaller.
    about : dict, optional
        More for the report of --dry-run, like the number of particles.

    Raises
    ------
    Failure
        If the job does not fit. On every rank; for --dry-run after the report.
    """
    from sci.cli.sharing import from_first
    from sci.distributed import agreed, rank_of, size

    comm = getattr(arguments, "comm", None)
    processes = _on_this_node(comm)
    with agreed(comm, "the memory that the job needs"):
        have, origin = available_memory()
        held = resident()
    folders = {path.resolve().parent for path in outputs if path is not None}
    room = from_first(comm, lambda: {folder: free_space(folder) for folder in folders})
    sure = processes * bound <= SURE * _least(have, comm) and all(disk <= SURE * free for free in room.values())
    if sure and not arguments.dry_run:
        return True
    found = from_first(comm, needs)
    need = replace(found, memory=process_bytes(found.memory), disk=disk if found.disk is None else found.disk)
    with agreed(comm, "the memory that the job needs"):
        misfits = [_misfit(processes * need.memory, have, f"memory{_shared(processes)}", origin)]
        misfits += [_misfit(need.disk, free, "space on the disk", f"free in {folder}") for folder, free in room.items()]
        misfit = next(filter(None, misfits), "")
        if arguments.dry_run and rank_of(comm) == 0:
            memory = Memory(need.memory + held, size(comm), processes, have, origin)
            _report(arguments, need, memory, misfit, about or {})
        if misfit:
            raise Failure(f"{misfit}; {remedy}")
    return not arguments.dry_run


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
        misfit = _misfit(processes * n_bytes, have, f"memory for the input{_shared(processes)}", origin)
        if misfit:
            raise Failure(f"{misfit}; {remedy}")


def _least(value: float, comm: Any) -> float:
    """Return the least value of all ranks, so that all go the same way."""
    import numpy as np

    from sci.distributed import allreduce_max

    return value if comm is None else -float(allreduce_max(np.array([-float(value)]), comm)[0])


def _shared(processes: int) -> str:
    return f" for {processes} processes on this node" if processes > 1 else ""


def _misfit(need: float | None, have: float, what: str, origin: str) -> str | None:
    """Return the sentence of something that is not enough; None if it is."""
    if need is None or need <= have:
        return None
    return f"the job needs {size_in_words(need)} of {what}, and {size_in_words(have)} are {origin}"


def _on_this_node(comm: Any) -> int:
    """Return the number of ranks that share the memory of this node."""
    import numpy as np

    from sci.distributed import allgather_rows

    if comm is None:
        return 1
    name = np.array([zlib.crc32(platform.node().encode())], dtype=np.int64)
    return int((allgather_rows(name, comm) == name[0]).sum())


@dataclass(frozen=True)
class Memory:
    """Memory of a job: bytes at the peak of one process, all processes and those of this node, and what there is."""

    peak: float
    processes: int
    on_node: int
    have: float
    origin: str

    @property
    def total(self) -> float:
        """Bytes of all processes together."""
        return self.peak * self.processes

    def __str__(self) -> str:
        each = f" in each of {self.processes} processes, {size_in_words(self.total)} together"
        return (
            f"about {size_in_words(self.peak)}{each if self.processes > 1 else ''}; {size_in_words(self.have)} "
            f"{self.origin}"
        )


def _report(arguments: argparse.Namespace, need: Needs, memory: Memory, misfit: str, about: dict[str, Any]) -> None:
    """Print what a job needs, whether it fits or not."""
    report = {
        **about,
        "seconds": sum(need.seconds.values()),
        "phases": need.seconds,
        "memory_bytes": memory.peak,
        "memory_bytes_total": memory.total,
        "processes": memory.processes,
        "processes_on_node": memory.on_node,
        "available_bytes": memory.have,
        "disk_bytes": need.disk,
        "fits": not misfit,
    }
    phases = ", ".join(f"{name} {value:.2g}" for name, value in need.seconds.items() if value >= 0.005)
    rows = [(name.replace("_", " "), str(value)) for name, value in about.items()]
    rows += [
        ("time", f"about {duration(report['seconds'])} ({phases})" if phases else "below a second"),
        ("memory", str(memory)),
        ("disk", f"about {size_in_words(need.disk or 0)}"),
        ("fits", f"no: {misfit}" if misfit else "yes"),
        ("dry run", "nothing was computed or written"),
    ]
    tell(arguments, report, rows)


def duration(seconds: float) -> str:
    """Return a time in words: seconds, minutes or hours."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.2g} {unit}"
    return f"{seconds:.2g} s"
