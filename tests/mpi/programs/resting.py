"""Ranks that wait for one of them sleep, and learn of its error. mpirun -n 3 python tests/mpi/programs/resting.py"""

from __future__ import annotations

import time

from mpi4py import MPI

from sci.distributed import abort_on_error, agreed
from sci.distributed.agreement import resting
from sci.errors import InvalidValueError

comm = MPI.COMM_WORLD

with abort_on_error(comm):
    with agreed(comm, "start"):
        pass
    used, begun = time.process_time(), time.monotonic()
    with agreed(comm, "work"), resting(comm):
        if comm.rank == 0:
            time.sleep(3.0)
    used, waited = time.process_time() - used, time.monotonic() - begun
    assert waited > 2.9, waited
    assert used < 0.5, f"rank {comm.rank} was busy for {used:.2f} s while it waited"
    said = ""
    try:
        with agreed(comm, "work"), resting(comm):
            if comm.rank == 0:
                raise InvalidValueError("n is -1")
    except InvalidValueError as error:
        said = str(error)
    assert said == ("n is -1" if comm.rank == 0 else "rank 0: n is -1"), said
    if comm.rank == 0:
        print("PASS")
