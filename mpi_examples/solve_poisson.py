"""A Poisson problem with a sphere and a blob inside, cut into boxes: multigrid or the learned cycle over the ranks.

mpirun -n 4 python mpi_examples/solve_poisson.py --size 256
mpirun -n 4 python mpi_examples/solve_poisson.py --size 64 --method learned

Answers up to --compare-up-to cells a side are compared with those of one process.
"""

from __future__ import annotations

import argparse

import numpy as np
from mpi4py import MPI

from sci.distributed import Traffic, allreduce_max, job, launched
from sci.problems import right_hand_side, sphere_and_blob
from sci.solvers import LearnedMultigrid, Multigrid, PoissonOperator, cg, iteration_traffic

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--size", type=int, default=40, help="cells a side")
parser.add_argument(
    "--method", choices=("multigrid", "learned"), default="multigrid", help="preconditioner (multigrid)"
)
parser.add_argument("--compare-up-to", type=int, default=128, metavar="N", help="solve serially too up to this size")
a = parser.parse_args()

comm = launched(MPI.COMM_WORLD)
with job(comm):
    mask = sphere_and_blob(a.size)
    b = right_hand_side(mask)
    A = PoissonOperator(mask, comm=comm)
    M = LearnedMultigrid(A) if a.method == "learned" else Multigrid(A)
    result = cg(A, b[A.slices], M=M, rtol=1e-8)
    assert result.converged
    halo = iteration_traffic(A, M)["halo"] if comm.size > 1 else Traffic()
    error = 0.0
    if a.size <= a.compare_up_to:
        serial = PoissonOperator(mask)
        whole = LearnedMultigrid(serial) if a.method == "learned" else Multigrid(serial)
        expected = cg(serial, b, M=whole, rtol=1e-8)
        assert expected.iterations == result.iterations
        mine = abs(result.x - expected.x[A.slices]).max(initial=0.0) / abs(expected.x).max()
        error = float(allreduce_max(np.array([mine]), comm)[0])
        assert error < 1e-10, error
    boxes = (1, 1, 1) if A.blocks is None else A.blocks.coarse.proc_shape
    if comm.rank == 0:
        print(
            f"PASS {A.n_unknowns} unknowns, boxes {boxes}, {result.iterations} iterations, "
            f"{result.seconds:.2f} s, halo {halo.messages} messages and {halo.bytes} bytes an iteration on rank 0, "
            + (f"error against serial {error:.1e}" if a.size <= a.compare_up_to else "not compared with serial")
        )
