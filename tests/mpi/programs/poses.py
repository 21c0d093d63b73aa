"""Score poses shared by the ranks, and compare with the serial energies.

mpirun -n 2 python tests/mpi/programs/poses.py
"""

from __future__ import annotations

import numpy as np
from sabotage import private_communicator

from sci.distributed import abort_on_error
from sci.errors import SciError
from sci.potentials import Particles, RangeSeparatedPotential, interaction_energy

comm = private_communicator()

with abort_on_error(comm):
    rng = np.random.default_rng(5)
    phi = RangeSeparatedPotential(Particles(rng.random((80, 3)) * 12, rng.normal(size=80)), 1e-6, padding=8.0)
    ligand = Particles(rng.normal(size=(6, 3)), rng.normal(size=6))
    for n in (101, 2, 1, 0):
        quaternions, translations = rng.normal(size=(n, 4)), rng.random((n, 3)) * 12
        serial = interaction_energy(phi, ligand, quaternions, translations)
        shared = interaction_energy(phi, ligand, quaternions, translations, comm=comm)
        assert shared.shape == (n,)
        np.testing.assert_allclose(shared, serial, rtol=1e-9, atol=1e-9)
    # One rank's bad input, and one rank's failing potential, stop all of them.
    last = comm.rank == comm.size - 1
    bad = np.full((3, 4), 0.0 if last else 1.0)

    def failing(points: np.ndarray) -> np.ndarray:
        return phi(points * np.inf) if last else phi(points)

    for potential, turns, text in ((phi, bad, "length zero"), (failing, np.ones((7, 4)), "infinite")):
        message = ""
        try:
            interaction_energy(potential, ligand, turns, np.ones((len(turns), 3)), comm=comm)
        except SciError as error:
            message = str(error)
        assert text in message, message
    if comm.rank == 0:
        print("PASS")
