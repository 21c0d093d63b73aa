"""Periodic cells: Madelung constants, and CPU seconds for energy and forces of random cells against their error.

    OMP_NUM_THREADS=1 python benchmarks/periodic.py [--peer] [--solvated]

Random cells hold 0.1 charges a cubic angstrom, as water does. Seconds are CPU seconds of one thread: `build` is all
that depends on the charges, `all` build, expansion, and potential and field at every charge; `mesh` is `ParticleMesh`,
energy and forces of one step of a simulation, its set-up for the cell and the tolerance included once. Errors are
relative L2 against the same potential at tol 1e-11 and another split, at 1000 charges; the tests compare with a plain
Ewald sum. --peer adds torch-pme (PyPI: torch-pme, torch) on 4096 ions of rock salt: smearing 0.4, mesh 0.2, 7 nodes,
cutoff 2.4, for a unit distance of neighbors, and ours at its measured error. --solvated is `benchmarks/solvated.py`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from lattice import CRYSTALS

from sci.potentials import ParticleMesh, Particles, PeriodicPotential

DENSITY = 0.1


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Return CPU seconds and the result."""
    start = time.process_time()
    result = action()
    return time.process_time() - start, result


def random_cell(n: int) -> Particles:
    """Return n charges, neutral together, at random places of a cube."""
    rng = np.random.default_rng(0)
    edge, charges = (n / DENSITY) ** (1 / 3), rng.normal(size=n)
    return Particles(rng.random((n, 3)) * edge, charges - charges.mean(), cell=edge * np.eye(3))


def madelung() -> bool:
    """Print the error of the Madelung constants; return whether all are below 1e-10."""
    worst = 0.0
    for name, (cell, distance, accepted) in CRYSTALS.items():
        seconds, energy = timed(lambda: PeriodicPotential(cell, 1e-11).energy())  # noqa: B023
        error = -2 * energy * distance / cell.n - accepted
        worst = max(worst, abs(error))
        print(f"{name:5} Madelung constant, error {error:+.1e}, {seconds:.3f} CPU s")
    return worst < 1e-10


def random_cells() -> bool:
    """Print seconds and errors of random cells; return whether errors follow the tolerance."""
    met = True
    print(
        f"{'charges':>8}{'tol':>8}{'build':>9}{'all':>9}{'us/charge':>11}{'potential':>11}{'field':>10}"
        f"{'mesh':>9}{'forces':>10}   modes"
    )
    for n in (1_000, 10_000, 100_000):
        particles = random_cell(n)
        sample = particles.positions[:1000]
        exact = PeriodicPotential(particles, 1e-11, alpha=0.6 * DENSITY ** (1 / 3)) if n < 100_000 else None
        for tol in (1e-4, 1e-6, 1e-8):
            build, phi = timed(lambda: PeriodicPotential(particles, tol))  # noqa: B023
            use, _ = timed(lambda: phi.field(particles.positions))  # noqa: B023
            ParticleMesh(particles, tol).energy()
            step, mesh = timed(lambda: evaluated(particles, tol))  # noqa: B023
            errors, forces = ["-", "-"], "-"
            if exact is not None:
                pairs = ((phi(sample), exact(sample)), (phi.field(sample), exact.field(sample)))
                found = [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in pairs]
                met &= found[0] < tol
                errors = [f"{e:.1e}" for e in found]
                true = particles.charges[:1000, None] * pairs[1][1]
                missed = float(np.linalg.norm(mesh.forces()[:1000] - true) / np.linalg.norm(true))
                forces, met = f"{missed:.1e}", met and missed < tol
            print(
                f"{n:>8}{tol:>8.0e}{build:>9.2f}{build + use:>9.2f}{(build + use) / n * 1e6:>11.1f}{errors[0]:>11}"
                f"{errors[1]:>10}{step:>9.3f}{forces:>10}   {phi.n_modes}",
                flush=True,
            )
    return met


def evaluated(particles: Particles, tol: float) -> ParticleMesh:
    """Return a mesh that has been evaluated."""
    mesh = ParticleMesh(particles, tol)
    mesh.energy()
    return mesh


def rock_salt(edge: int) -> Particles:
    """Return edge^3 ions at unit distance."""
    sites = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return Particles(sites.astype(float), (-1.0) ** sites.sum(axis=1), cell=edge * np.eye(3))


def peer() -> None:
    """Compare with torch-pme on 16^3 ions of rock salt."""
    import torch
    import torchpme
    from scipy.spatial import cKDTree

    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    particles, cutoff = rock_salt(16), 2.4
    calculator = torchpme.PMECalculator(
        torchpme.CoulombPotential(smearing=0.4), mesh_spacing=0.2, interpolation_nodes=7
    )
    pairs = cKDTree(particles.positions, boxsize=16.0).query_pairs(cutoff, output_type="ndarray")
    d = particles.positions[pairs[:, 0]] - particles.positions[pairs[:, 1]]
    distances = np.linalg.norm(d - 16 * np.rint(d / 16), axis=1)
    tensors = [torch.tensor(np.ascontiguousarray(v)) for v in (particles.positions, particles.cell, pairs, distances)]
    charges = torch.tensor(particles.charges[:, None])

    def call() -> np.ndarray:
        positions, cell, neighbors, lengths = tensors
        values = calculator(
            charges=charges, cell=cell, positions=positions, neighbor_indices=neighbors, neighbor_distances=lengths
        )
        return 2 * values.numpy()[:, 0]  # it carries the factor 1/2 of the energy

    call()
    seconds, theirs = timed(call)
    accepted = CRYSTALS["NaCl"][2]
    error = float(np.abs(theirs * particles.charges + accepted).max())
    print(f"torch-pme, {particles.n} ions: {seconds:.2f} CPU s without its neighbor list, error {error:.1e}")
    ours, values = timed(lambda: PeriodicPotential(particles, max(error, 1e-11))(particles.positions))
    mine = float(np.abs(values * particles.charges + accepted).max())
    print(f"ours, build and all: {ours:.2f} CPU s, error {mine:.1e}: {seconds / ours:.1f} times less")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--solvated", action="store_true")
    options = parser.parse_args()
    PeriodicPotential(random_cell(100), 1e-4).forces()  # compiles the kernels
    if options.solvated:
        import solvated

        sys.exit(not solvated.compare(peers=options.peer))
    good = [madelung(), random_cells()]
    if options.peer:
        peer()
    sys.exit(not all(good))
