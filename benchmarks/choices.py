"""Constants of the cost models as this machine has them, and the method that is chosen beside the fastest one.

    OMP_NUM_THREADS=1 python benchmarks/choices.py [--repeats 5]

CPU milliseconds of one thread, the least of the repeats, for energy and forces of charges at the density of water's
atoms, once: all pairs, and a mesh with what it keeps for such charges. The exit code is 0 where the chosen method takes
at most 1.3 times as long as the fastest for every size, of energy and forces and of grids. Constants are those of
`sci.potentials.mesh.plan`, of `sci.potentials.trajectory` and of `sci.potentials.periodic`; only their ratios matter.
Grids have 96^3 points of cells with these charges: every split that `PeriodicPotential` may take for them, its build
with it.
"""

from __future__ import annotations

import argparse
import functools
import math
import sys
import time
from collections.abc import Callable

import numpy as np

import sci
from sci.potentials import ParticleMesh, Particles, PeriodicPotential, energy_and_forces, periodic, plan_frames
from sci.potentials.mesh import plan
from sci.potentials.mesh.evaluate import pair_kernel
from sci.potentials.mesh.isolated import isolated_values
from sci.potentials.mesh.prolate import ProlateSplit
from sci.potentials.mesh.reciprocal import mesh_long_range
from sci.potentials.mesh.spread import gather_fields, spread_charges
from sci.potentials.pairs.pair_sum import pair_sums
from sci.potentials.trajectory import DIRECT_PAIR, LEAST_SECONDS

DENSITY, LARGEST_RATIO, POINTS = 0.1, 1.3, 96
SIZES, TOLS = (200, 1000, 2500, 4000, 6000, 10_000), (1e-3, 1e-5, 1e-7)


def least(action: Callable[[], object], repeats: int) -> float:
    """Return the least CPU seconds."""
    action()
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        seconds.append(time.process_time() - start)
    return min(seconds)


def charges_of(n: int, cell: bool = False) -> Particles:
    """Return n charges at random."""
    rng, edge = np.random.default_rng(n), (n / DENSITY) ** (1 / 3)
    return Particles(edge * rng.random((n, 3)), rng.normal(size=n), cell=edge * np.eye(3) if cell else None)


def on_mesh(particles: Particles, tol: float) -> object:
    """Return energy and forces by the mesh."""
    return ParticleMesh(particles, tol).energy_and_forces()


def constants(repeats: int) -> None:
    """Print what the cost models multiply, here and in use."""
    rows = [row for name in ("float32", "float64") for row in mesh_constants(name, repeats)]
    few = charges_of(4000)
    direct = plan_frames(few, method="direct")
    found = least(lambda: energy_and_forces(few, direct), repeats) / few.n**2
    rows.append(("DIRECT_PAIR", found, DIRECT_PAIR))
    rows.append(("LEAST_SECONDS", least(lambda: ParticleMesh(charges_of(10), 1e-4).forces(), repeats), LEAST_SECONDS))
    rows += grid_constants(repeats)
    for name, here, used in rows:
        print(f"{name:<26}{here:.2g} s here, {used:.2g} s in use")


def mesh_constants(name: str, repeats: int) -> list[tuple[str, float, float]]:
    """Return name, seconds here and seconds in use of what a mesh costs in one dtype."""
    cell = charges_of(20_000, True)
    y, q, edge, n = cell.positions, cell.charges, float(cell.cell[0, 0]), cell.n
    dtype, rounding, seconds = np.dtype(name), math.inf if name == "float32" else 0.0, {}
    for cutoff in (5.0, 9.0):
        kernel = pair_kernel(ProlateSplit(12.0, cutoff), 1e-4, 1.0)
        run = functools.partial(pair_sums, y, q, kernel, lattice=cell.cell, rounding=rounding)
        seconds[cutoff] = least(run, repeats)
    pairs = {c: n * DENSITY * 2 / 3 * math.pi * c**3 for c in seconds}
    each = (seconds[9.0] - seconds[5.0]) / (pairs[9.0] - pairs[5.0])
    listed = max(seconds[5.0] - each * pairs[5.0], 0.0) / n
    inverse, grid, order, split = np.eye(3) / edge, (54, 54, 54), 6, ProlateSplit(12.0, 6.0)
    values, influence, points = np.ones(grid, dtype), np.ones((55, 55, 55), dtype), math.prod(grid)
    touched = least(lambda: spread_charges(y, q, inverse, grid, order, dtype), repeats)
    touched += least(lambda: gather_fields(y, inverse, values, order), repeats)
    one = y[:1].copy(), q[:1].copy()
    point = least(lambda: mesh_long_range(*one, cell.cell, split, grid, order, dtype), repeats) / points
    doubled = least(lambda: isolated_values(values, influence), repeats) / points
    return [
        (f"PAIR, {name}", each, plan.PAIR[name]),
        (f"LISTED, {name}", listed, plan.LISTED[name]),
        (f"TOUCHED, {name}", touched / (n * order**2), plan.TOUCHED[name]),
        (f"POINT, {name}", point, plan.POINT[name]),
        (f"POINT DOUBLED, {name}", doubled, plan.POINT[name] * plan.DOUBLED),
    ]


def axes_of(particles: Particles) -> list[np.ndarray]:
    """Return the axes of a grid of a cell."""
    return [np.linspace(0, float(edge), POINTS, endpoint=False) for edge in np.diag(particles.cell)]


def cutoff_of(pairs: float) -> float:
    """Return the cutoff that holds so many charges."""
    return float((3 * pairs / (4 * math.pi * DENSITY)) ** (1 / 3))


def grid_constants(repeats: int) -> list[tuple[str, float, float]]:
    """Return name, seconds here and seconds in use of what a point of a grid of a cell costs."""
    cell, nodes, tol = charges_of(4000, True), POINTS**3, 1e-6
    axes, seconds, modes = axes_of(cell), {}, {}
    reach = PeriodicPotential(cell, tol)
    for pairs in (6.0, 60.0):
        phi = PeriodicPotential(cell, tol, alpha=reach.split.cutoff * reach.alpha / cutoff_of(pairs))
        out = np.zeros((POINTS,) * 3)
        seconds[pairs] = least(functools.partial(phi._add_short_to_grid, out, axes), repeats) / nodes
        run = functools.partial(periodic.modes_on_axes, phi.modes, phi._inverse, phi.n_modes, axes)
        modes[2 * phi.n_modes[0] + 1] = least(run, repeats) / nodes
    pair = (seconds[60.0] - seconds[6.0]) / 54.0
    (few, low), (many, high) = sorted(modes.items())
    mode = (high - low) / (many - few)
    coarse = [axis[::3] for axis in axes]
    by_points = least(functools.partial(reach._long_range_by_points, coarse), repeats) / math.prod(map(len, coarse))
    return [
        ("NODE_SECONDS", max(seconds[6.0] - 6 * pair, 0.0) + max(low - few * mode, 0.0), periodic.NODE_SECONDS),
        ("PAIR_SECONDS", pair, periodic.PAIR_SECONDS),
        ("MODE_SECONDS", mode, periodic.MODE_SECONDS),
        ("POINT_SECONDS", by_points, periodic.POINT_SECONDS),
    ]


def grid_choices(repeats: int) -> bool:
    """Print the splits of grids, and return whether the chosen ones are fast enough."""
    print(f"{'charges':>8}{'tol':>8}" + "".join(f"{p:>8.0f}" for p in periodic.GRID_PAIRS) + "  chosen   ratio")
    enough = True
    for n in (500, 4000, 20_000):
        cell = charges_of(n, True)
        axes = axes_of(cell)
        for tol in (1e-3, 1e-6):
            own = PeriodicPotential(cell, tol)

            def whole(pairs: float, cell=cell, axes=axes, tol=tol, own=own) -> None:
                alpha = own.split.cutoff * own.alpha / cutoff_of(pairs)
                PeriodicPotential(cell, tol, alpha=alpha)._on_own_grid(axes)

            taken = {p: least(functools.partial(whole, p), repeats) for p in periodic.GRID_PAIRS}
            fit = own._for_grid(POINTS**3)
            chosen = DENSITY * 4 / 3 * math.pi * fit.split.cutoff**3
            mine = min(taken, key=lambda p: abs(p - chosen))
            ratio = taken[mine] / min(taken.values())
            enough &= ratio <= LARGEST_RATIO
            numbers = "".join(f"{1e3 * t:>8.0f}" for t in taken.values())
            print(f"{n:>8}{tol:>8.0e}{numbers}{chosen:>8.0f}{ratio:>8.2f}", flush=True)
    return enough


def choices(repeats: int) -> bool:
    """Print the methods of isolated charges, and return whether the chosen ones are fast enough."""
    print(f"{'charges':>8}{'tol':>8}{'direct':>9}{'mesh':>9}{'chosen':>9}{'ratio':>7}")
    enough = True
    for n in SIZES:
        particles = charges_of(n)
        direct = plan_frames(particles, method="direct")
        pairs = least(functools.partial(energy_and_forces, particles, direct), repeats)
        for tol in TOLS:
            mesh = least(functools.partial(on_mesh, particles, tol), repeats)
            chosen = plan_frames(particles, tol, accuracy="forces").method
            ratio = {"direct": pairs, "mesh": mesh}[chosen] / min(pairs, mesh)
            enough &= ratio <= LARGEST_RATIO
            print(f"{n:>8}{tol:>8.0e}{1e3 * pairs:>9.2f}{1e3 * mesh:>9.2f}{chosen:>9}{ratio:>7.2f}", flush=True)
    return enough


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    with sci.options(threads=1):
        constants(options.repeats)
        sys.exit(not all([choices(options.repeats), grid_choices(options.repeats)]))
