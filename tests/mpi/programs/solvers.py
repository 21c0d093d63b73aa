"""The shared Poisson solver: equal to the serial one to rounding, and its traffic equal to the model.

mpirun -n 4 python tests/mpi/programs/solvers.py
"""

from __future__ import annotations

import sys
from pathlib import Path

from sabotage import private_communicator

from sci.distributed import abort_on_error

sys.path.append(str(Path(__file__).parents[2]))
from shared_solver_cases import compare, refuse

comm = private_communicator()
with abort_on_error(comm):
    for case in (0, 3, 4):
        compare(case, comm)
    refuse(comm)
    if comm.rank == 0:
        print("PASS")
