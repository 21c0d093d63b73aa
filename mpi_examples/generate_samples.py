"""Generate Darcy and Navier-Stokes training data on ranks into one file each; check some against the serial set.

mpirun -n 2 python mpi_examples/generate_samples.py [SAMPLES] [FOLDER]

Files that exist in the folder stay: choose another. The command line does one set: mpirun -n 2 sci operator generate.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from mpi4py import MPI

from sci.distributed import broadcast_object, job, launched
from sci.io import load_samples, save_samples
from sci.problems import darcy_flow, navier_stokes

comm = launched(MPI.COMM_WORLD)
with job(comm), tempfile.TemporaryDirectory() as scratch:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    folder = Path(broadcast_object(sys.argv[2] if len(sys.argv) > 2 else scratch, comm))
    flow = {"viscosity": 1e-3, "time": 0.5, "time_step": 2e-3, "seed": 1}
    start = time.perf_counter()
    darcy = darcy_flow(n, 64, subsample=2, seed=1, comm=comm)
    save_samples(folder / "darcy.h5", *darcy, grid_axes=2, periodic=False, comm=comm)
    vorticity = navier_stokes(n, 64, subsample=2, **flow, comm=comm)
    save_samples(folder / "navier_stokes.h5", *vorticity, grid_axes=2, periodic=True, comm=comm)
    seconds = time.perf_counter() - start
    if comm.rank == 0:  # whose scratch folder it is
        few = min(n, 3)
        sets = {
            "darcy.h5": darcy_flow(few, 64, subsample=2, seed=1),
            "navier_stokes.h5": navier_stokes(few, 64, subsample=2, **flow),
        }
        error = max(
            float(abs(ours[:few] - serial).max())
            for name, pair in sets.items()
            for ours, serial in zip(load_samples(folder / name), pair)
        )
        assert np.all(error == 0.0), error
        print(f"PASS {n} + {n} samples on {comm.size} ranks in {seconds:.1f} s, error {error:g}")
