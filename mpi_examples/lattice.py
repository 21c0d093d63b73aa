"""A plane through a vacancy in 8e9 ions of rock salt, its lines shared by the ranks.

mpirun -n 2 python mpi_examples/lattice.py
"""

from __future__ import annotations

import time

import numpy as np
from mpi4py import MPI

from sci.distributed import allgather_rows, job, launched, split
from sci.potentials import LatticePotential, Particles, Vacancy

MADELUNG = 1.7475645946331822

comm = launched(MPI.COMM_WORLD)
with job(comm):
    sites = np.array([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    cell = Particles(2.82 * sites, (-1.0) ** sites.sum(axis=1), cell=5.64 * np.eye(3))
    start = time.perf_counter()
    phi = LatticePotential(cell, (1000, 1000, 1000), tol=1e-9, weights="evjen", defects=[Vacancy(0, (500, 500, 500))])
    center = phi.position(0, (500, 500, 500))
    x = center[0] + np.linspace(-10, 10, 201)
    mine = split(len(x), comm)
    rows = phi.on_grid(x[mine], x, center[2:])[:, :, 0] if mine.stop > mine.start else np.empty((0, len(x)))
    plane = allgather_rows(rows, comm)
    seconds = time.perf_counter() - start
    # The ion that is missing felt all others, and so does a probe in its place.
    error = abs(plane[100, 100] + MADELUNG / 2.82) / (MADELUNG / 2.82)
    symmetric = float(np.abs(plane - plane.T).max() / np.abs(plane).max())
    assert error < 1e-8, error
    assert symmetric < 1e-8, symmetric
    if comm.rank == 0:
        print(f"PASS {phi.n_sites:,} ions, {plane.size} points, {comm.size} ranks, {seconds:.2f} s: error {error:.1e}")
