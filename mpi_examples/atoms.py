"""Energy and forces of one configuration whose atoms lie on ranks: each has a box of the cell and a halo around it.

mpirun -n 2 python mpi_examples/atoms.py
mpirun -n 4 python mpi_examples/atoms.py --atoms 10000

Each rank has any part of the atoms. The sums are compared with those of one process, and forces that go back to the
ranks that gave the atoms with its forces.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from mpi4py import MPI

from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration, predict_on_ranks
from sci.distributed import job, launched, rank_of, size

parser = argparse.ArgumentParser()
parser.add_argument("--atoms", type=int, default=500)
parser.add_argument("--charges", action="store_true", help="add Coulomb's energy of ions over all images")
arguments = parser.parse_args()
comm = launched(MPI.COMM_WORLD)
rank, ranks = rank_of(comm), size(comm)

edge = round(arguments.atoms ** (1 / 3) + 0.5)
sites = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[: arguments.atoms]
positions = 3.0 * sites + 0.2 * np.random.default_rng(0).normal(size=sites.shape)
species = np.where(sites.sum(axis=1) % 2, "Cl", "Na")
cell = 3.0 * edge * np.array([[1.0, 0.0, 0.0], [0.1, 1.0, 0.0], [0.0, 0.1, 1.0]])
charges = {"Na": 1.0, "Cl": -1.0} if arguments.charges else None
potential = AtomisticPotential(AtomisticConfig(["Na", "Cl"], cutoff=4.5, channels=8, charges=charges), seed=0)

mine = slice(rank, None, ranks)
start = time.perf_counter()
with job(comm):
    shared = predict_on_ranks(potential, species[mine].tolist(), positions[mine], cell=cell, comm=comm)
seconds = time.perf_counter() - start
if rank == 0:
    start = time.perf_counter()
    alone = potential(Configuration(species.tolist(), positions, cell))
    one = time.perf_counter() - start
    errors = [
        abs(shared.energy - alone.energy) / abs(alone.energy),
        np.abs(shared.forces - alone.forces[mine]).max(),
        np.abs(shared.stress - alone.stress).max(),
    ]
    print(f"{len(positions)} atoms: {seconds:.2f} s on {ranks} ranks, {one:.2f} s on one")
    verdict = "PASS" if max(errors) < 1e-10 else "FAIL"
    print(f"{verdict}: energy {errors[0]:.1e} relative, forces {errors[1]:.1e} eV/angstrom, stress {errors[2]:.1e}")
