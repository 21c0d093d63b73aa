"""The error of `reaction_field` beside the one that it states: charges at random places in spheres, Kirkwood's series.

    python benchmarks/reaction_field.py [--places 40] [--seed 0]

For each ratio x of spacing and depth below the surface: the largest error of the fine grid over x^2, relative to the
potential of the charge's image, which the library states as 0.2; the errors of the result and the stated ones,
relative to the exact energy; and the largest ratio of the two, which has to stay below 1. The last lines are ions at
the center of a sphere.
"""

from __future__ import annotations

import argparse

import numpy as np

from sci.applications import reaction_field
from sci.applications.solvation.cavity import interpolate
from sci.potentials import Particles

INSIDE, OUTSIDE = 2.0, 80.0
RATIOS = (0.2, 0.25, 1 / 3, 0.5, 0.6, 0.65, 0.7, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0)


def exact_energy(depth: float, radius: float) -> float:
    """Return the energy of a unit charge at a depth below the surface of a sphere."""
    k, ratio = np.arange(4000), (radius - depth) / radius
    terms = (k + 1) * (INSIDE - OUTSIDE) / (INSIDE * ((k + 1) * OUTSIDE + k * INSIDE)) * ratio ** (2 * k) / radius
    return float(0.5 * terms.sum())


def trial(x: float, rng: np.random.Generator, centered: bool) -> tuple[float, float, float]:
    """Return the error of the fine grid in images over x^2, and the relative true and stated error of the result."""
    radius = float(rng.uniform(1.2, 3.0))
    shallowest = min(0.7, max(0.12, 1 / (14 * x)))  # of the radius, so that grids stay small
    depth = radius if centered else radius * float(rng.uniform(shallowest, 0.9))
    spacing = x * depth
    along, center = rng.normal(size=3), rng.random(3)
    place = center + (radius - depth) * along / np.linalg.norm(along)
    if centered:
        charged, radii = Particles([center], [1.0]), [radius]
    else:
        charged, radii = Particles([center, place], [0.0, 1.0]), [radius, 0.0]
    padding = max(4.0 * spacing, 2.0)
    found = reaction_field(charged, radii, spacing=spacing, padding=padding, inside=INSIDE, outside=OUTSIDE)
    exact = exact_energy(depth, radius)
    fine = 0.5 * interpolate(found.values, (charged.positions[-1:] - found.origin) / spacing)[0]
    image = 0.5 * (1 / INSIDE - 1 / OUTSIDE) * radius / (depth * (2 * radius - depth))
    return abs(fine - exact) / image / x**2, abs(found.energy / exact - 1), found.energy_error / abs(exact)


def main() -> None:
    """Print one line for each ratio."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--places", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print(f"{'x':>14} {'fine / x^2':>11} {'error':>18} {'stated':>18} {'worst':>6}")
    covered = count = 0
    for centered in (False, True):
        for x in RATIOS:
            rows = np.array([trial(x, rng, centered) for _ in range(options.places)])
            worst = (rows[:, 1] / rows[:, 2]).max()
            covered, count = covered + int((rows[:, 1] <= rows[:, 2]).sum()), count + len(rows)
            spans = [f"{100 * r.mean():.2f} to {100 * r.max():.2f} %" for r in (rows[:, 1], rows[:, 2])]
            name = f"{x:.3g}{' center' if centered else ''}"
            print(f"{name:>14} {rows[:, 0].max():>11.3f} {spans[0]:>18} {spans[1]:>18} {worst:>6.2f}", flush=True)
    print(f"the stated error covers the true one in {covered} of {count}; columns: mean to largest")


if __name__ == "__main__":
    main()
