"""The Poisson solvers on ranks: equal to the serial ones to rounding, and their traffic equal to the model.

mpirun -n 4 python tests/mpi/programs/solvers.py
"""

from __future__ import annotations

from collections.abc import Iterable

from distributed_solver_cases import CASES, compare, compare_learned, compare_methods, refuse
from mpi4py import MPI
from sabotage import private_communicator

from sci.distributed import abort_on_error


def check(comm: MPI.Intracomm, cases: Iterable[int], learned_cases: Iterable[int]) -> None:
    """Compare multigrid and the learned cycle with one process."""
    for case in cases:
        compare(case, comm)
    for case in learned_cases:
        compare_learned(case, comm)


comm = private_communicator()
with abort_on_error(comm):
    check(comm, (0, 3, 4), (0, 4, len(CASES) + 1))
    compare_methods(comm)
    refuse(comm)
    for count in (1, 2) if comm.size == 4 else ():
        some = comm.Split(comm.rank < count, comm.rank)
        if comm.rank < count:
            check(some, (0, 4), (0, 4, len(CASES) + 1))
        some.Free()
    if comm.rank == 0:
        print("PASS")
