"""Functions of the caller on ranks: any M works on the unknowns of one rank, and an error of one rank is raised on all.

mpirun -n 3 python tests/mpi/programs/solver_errors.py
"""

from __future__ import annotations

from distributed_solver_cases import fail_on_one_rank, functions_as_preconditioners
from sabotage import private_communicator

from sci.distributed import abort_on_error

comm = private_communicator()
with abort_on_error(comm):
    functions_as_preconditioners(comm)
    fail_on_one_rank(comm)
    if comm.rank == 0:
        print("PASS")
