"""Measure the peak memory of collectives beside the arguments, as their docstrings state it.

mpirun -n 3 python tests/mpi/programs/memory.py
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
from mpi4py import MPI

from sci.distributed import allreduce_sum, decompose, redistribute, reduce_scatter_rows, reductions

BLOCK = 2**20
"""Bytes of a block of a sum here, instead of 128 MiB."""


def peak(run: Callable[[], object]) -> int:
    """Return the largest memory that a second call takes, its result included."""
    run()
    tracemalloc.start()
    kept = run()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del kept
    return found


def main() -> None:
    comm = MPI.COMM_WORLD.Dup()
    reductions._BLOCK_BYTES = BLOCK
    n = 240
    grid = np.ones((n // comm.size, n, 40))
    shapes = ((comm.size, 1, 1), (1, comm.size, 1))
    source, target = (decompose((n, n, 40), shape, comm) for shape in shapes)
    whole = np.ones(3 * 2**20)
    table = {
        "redistribute": (lambda: redistribute(grid, source, target), (2 - 1 / comm.size) * grid.nbytes),
        "allreduce_sum": (lambda: allreduce_sum(whole, comm), whole.nbytes + 2 * BLOCK),
        "reduce_scatter_rows": (lambda: reduce_scatter_rows(whole, comm), whole.nbytes),
    }
    for name, (run, stated) in table.items():
        found = comm.allreduce(peak(run), MPI.MAX)
        if comm.rank == 0:
            print(f"{name}: {found / stated:.2f} of {stated / 1e6:.1f} MB")
        assert 0.8 * stated < found <= 1.1 * stated + 1e5, (name, found, stated)
    if comm.rank == 0:
        print("PASS")


if __name__ == "__main__":
    main()
