"""Run programs one after another in one job: its start and its imports cost more than most of the checks.

mpirun -n 3 python tests/mpi/programs/in_turn.py attention.py potential.py
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from mpi4py import MPI

world = MPI.COMM_WORLD
folder, names = Path(__file__).parent, sys.argv[1:]
for name in names:
    MPI.COMM_WORLD = world  # which the program before may have sabotaged
    if world.rank == 0:
        print(f"IN TURN {name}", flush=True)
    sys.argv = [str(folder / name)]
    runpy.run_path(sys.argv[0], run_name="__main__")
    world.Barrier()
