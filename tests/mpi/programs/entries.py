"""Call every collective entry with arguments that differ on one rank, and with functions that fail there.

mpirun -n 3 python tests/mpi/programs/entries.py
"""

from __future__ import annotations

import tempfile
import time
import warnings
from pathlib import Path

from collective_entries import DIFFER, FAIL
from mpi4py import MPI

from sci.errors import SciError

SECONDS = 5.0
"""An error takes this long at most, on a busy machine; it is compared before work starts."""


def main() -> None:
    comm = MPI.COMM_WORLD.Dup()
    folder = Path(comm.bcast(tempfile.mkdtemp() if comm.rank == 0 else None))
    odd, slowest = comm.rank == comm.size - 1, 0.0
    for kind, table in (("differ", DIFFER), ("fail", FAIL)):
        for name, body in table.items():
            started, text = time.perf_counter(), "no error"
            try:
                body(comm, odd, folder)
            except SciError as error:
                text = str(error)
            except RuntimeError as error:
                text = f"rank {comm.rank}: RuntimeError: {error}"
            slowest = max(slowest, time.perf_counter() - started)
            texts = comm.allgather(text)
            argument = name.partition(":")[2].partition(",")[0]
            assert len(set(texts)) == 1, (name, texts)
            assert (argument if kind == "differ" else "no more") in text, (name, text)
            assert comm.allreduce(time.perf_counter() - started, MPI.MAX) < SECONDS, (name, slowest)
    if comm.rank == 0:
        print(f"{len(DIFFER) + len(FAIL)} calls, at most {slowest:.2f} s each")
        print("PASS")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
