"""Score random poses of a water-like triangle around ubiquitin, shared by the ranks, and check some by pair sums.

mpirun -n 2 python mpi_examples/poses.py [POSES] [PICTURE.png]
"""

from __future__ import annotations

import sys
import time

import numpy as np
from mpi4py import MPI

from sci.datasets import load_dataset
from sci.distributed import allreduce_max, job, launched
from sci.io import reserve
from sci.potentials import Particles, RangeSeparatedPotential, direct_sum, interaction_energy, rotation_matrices
from sci.units import energy_factor

comm = launched(MPI.COMM_WORLD)
with job(comm):
    n = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    protein = load_dataset("ubiquitin")
    # TIP3P water about its oxygen.
    water = Particles([[0, 0, 0], [0.9572, 0, 0], [-0.24, 0.927, 0]], [-0.834, 0.417, 0.417])
    rng = np.random.default_rng(0)
    quaternions = rng.normal(size=(n, 4))
    low, high = protein.positions.min(axis=0) - 6, protein.positions.max(axis=0) + 6
    translations = low + rng.random((n, 3)) * (high - low)
    phi = RangeSeparatedPotential(protein, 1e-7, padding=8.0, expected_targets=3 * n)
    start = time.perf_counter()
    energies = interaction_energy(phi, water, quaternions, translations, comm=comm)
    seconds = float(allreduce_max(np.array([time.perf_counter() - start]), comm)[0])
    if comm.rank == 0:
        placed = water.positions @ np.swapaxes(rotation_matrices(quaternions[:500]), 1, 2) + translations[:500, None]
        exact = direct_sum(protein, np.ascontiguousarray(placed.reshape(-1, 3))).reshape(500, 3) @ water.charges
        error = float(np.linalg.norm(energies[:500] - exact) / np.linalg.norm(exact))
        assert error < 1e-5, error
        print(f"PASS {n} poses on {comm.size} ranks: {n / seconds:,.0f} poses/s, error {error:.1e}")
        if len(sys.argv) > 2:
            from matplotlib.figure import Figure

            apart = np.array([((protein.positions - t) ** 2).sum(axis=1).min() for t in translations]) ** 0.5
            outside = apart > 2.6
            kcal = energy_factor("kcal/mol") * energies[outside]
            figure = Figure(figsize=(6.4, 4.4), layout="constrained")
            axes = figure.subplots()
            axes.scatter(apart[outside], kcal, s=2, alpha=0.3, lw=0)
            axes.axhline(0, color="0.6", lw=0.8)
            axes.set(xlabel="oxygen to the nearest atom (Å)", ylabel="electrostatic energy in vacuum (kcal/mol)")
            axes.set(title=f"{int(outside.sum()):,} poses of water around ubiquitin", ylim=(-30, 30))
            with reserve(sys.argv[2]):
                figure.savefig(sys.argv[2], dpi=130)
