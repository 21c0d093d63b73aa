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
from sci.sequence import attention_cost, softmax_attention

HEADS, D = 4, 16


def peak(comm: MPI.Intracomm, method: str, n: int) -> float:
    """Bytes beyond the input that one forward and backward pass allocates on this rank."""
    rng = np.random.default_rng(comm.rank)
    q, k, v, dout = rng.standard_normal((4, HEADS, n // comm.size, D))
    softmax_attention.forward(q, k, v, method=method, comm=comm)
    tracemalloc.start()
    _, residuals = softmax_attention.forward(q, k, v, method=method, comm=comm)
    softmax_attention.vjp((dout, None), residuals)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def check(comm: MPI.Intracomm, n: int) -> None:
    unit = 8 * HEADS * (n // comm.size) * D
    strip = 8 * HEADS * (n // comm.size) * n
    for method in ("ring", "ulysses", "rsa"):
        found = peak(comm, method, n)
        bound = attention_cost(n, HEADS, D, comm.size, method=method, dtype="float64", backward=True).memory
        # A quarter of a megabyte is for Python and the arguments of kernels.
        assert found < bound + 2.5e5, (method, n, found / unit, found / strip)
        assert method != "rsa" or found > strip, (n, found / strip)
        if comm.rank == 0:
            print(f"{n} tokens, {method}: {found / unit:.1f} units of heads L head_dim, {found / strip:.2f} strips")


def main() -> None:
    comm = private_communicator()
    with distributed.abort_on_error(comm):
        for n in (384, 768):
            check(comm, n)
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main()
