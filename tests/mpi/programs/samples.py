"""Generate training data on ranks into one file, and compare with the serial set bit for bit.

mpirun -n 4 python tests/mpi/programs/samples.py OUTPUT_FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from counts import every_count
from mpi4py import MPI
from sabotage import private_communicator

from sci.distributed import abort_on_error
from sci.errors import SciError
from sci.io import load_samples, save_samples
from sci.problems import darcy_flow, navier_stokes

folder = Path(sys.argv[1])


def check(comm: MPI.Intracomm) -> None:
    for n in (5, 2):
        save_samples(folder / "darcy.h5", *darcy_flow(n, 24, subsample=2, seed=3, comm=comm), comm=comm, overwrite=True)
        short = {"viscosity": 1e-2, "time": 0.05, "time_step": 0.01, "seed": 3}
        save_samples(folder / "flow.h5", *navier_stokes(n, 16, **short, comm=comm), comm=comm, overwrite=True)
        for name, serial in (
            ("darcy", darcy_flow(n, 24, subsample=2, seed=3)),
            ("flow", navier_stokes(n, 16, **short)),
        ):
            for read, expected in zip(load_samples(folder / f"{name}.h5"), serial):
                np.testing.assert_array_equal(read, expected)
        comm.Barrier()
    # Blocks of many MiB, and an uneven share.
    rows = 3 * comm.rank + 1
    big = np.full((rows, 2**20), float(comm.rank))
    save_samples(folder / "big.h5", big, big[:, :1], comm=comm, overwrite=True)
    x, y = load_samples(folder / "big.h5")
    np.testing.assert_array_equal(x[:, -1], np.repeat(np.arange(comm.size), 3 * np.arange(comm.size) + 1))
    np.testing.assert_array_equal(x[:, 0], y[:, 0])
    # One rank's bad samples, or a folder that rank 0 cannot write to, stop all ranks and write nothing.
    bad = np.full((2, 3), np.nan if comm.rank == comm.size - 1 else 0.0)
    for path, values in ((folder / "bad.h5", bad), (folder / "absent" / "bad.h5", np.zeros((2, 2**20)))):
        try:
            save_samples(path, values, values, comm=comm)
        except SciError:
            assert not path.exists()
        else:
            raise AssertionError("expected an error")
    comm.Barrier()


world = private_communicator()
with abort_on_error(world):
    for part in every_count(world):
        check(part)
    if world.rank == 0:
        print("PASS")
