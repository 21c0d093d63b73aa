"""Lose a rank in the middle of a ring: between its first part of the keys and its second.

mpirun -n 3 python tests/mpi/programs/broken_ring.py killed
"""

from __future__ import annotations

import os
import signal
import sys
import time

import numpy as np
from mpi4py import MPI

from sci.sequence import softmax_attention
from sci.sequence.attention import ring


def main() -> None:
    comm = MPI.COMM_WORLD
    attend, calls = ring.attend, []

    def attend_until_death(*arguments: object, **options: object) -> None:
        attend(*arguments, **options)
        calls.append(1)
        if comm.rank == comm.size - 1 and len(calls) == 2:
            print("dies at", time.time(), flush=True)
            if sys.argv[1] == "exception":
                raise ZeroDivisionError("a rank fails in mid-ring")
            os.kill(os.getpid(), signal.SIGKILL)

    ring.attend = attend_until_death
    q, k, v = np.random.default_rng(comm.rank).standard_normal((3, 4, 600, 32))
    while True:
        softmax_attention(q, k, v, comm=comm)


if __name__ == "__main__":
    main()
