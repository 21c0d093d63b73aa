"""Run commands of `sci` one after the other on the ranks of this job.

mpirun -n 3 python tests/mpi/programs/commands.py COMMANDS.json

The file holds a list of lists of words. After each command rank 0 prints its exit code on each rank.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mpi4py import MPI

from sci.cli import main

for words in json.loads(Path(sys.argv[1]).read_text()):
    codes = MPI.COMM_WORLD.gather(main(words))
    if codes is not None:
        print("CODES", *codes, flush=True)
        print("CODES", *codes, flush=True, file=sys.stderr)
