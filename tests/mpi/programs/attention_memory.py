"""Check the peak memory of attention on each rank, forward and backward, against its formula.

A fixed sequence over more ranks: the ring and all-to-all hold a few parts of it, the strip n / P rows of n scores.

mpirun -n 4 python tests/mpi/programs/attention_memory.py
"""

from __future__ import annotations

import tracemalloc

import numpy as np
from mpi4py import MPI
from sabotage import private_communicator

from sci import distributed
from sci.sequence import attention_forward, attention_vjp

N, HEADS, D = 768, 4, 16


def peak(comm: MPI.Intracomm, method: str) -> float:
    """Bytes beyond the input that one forward and backward pass allocates on this rank."""
    rng = np.random.default_rng(comm.rank)
    q, k, v, dout = rng.standard_normal((4, HEADS, N // comm.size, D))
    attention_forward(q, k, v, method=method, comm=comm)
    tracemalloc.start()
    _, residuals = attention_forward(q, k, v, method=method, comm=comm)
    attention_vjp((dout, None), residuals)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def main() -> None:
    comm = private_communicator()
    with distributed.abort_on_error(comm):
        unit = 8 * HEADS * (N // comm.size) * D
        strip = 8 * HEADS * (N // comm.size) * N
        bounds = (("ring", 18.0, 0.0), ("ulysses", 18.0, 0.0), ("strip", 9.0 + 4 * comm.size, 1.2 + 3 / comm.size))
        for method, units, strips in bounds:
            found = peak(comm, method)
            # Strips of scores are P N / D units and more; half a megabyte is for Python and the kernels' arguments.
            assert found < units * unit + strips * strip + 5e5, (method, found / unit, found / strip)
            assert strips == 0 or found > strip, (method, found / strip)
            if comm.rank == 0:
                print(f"{method}: {found / unit:.1f} units of heads L head_dim, {found / strip:.2f} of heads L n")
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main()
