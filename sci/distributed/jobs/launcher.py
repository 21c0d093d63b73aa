"""The communicator of a launcher's job, and whether it has the tasks that the launcher started."""

from __future__ import annotations

from sci.distributed.communicators import Comm, size
from sci.distribution import install_command
from sci.errors import DecompositionError, MissingDependencyError
from sci.tasks import launched_tasks

__all__ = ["launched", "launched_communicator"]


def launched_communicator() -> Comm:
    """Return the communicator of all tasks that the launcher started; None for one task, and for a process on its own.

    Returns
    -------
    mpi4py communicator or None

    Raises
    ------
    MissingDependencyError
        If there are several tasks and mpi4py is not installed.
    DecompositionError
        If mpi4py finds another number of tasks than the launcher started.

    Notes
    -----
    For programs, such as the command `sci`; functions of the library take `comm`. Imports mpi4py, which starts MPI,
    only where there are several tasks.

    Examples
    --------
    >>> from sci.distributed import launched_communicator
    >>> launched_communicator() is None
    True
    """
    found = launched_tasks()
    if found is None or found[1] == 1:
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise MissingDependencyError(
            f"the launcher started {found[1]} tasks ({found[0]}), which need mpi4py to know of each other: "
            f"{install_command('mpi')}, or start one task"
        ) from error
    return launched(MPI.COMM_WORLD)


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
