"""What a trajectory costs a frame, beside the same numbers from potentials built anew for every frame.

    OMP_NUM_THREADS=1 python benchmarks/trajectory.py

CPU seconds a frame of one thread, reading left out. `anew` is RangeSeparatedPotential (PeriodicPotential for cells)
with its own choice of the split, then energy() and forces(); `plan` is what the trajectory does where it takes the
mesh; `direct` is the sum over all pairs. Errors are those of energies, relative to |E| + sum |q| / 2, and of
forces, relative L2, against direct sums (against a tighter tolerance for cells).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from sci.potentials import Particles, PeriodicPotential, RangeSeparatedPotential, energy_and_forces, plan_frames

DENSITY, TOL = 0.1, 1e-6


def timed(action: Callable[[], Any], repeats: int = 3) -> tuple[float, Any]:
    """Return the least CPU seconds of some repeats, and the result."""
    best = np.inf
    for _ in range(repeats):
        start = time.process_time()
        result = action()
        best = min(best, time.process_time() - start)
    return best, result


def anew(particles: Particles) -> tuple[float, Any]:
    """Return energy and forces from a potential that is built for this frame alone."""
    build = RangeSeparatedPotential if particles.cell is None else PeriodicPotential
    phi = build(particles, TOL)
    return phi.energy(), phi.forces()


def compare(n: int, periodic: bool) -> None:
    """Print seconds and errors for one size."""
    rng = np.random.default_rng(0)
    edge = (n / DENSITY) ** (1 / 3)
    cell = edge * np.eye(3) if periodic else None
    charges = rng.normal(size=n)
    frame = Particles(rng.random((n, 3)) * edge, charges - charges.mean(), cell=cell)
    plan = plan_frames(frame, TOL)
    planned = plan if periodic else plan_frames(frame, TOL, method="mesh")
    fresh, _ = timed(lambda: anew(frame))
    kept, found = timed(lambda: energy_and_forces(frame, planned))
    if periodic:
        direct = np.nan
        exact = PeriodicPotential(frame, 1e-10).energy_and_forces()
    else:
        pairs = plan_frames(frame, TOL, method="direct")
        direct, exact = timed(lambda: energy_and_forces(frame, pairs), 2)
    scale = np.abs(exact[0]) + 0.5 * float(np.abs(frame.charges).sum())
    forces = float(np.linalg.norm(found[1] - exact[1]) / np.linalg.norm(exact[1]))
    errors = abs(found[0] - exact[0]) / scale, forces
    print(
        f"{n:>8}{'yes' if periodic else 'no':>6}{fresh:>9.3f}{kept:>9.3f}{fresh / kept:>7.1f}{direct:>9.3f}"
        f"{errors[0]:>10.1e}{errors[1]:>10.1e}   {plan.method}",
        flush=True,
    )


if __name__ == "__main__":
    print(f"{'n':>8}{'cell':>6}{'anew':>9}{'plan':>9}{'ratio':>7}{'direct':>9}{'energy':>10}{'forces':>10}   chosen")
    for size in (1_000, 5_000, 20_000, 50_000):
        compare(size, False)
    for size in (1_000, 10_000):
        compare(size, True)
