"""Build the potential of a molecule whose atoms are spread over the ranks, and write it with a grid.

mpirun -n 4 python mpi_examples/molecule_potential.py 1ubi.pqr -o protein.h5 [--tol 1e-6] [--grid 48]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from sci.distributed import agreed, allreduce_max, job, launched, slab, split
from sci.errors import SciError
from sci.io import load, load_grid, read_structure, save_potential_file
from sci.potentials import Particles, PotentialGrid, RangeSeparatedPotential, box_axes, direct_sum

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("molecule", type=Path)
parser.add_argument("-o", "--output", type=Path, required=True)
parser.add_argument("--tol", type=float, default=1e-6)
parser.add_argument("--grid", type=int, default=48)
parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
options = parser.parse_args()
comm = launched(MPI.COMM_WORLD)


def read() -> Particles:
    """Read the molecule on every rank; where one fails, all end with exit code 2 and one line."""
    try:
        with agreed(comm):
            return read_structure(options.molecule)
    except SciError as found:
        if comm.rank == 0:
            print(f"molecule_potential: error: {found}", file=sys.stderr)
        raise SystemExit(2) from None


def main(whole: Particles) -> None:
    """Hold this rank's share of the atoms, and fill its slab of the grid."""
    rows = split(whole.n, comm)
    mine = Particles(whole.positions[rows], whole.charges[rows]) if rows.stop > rows.start else None
    phi = RangeSeparatedPotential(mine, options.tol, comm=comm)
    x, y, z = box_axes(phi.domain, options.grid)
    part = slab((len(x), len(y), len(z)), comm)
    x_mine = x[part.slices[0]]
    values = phi.on_grid(x_mine, y, z)
    step = np.array([axis[1] - axis[0] for axis in (x, y, z)])
    origin = np.array([x[0] + part.local_start[0] * step[0], y[0], z[0]])
    results = {"energy_e2_per_angstrom": phi.energy(), "error_estimate": phi.error_estimate}
    save_potential_file(
        options.output,
        phi,
        grid=PotentialGrid(values, origin, step),
        grid_shape=part.grid_shape,
        local_start=part.local_start,
        results=results,
        comm=comm,
        overwrite=options.overwrite,
    )
    points = np.random.default_rng(comm.rank).uniform(*np.array(phi.domain).T, size=(200, 3))
    exact = direct_sum(whole, points)
    difference = float(np.abs(phi(points) - exact).max() / np.abs(exact).max())
    worst = float(allreduce_max(np.array([difference]), comm)[0])
    if comm.rank == 0:
        stored, grid = load(options.output), load_grid(options.output)
        assert stored.particles.n == whole.n
        assert grid.shape == part.grid_shape
        assert worst < 10 * options.tol, worst
        print(
            f"PASS {whole.n} atoms on {comm.size} ranks, energy {results['energy_e2_per_angstrom']:.6f} e^2/A, "
            f"error {worst:.1e} of the largest potential"
        )


if __name__ == "__main__":
    molecule = read()
    with job(comm):
        main(molecule)
