"""A sodium ion that passes ubiquitin: energies and forces of 200 frames, dealt to the ranks, in one file.

mpirun -n 2 python mpi_examples/trajectory.py [PICTURE.png]
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from mpi4py import MPI

from sci.datasets import load_dataset
from sci.distributed import broadcast_object, job, launched
from sci.io import compute_trajectory, load
from sci.potentials import Particles, direct_sum

FRAMES = 200


def write_frames(path: Path, protein: Particles, ion: np.ndarray) -> None:
    """Write protein and ion as extended XYZ, one frame for each place of the ion."""
    rows = [
        f"{name} {x:.4f} {y:.4f} {z:.4f} {q:.4f}"
        for name, (x, y, z), q in zip(protein.names or (), protein.positions, protein.charges)
    ]
    with path.open("w") as file:
        for x, y, z in ion:
            file.write(f"{protein.n + 1}\nProperties=species:S:1:pos:R:3:charge:R:1\n")
            file.write("\n".join([*rows, f"NA {x:.4f} {y:.4f} {z:.4f} 1.0"]) + "\n")


comm = launched(MPI.COMM_WORLD)
with job(comm), tempfile.TemporaryDirectory() as own:
    folder = Path(broadcast_object(own, comm))
    protein = load_dataset("ubiquitin")
    center, width = protein.positions.mean(axis=0), np.ptp(protein.positions[:, 0]) / 2
    ion = center + np.stack([np.linspace(-2, 2, FRAMES) * width, np.full(FRAMES, 22.0), np.zeros(FRAMES)], axis=1)
    if comm.rank == 0:
        write_frames(folder / "ion.xyz", protein, ion)
    comm.Barrier()
    start = time.perf_counter()
    compute_trajectory(folder / "ion.xyz", folder / "ion.h5", tol=1e-7, comm=comm)
    seconds = time.perf_counter() - start
    comm.Barrier()
    if comm.rank == 0:
        found = load(folder / "ion.h5")
        # The energy of the ion is what the energy of the frame has more than that of the protein.
        potential = direct_sum(protein, np.round(ion, 4))
        own_energy = 0.5 * float((protein.charges * direct_sum(protein, protein.positions)).sum())
        error = float(np.abs(found.energies - own_energy - potential).max() / np.abs(potential).max())
        assert error < 1e-4, error  # coordinates and charges have four decimals in the file
        assert float(np.abs(found.forces.sum(axis=1)).max()) < 1e-6 * float(np.abs(found.forces).max())
        print(f"PASS {len(found.frames)} frames, {comm.size} ranks, {seconds:.2f} s: error {error:.1e}")
        if len(sys.argv) > 1:
            from sci.plotting import plot_energies

            plot_energies(found, sys.argv[1], title="a sodium ion passes ubiquitin (in vacuum)")
    comm.Barrier()
