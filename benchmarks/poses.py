"""Rigid poses: 1e5 poses of a ligand of 50 atoms around a protein, beside the FMM, on one thread or several ranks.

    OMP_NUM_THREADS=1 SCI_TEST_DATA=... python benchmarks/poses.py [--poses 100000] [--tol 1e-6]
    OMP_NUM_THREADS=1 SCI_TEST_DATA=... mpirun -n 2 python benchmarks/poses.py

The protein is structures/mache.pqr (8279 charges), the ligand its 50 atoms nearest to the center, turned at random and
put at random places 2 to 12 angstrom off the surface of the box of the protein, and within it. Our time is split into
the potential, built once, and the poses. The peer, fmm3dpy (extra `peers`; its PyPI wheel has no vector instructions: a
build for the machine is about twice as fast), is called once a pose, as a scoring loop does, and once for the atoms of
1000 poses together, which is the best that it can do; its eps is the loosest of a list whose error is at most ours.
Seconds are CPU seconds of each process; errors are relative L2 of the energies of 200 poses against sums over pairs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from sci.distributed import launched, split
from sci.io import read_structure
from sci.potentials import Particles, RangeSeparatedPotential, direct_sum, interaction_energy, rotation_matrices
from sci.tasks import launched_tasks

PEER_EPS = (1e-2, 3.2e-3, 3.2e-4, 3.2e-5, 3.2e-6, 3.2e-7)
CHECKED, SINGLE, TOGETHER = 200, 10, 1000
PADDING = 30.0


def make_case(path: Path, n: int) -> tuple[Particles, Particles, np.ndarray, np.ndarray]:
    """Return the protein, a ligand centered on the origin, quaternions and translations."""
    receptor = read_structure(path)
    center = receptor.positions.mean(axis=0)
    nearest = np.argsort(((receptor.positions - center) ** 2).sum(axis=1))[:50]
    positions = receptor.positions[nearest]
    ligand = Particles(positions - positions.mean(axis=0), receptor.charges[nearest])
    rng = np.random.default_rng(0)
    low, high = receptor.positions.min(axis=0) - 12, receptor.positions.max(axis=0) + 12
    return receptor, ligand, rng.normal(size=(n, 4)), low + rng.random((n, 3)) * (high - low)


def place(ligand: Particles, quaternions: np.ndarray, translations: np.ndarray) -> np.ndarray:
    """Return the atoms of all poses, (n m, 3)."""
    placed = ligand.positions @ np.swapaxes(rotation_matrices(quaternions), 1, 2) + translations[:, None]
    return np.ascontiguousarray(placed.reshape(-1, 3))


def fmm(receptor: Particles, points: np.ndarray, eps: float) -> np.ndarray:
    """Return the peer's potential; its factor depends on the build and is found by the caller."""
    import fmm3dpy

    sources = np.asfortranarray(receptor.positions.T)
    out = fmm3dpy.lfmm3d(eps=eps, sources=sources, charges=receptor.charges, targets=np.asfortranarray(points.T), pgt=1)
    values: np.ndarray = out.pottarg
    return values


def relative(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the relative L2 error."""
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


def compare(case: Any, exact: np.ndarray, error: float, each: float) -> None:
    """Time the peer at an error of at most ours, and print the ratios; `each` is our time for a pose."""
    receptor, ligand, quaternions, translations = case
    points = place(ligand, quaternions[:CHECKED], translations[:CHECKED])
    eps = PEER_EPS[-1]
    for eps in PEER_EPS:
        values = fmm(receptor, points, eps)
        energies = values.reshape(CHECKED, -1) @ ligand.charges
        factor = float(energies @ exact / (energies @ energies))
        theirs = relative(factor * energies, exact)
        if theirs <= error:
            break
    start = time.process_time()
    for pose in range(SINGLE):
        fmm(receptor, points[pose * ligand.n : (pose + 1) * ligand.n], eps)
    single = (time.process_time() - start) / SINGLE
    together = place(ligand, quaternions[:TOGETHER], translations[:TOGETHER])
    start = time.process_time()
    fmm(receptor, together, eps)
    joint = (time.process_time() - start) / min(TOGETHER, len(translations))
    print(f"FMM, eps {eps:g}, error {theirs:.1e}, a call a pose: {single * 1e3:.1f} ms, {1 / single:.1f} poses/s")
    print(f"FMM, atoms of {TOGETHER} poses a call: {joint * 1e3:.2f} ms, {1 / joint:.0f} poses/s")
    print(
        f"ours needs {single / each:.0f} times less than a call a pose, {joint / each:.1f} times less than joint calls"
    )


def main() -> int:
    """Run ours, check it, and run the peer on rank 0."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--poses", type=int, default=100_000)
    parser.add_argument("--tol", type=float, default=1e-6)
    options = parser.parse_args()
    comm = None
    if launched_tasks() is not None:
        from mpi4py import MPI

        comm = launched(MPI.COMM_WORLD)
    path = Path(os.environ.get("SCI_TEST_DATA", ".")) / "structures" / "mache.pqr"
    case = receptor, ligand, quaternions, translations = make_case(path, options.poses)
    targets = options.poses * ligand.n
    warm = RangeSeparatedPotential(receptor, options.tol, padding=PADDING, expected_targets=targets)
    interaction_energy(warm, ligand, quaternions[:2000], translations[:2000])
    start, wall = time.process_time(), time.perf_counter()
    rows = split(receptor.n, comm)
    mine = Particles(receptor.positions[rows], receptor.charges[rows])
    phi = RangeSeparatedPotential(mine, options.tol, padding=PADDING, expected_targets=targets, comm=comm)
    build = time.process_time() - start
    start = time.process_time()
    energies = interaction_energy(phi, ligand, quaternions, translations, comm=comm)
    scoring, wall = time.process_time() - start, time.perf_counter() - wall
    if comm is not None and comm.rank:
        return 0
    points = place(ligand, quaternions[:CHECKED], translations[:CHECKED])
    exact = direct_sum(receptor, points).reshape(CHECKED, -1) @ ligand.charges
    error, n_ranks = relative(energies[:CHECKED], exact), 1 if comm is None else comm.size
    each = (build + scoring) * n_ranks / options.poses
    print(
        f"{options.poses:,} poses of {ligand.n} atoms, {receptor.n} charges, tol {options.tol:g}, ranks: {n_ranks}\n"
        f"ours: build {build:.2f} s, poses {scoring:.2f} CPU s a rank, {wall:.2f} s wall, error {error:.1e}: "
        f"{options.poses / wall:,.0f} poses/s, {scoring * n_ranks / targets * 1e6:.2f} CPU us an atom"
    )
    if comm is None:
        compare(case, exact, error, each)
    return 0 if error < 10 * options.tol else 1


if __name__ == "__main__":
    sys.exit(main())
