"""A hexagonal crystal (wurtzite ZnO) as a periodic cell: a plane of its potential, its lines shared by the ranks.

mpirun -n 2 python mpi_examples/periodic.py [PICTURE.png]
"""

from __future__ import annotations

import sys

import numpy as np
from mpi4py import MPI

from sci.distributed import allgather_rows, job, launched, split
from sci.io import reserve
from sci.potentials import Particles, PeriodicPotential
from sci.units import COULOMB

A, C, U = 3.25, 5.207, 0.382
CELL = np.array([[A, 0, 0], [-A / 2, A * np.sqrt(3) / 2, 0], [0, 0, C]])
FRACTIONS = np.array([[1 / 3, 2 / 3, 0], [2 / 3, 1 / 3, 0.5], [1 / 3, 2 / 3, U], [2 / 3, 1 / 3, 0.5 + U]])

comm = launched(MPI.COMM_WORLD)
with job(comm):
    cell = Particles(FRACTIONS @ CELL, [2.0, 2.0, -2.0, -2.0], cell=CELL)
    phi = PeriodicPotential(cell, tol=1e-10)
    s = np.linspace(0, 2, 161)
    mine = s[split(len(s), comm)]
    # The plane through the c axis and the bonds: along a + 2 b and c.
    points = mine[:, None, None] * (CELL[0] + 2 * CELL[1]) + s[:, None] * CELL[2]
    plane = allgather_rows(phi(points.reshape(-1, 3)).reshape(len(mine), len(s)), comm)
    scale = float(np.median(np.abs(plane)))
    error = float(np.abs(plane[:81] - plane[80:])[np.abs(plane[:81]) < 20 * scale].max() / scale)
    assert error < 1e-8, error
    if comm.rank == 0:
        energy = COULOMB * phi.energy() / 2
        print(f"PASS {plane.size} points, {comm.size} ranks: {energy:.6f} eV a formula unit, periodic to {error:.1e}")
        if len(sys.argv) > 1:
            from matplotlib.figure import Figure

            figure = Figure(figsize=(6.4, 5.4), layout="constrained")
            axes, width = figure.subplots(), 2 * A * np.sqrt(3)
            image = axes.imshow(
                COULOMB * plane.T, origin="lower", extent=(0, width, 0, 2 * C), cmap="RdBu", vmin=-40, vmax=40
            )
            axes.set(xlabel="along a + 2 b (Å)", ylabel="along c (Å)", title="wurtzite ZnO, charges ±2 e")
            figure.colorbar(image, ax=axes, label="potential (V)", extend="both")
            with reserve(sys.argv[1]):
                figure.savefig(sys.argv[1], dpi=130)
