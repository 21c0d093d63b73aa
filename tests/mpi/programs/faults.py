"""Go wrong on one rank in the way that the argument names; the others wait for it in a collective.

mpirun -n 3 python tests/mpi/programs/faults.py exception
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import numpy as np
from mpi4py import MPI

from sci import distributed
from sci.errors import SciError, ShapeError


def fail(kind: str) -> None:
    """Fail as `kind` says."""
    if kind == "exception":
        raise ZeroDivisionError("one rank fails after the start")
    if kind == "exit":
        sys.exit(3)
    if kind == "interrupt":
        raise KeyboardInterrupt
    if kind == "killed":
        os.kill(os.getpid(), signal.SIGKILL)


def one_rank_fails(comm: MPI.Intracomm, kind: str) -> None:
    d = distributed.slab((8, 4), comm, halo=1)
    exchange = distributed.HaloExchange(d, periodic=True)
    with distributed.abort_on_error(comm):
        exchange.start(np.zeros(d.padded_shape))
        if comm.rank == comm.size - 1:
            fail(kind)
        exchange.finish()
        distributed.allreduce_sum(np.zeros(100_000), comm)
        comm.Barrier()
        time.sleep(60)


def caught(call: Callable[..., object], *args: object) -> Exception:
    """Return what `call` raises."""
    try:
        call(*args)
    except Exception as error:
        return error
    raise AssertionError(f"{call} raised nothing")


def one_rank_is_given_nonsense(comm: MPI.Intracomm) -> None:
    """Every rank raises, nobody aborts, and the job goes on."""
    error = caught(distributed.allreduce_sum, np.zeros((4, 5) if comm.rank == 1 else (4, 4)), comm)
    assert isinstance(error, ShapeError)
    assert "rank 1 shape (4, 5)" in str(error)
    problem = ValueError("charges are not finite") if comm.rank == 1 else None
    error = caught(distributed.agree, comm, problem)
    assert (error is problem) == (comm.rank == 1)
    assert comm.rank == 1 or (isinstance(error, SciError) and "rank 1: ValueError: charges" in str(error))
    assert distributed.allreduce_sum(1, comm) == comm.size
    if comm.rank == 0:
        print("PASS")


def main() -> None:
    comm = MPI.COMM_WORLD  # the caller's choice; the library's duplicate of it must not trouble MPI_Finalize
    if sys.argv[1] == "nonsense":
        one_rank_is_given_nonsense(comm)
    else:
        one_rank_fails(comm, sys.argv[1])


if __name__ == "__main__":
    main()
