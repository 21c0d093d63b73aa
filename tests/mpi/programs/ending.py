"""End a job in the way that the argument names, each rank with a file that is not finished.

mpirun -n 3 python tests/mpi/programs/ending.py STARTED error FOLDER

The file STARTED is made when all ranks have loaded what they need.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

from mpi4py import MPI

from sci.distributed import abort_on_error, agreed, job, unfinished


def end(kind: str) -> None:
    """Fail or wait as `kind` says."""
    if kind == "alone" and comm.rank == 1:
        raise ZeroDivisionError("one rank fails")
    if kind == "within" and comm.rank == 1:
        with abort_on_error(comm):
            raise ZeroDivisionError("one rank fails")
    if kind == "agreed":
        with agreed(comm, "the test"):
            if comm.rank == 1:
                raise ZeroDivisionError("one rank fails")
    if kind == "terminated" and comm.rank == 1:
        os.kill(os.getpid(), signal.SIGTERM)
    if kind == "all":
        numbers = comm.gather(os.getpid())
        if numbers is not None:
            time.sleep(0.5)  # the others are in the barrier, where no handler runs
            for number in numbers[::-1]:
                os.kill(number, signal.SIGTERM)
            time.sleep(60)
    if kind != "nothing":
        comm.Barrier()


comm = MPI.COMM_WORLD
started, kind, folder = sys.argv[1:]
name = Path(folder, f"half{comm.rank}")
with job(comm), unfinished(name):
    name.write_text("so far")
    comm.Barrier()
    if comm.rank == 0:
        Path(started).touch()
    end(kind)
if comm.rank == 0:
    print("PASS")
