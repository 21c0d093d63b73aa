"""The tasks that a launcher started, as the environment of a process tells, and the signal that ends them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["cores_of_task", "launched_rank", "launched_tasks", "terminable", "without_launcher"]

_RANKS = {
    "OMPI_COMM_WORLD_SIZE": "OMPI_COMM_WORLD_RANK",
    "PMI_SIZE": "PMI_RANK",
    "MV2_COMM_WORLD_SIZE": "MV2_COMM_WORLD_RANK",
    "PMIX_SIZE": "PMIX_RANK",
    "SLURM_STEP_NUM_TASKS": "SLURM_PROCID",
    "SLURM_NTASKS": "SLURM_PROCID",
}
"""Number of tasks, and number of this task, by launcher, the innermost first: mpirun under Slurm starts its daemons
through srun."""
_ON_NODE = ("OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS", "MV2_COMM_WORLD_LOCAL_SIZE")
"""Number of tasks on this node."""
_PREFIXES = ("OMPI_", "PMI_", "PMIX_", "PRTE_", "MV2_", "MPI_LOCAL", "MPIR_", "HYDI_", "HYDRA_", "SLURM_")
"""Variables by which a launcher tells a process that it belongs to a job."""


def launched_tasks(environment: Mapping[str, str] = os.environ) -> tuple[str, int] | None:
    """Return the variable in which the launcher says how many tasks it started, and their number.

    Parameters
    ----------
    environment : mapping of str to str

    Returns
    -------
    (str, int) or None
        None for a process that no launcher started.

    Notes
    -----
    Not collective. `SLURM_NTASKS` counts only within `srun`: a batch script has it too, and runs as one process.

    Examples
    --------
    >>> from sci.tasks import launched_tasks
    >>> launched_tasks({"PMI_SIZE": "4", "PMI_RANK": "3"})
    ('PMI_SIZE', 4)
    """
    within_step = "SLURM_STEP_ID" in environment or "SLURM_JOB_ID" not in environment
    for name in _RANKS:
        if environment.get(name, "").isdecimal() and (name != "SLURM_NTASKS" or within_step):
            return name, int(environment[name])
    return None


def launched_rank(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of this task among those that the launcher started, from 0; 0 for a process on its own.

    Parameters
    ----------
    environment : mapping of str to str

    Returns
    -------
    int

    Notes
    -----
    Not collective, and known before MPI starts: so that a task can be silent where the first one speaks for all.

    Examples
    --------
    >>> from sci.tasks import launched_rank
    >>> launched_rank({"PMI_SIZE": "4", "PMI_RANK": "3"}), launched_rank({})
    (3, 0)
    """
    found = launched_tasks(environment)
    rank = "" if found is None else environment.get(_RANKS[found[0]], "")
    return int(rank) if rank.isdecimal() else 0


def cores_of_task(environment: Mapping[str, str] = os.environ) -> int:
    """Return the number of cores that this task may use: those that it is bound to, or its share of those of all tasks.

    Parameters
    ----------
    environment : mapping of str to str

    Returns
    -------
    int

    Notes
    -----
    A task that may use the same cores as the launcher's daemon that started it is not bound, and shares them with the
    other tasks of the node.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    own = os.sched_getaffinity(0)
    tasks = next((int(environment[name]) for name in _ON_NODE if environment.get(name, "").isdecimal()), 1)
    try:
        bound = own != os.sched_getaffinity(os.getppid())
    except OSError:
        bound = False
    return len(own) if bound else max(1, len(own) // max(1, tasks))


def without_launcher(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return an environment in which a process that this one starts is no task of the launcher's job.

    A child that inherits the variables of a launcher and loads MPI takes its parent's place in the job, and hangs it.

    Parameters
    ----------
    environment : mapping of str to str
        The environment variables; those of this process unless given.

    Returns
    -------
    dict of str

    Examples
    --------
    >>> from sci.tasks import without_launcher
    >>> without_launcher({"PATH": "/usr/bin", "PMI_FD": "7"})
    {'PATH': '/usr/bin'}
    """
    return {name: value for name, value in environment.items() if not name.startswith(_PREFIXES)}


@contextlib.contextmanager
def terminable() -> Iterator[None]:
    """Unwind the block on SIGTERM, which batch systems send at the time limit: raise `SystemExit(143)`.

    Returns
    -------
    context manager

    Notes
    -----
    Outside of the main thread, which alone hears signals, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _unwind(number: int, _: Any) -> None:
    raise SystemExit(128 + number)
