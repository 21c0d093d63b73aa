"""Sample lattices and learn all their marginals over ranks, and compare with exact answers and one process.

mpirun -n 2 python mpi_examples/spins.py
"""

from __future__ import annotations

import numpy as np
from mpi4py import MPI

from sci.distributed import job, launched
from sci.generative import (
    IsingModel,
    MarginalModel,
    PottsModel,
    fit_energy,
    importance_log_z,
    log_weight,
    marginal_errors,
    sample_spins,
    transfer_matrix,
)

comm = launched(MPI.COMM_WORLD)
with job(comm):
    lattices = (IsingModel((10, 10), 0.2, 0.2), PottsModel((5, 4), 3, -0.5))
    for lattice in lattices:  # an antiferromagnet of Potts states has the heat bath alone
        run = {"replicas": 12, "sweeps": 150, "seed": 1}
        chains, exact = sample_spins(lattice, comm=comm, **run), transfer_matrix(lattice)
        np.testing.assert_array_equal(chains.energies, sample_spins(lattice, **run).energies)
        energy = chains.energy()
        assert abs(energy.value - exact.energy) < 5 * energy.error
        if comm.rank == 0:
            print(f"{lattice}: energy {energy}, exact {exact.energy:.4f}")

    f = log_weight(IsingModel((2, 3), 0.3, 0.1))
    options = {"objective": "divergence", "steps": 250, "batch": 64, "learning_rate": 8e-3, "explore": 0.3}
    model, _ = fit_energy(MarginalModel(6, 2, hidden=32, layers=1), f, comm=comm, **options)
    found, drawn = marginal_errors(model, f), importance_log_z(model, f, samples=1024, comm=comm)
    assert found.divergence < 0.03
    if comm.rank == 0:
        print(f"{model}: all 3^6 marginals, {found}; {drawn}")
        print(f"PASS on {comm.size} ranks: chains of one process to the bit, KL {found.divergence:.1e}")
