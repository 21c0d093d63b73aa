"""Does the communicator have the ranks that the launcher started? The answer for srun, MPICH, Open MPI and others."""

from __future__ import annotations

import os
from collections.abc import Mapping

from sci.distributed.communicators import Comm, size
from sci.errors import DecompositionError

__all__ = ["launched", "launched_tasks"]

_COUNTS = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MV2_COMM_WORLD_SIZE", "PMIX_SIZE", "SLURM_STEP_NUM_TASKS")
"""Number of tasks by launcher, the innermost first: mpirun under Slurm starts its daemons through srun."""


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
    """
    within_step = "SLURM_STEP_ID" in environment or "SLURM_JOB_ID" not in environment
    for name in (*_COUNTS, *(["SLURM_NTASKS"] if within_step else [])):
        if environment.get(name, "").isdecimal():
            return name, int(environment[name])
    return None


def launched(comm: Comm) -> Comm:
    """Return `comm` if it has all the tasks that the launcher started.

    Parameters
    ----------
    comm : mpi4py communicator or None
        All processes of the job, such as `MPI.COMM_WORLD`; None for a program that runs as one process.

    Returns
    -------
    mpi4py communicator or None

    Raises
    ------
    DecompositionError
        If the numbers differ: every task would run the whole job alone, on the same output files.

    Notes
    -----
    Not collective.

    Examples
    --------
    >>> from sci.distributed import launched
    >>> launched(None) is None
    True
    """
    found = launched_tasks()
    if found is None or found[1] == size(comm):
        return comm
    name, tasks = found
    if comm is None:
        raise DecompositionError(
            f"the launcher started {tasks} tasks ({name}), and this program runs in one process: each task would do "
            "the whole job and write the same files; start it without mpirun or srun, or with one task"
        )
    raise DecompositionError(
        f"the launcher started {tasks} tasks ({name}), and the communicator has {size(comm)}: mpi4py is built with "
        "another MPI than the launcher's, or srun has no PMI for it; start the job with the mpirun of that MPI (the "
        "one beside this Python, for the extra mpi-local), try srun --mpi=pmi2 or --mpi=pmix, or install mpi4py "
        "against the cluster's MPI (pip install --no-binary mpi4py mpi4py)"
    )
