"""Finite crystals: Madelung constants, time against size, brute force, and the published lattice experiment.

    OMP_NUM_THREADS=1 python benchmarks/lattice.py

Madelung constants by Evjen and by smooth weights, for the distance of the nearest neighbors, with the error against
the accepted value and the wall seconds of building and evaluating at the site in the middle. Evjen's shared charges
give the constant of rock salt; for CsCl and zinc blende the second moment of the weighted cell shifts it for any size
(the line says by how much in theory), so those two are read off with smooth weights.

Brute force: seconds a site of the compiled sum over all ions of a crystal that it can hold, scaled to the large one.

Published experiment (V. Khoromskaia and others; Fig. 9 of arXiv 2503.01696): rows of paper_tables.py with its grid and
spline, then the same two lattices, 24 x 24 x 4 charges of +1 and 23 x 23 x 4 of -1, as LatticePotential without a grid:
ranks and largest error, on the plane in the middle, of the Chebyshev-Tucker form against the CP one, and of the
whole potential against the sum over all pairs. The exit status is 1 if a tolerance is missed.
"""

from __future__ import annotations

import math
import sys
import time

import numpy as np
from paper_tables import LATTICE_SLICE_MAXIMUM, lattice_rows, shown

from sci.potentials import LatticePotential, Particles, direct_sum

FCC = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
SIGNS = [1.0] * 4 + [-1.0] * 4
CRYSTALS = {
    "NaCl": (Particles(2 * np.concatenate([FCC, (FCC + 0.5) % 1]), SIGNS, cell=2 * np.eye(3)), 1.0, 1.7475645946331822),
    "CsCl": (
        Particles([[0.0] * 3, [0.5] * 3], [1.0, -1.0], cell=np.eye(3)),
        math.sqrt(3) / 2,
        1.7626747730709884,
    ),
    "ZnS": (Particles(np.concatenate([FCC, FCC + 0.25]), SIGNS, cell=np.eye(3)), math.sqrt(3) / 4, 1.6380550533887894),
}
# Crystal, weights, cells an edge, error allowed. 100 cells of NaCl are 201^3 ions with both faces, 1000 are 2001^3.
ROWS = [
    ("NaCl", "evjen", 100, 1e-9),
    ("NaCl", "evjen", 1000, 1e-11),
    ("CsCl", "smooth", 160, 1e-9),
    ("CsCl", "smooth", 1600, 1e-11),
    ("ZnS", "smooth", 100, 1e-9),
    ("ZnS", "smooth", 1000, 1e-11),
    ("NaCl", "smooth", 48, 1e-11),
]


def second_moment_shift(name: str) -> float:
    """Return what Evjen's weights add to the constant of a large crystal: 2 pi d / (3 V) sum q r^2 of one cell."""
    cell, distance, _ = CRYSTALS[name]
    one = LatticePotential(cell, (1, 1, 1), weights="evjen")
    middle = 0.5 * np.array(one.periods)
    positions, charges = one.sites_in([(-1.0, 3.0)] * 3)
    moment = float((charges * ((positions - middle) ** 2).sum(axis=1)).sum())
    return 2 * math.pi / 3 * moment * distance / math.prod(one.periods)


def madelung() -> bool:
    """Print the table of Madelung constants; return whether every row met its tolerance."""
    met = True
    for name, weights, repeats, allowed in ROWS:
        cell, distance, accepted = CRYSTALS[name]
        start = time.perf_counter()
        phi = LatticePotential(cell, (repeats,) * 3, tol=1e-13, weights=weights)
        value = -phi.at_site(0, (repeats // 2,) * 3) * distance
        seconds = time.perf_counter() - start
        good = abs(value - accepted) <= allowed and seconds < 1
        met &= good
        print(
            f"{name:5}{weights:8}{phi.n_sites:>15,} ions{value:>20.14f}  error {value - accepted:+.1e} (asked "
            f"{allowed:.0e}){seconds:>8.3f} s  {'met' if good else 'MISSED'}"
        )
    for name in ("CsCl", "ZnS"):
        cell, distance, accepted = CRYSTALS[name]
        value = -LatticePotential(cell, (400,) * 3, tol=1e-12, weights="evjen").at_site(0, (200,) * 3) * distance
        print(f"{name} by Evjen: {value - accepted:+.8f} off, second moment {second_moment_shift(name):+.8f}")
    return met


def brute_force() -> bool:
    """Compare with the sum over all ions of 30^3 cells, and scale its time to 1000^3 cells."""
    cell, repeats = CRYSTALS["NaCl"][0], 30
    phi = LatticePotential(cell, (repeats,) * 3, tol=1e-13)
    everything = Particles(*phi.sites_in([(-1.0, 2.0 * repeats)] * 3))
    points = np.random.default_rng(0).random((20, 3)) * 2 * repeats
    direct_sum(everything, points)
    start = time.process_time()
    exact = direct_sum(everything, points)
    each = (time.process_time() - start) / len(points)
    start = time.process_time()
    found = phi(points)
    ours = (time.process_time() - start) / len(points)
    # In double precision the sum over all ions itself keeps fewer digits than ours.
    d = (everything.positions - points[:, None]).astype(np.longdouble)
    truth = (everything.charges / np.sqrt((d * d).sum(axis=2))).sum(axis=1)
    errors = [float(np.abs(v - truth).max() / np.abs(truth).max()) for v in (exact, found)]
    print(f"brute force, {everything.n:,} ions: {each * 1e3:.3f} ms a point, error {errors[0]:.1e} (of its rounding)")
    print(
        f"  ours: {ours * 1e3:.3f} ms a point, error {errors[1]:.1e}; 8e9 ions by it: {each / everything.n * 8e9:.0f} s"
    )
    return errors[1] < 1e-11


def published() -> bool:
    """Print the published experiment, by its own rules and without a grid."""
    met = True
    for row in lattice_rows(quick=False):
        met &= not row.verdict.isupper()
        print(f"{row.label}: ranks {shown(row.ranks)}, error {row.error:.2e} ({row.reference_error}), {row.verdict}")
    sheet = [
        LatticePotential(
            Particles([[-1.5 * (n - 1), -1.5 * (n - 1), -4.5]], [charge], cell=3 * np.eye(3)),
            (n, n, 4),
            # Each sheet is charged, and of 100 times the potential that is left of both.
            tol=1e-9,
            # The exponent of the last of the published 14 Gaussians.
            alpha=math.sinh(13 * 0.37) / (2.6 * 42),
            domain=((-42.0, 42.0),) * 3,
            reach=42.0,
        )
        for n, charge in ((24, 1.0), (23, -1.0))
    ]
    start = time.process_time()
    form = sheet[0].long_range.add(sheet[1].long_range, 1e-7)
    seconds = time.process_time() - start
    x, z = np.linspace(-42, 42, 201), np.array([0.0])
    cp = [phi.long_range_terms(x, x, z).to_dense() for phi in sheet]
    smooth = float(np.abs(form.on_grid(x, x, z) - sum(cp)).max() / np.abs(sum(cp)).max())
    ions = [phi.sites_in([(-50.0, 50.0)] * 3) for phi in sheet]
    charges = Particles(*(np.concatenate(column) for column in zip(*ions)))
    points = np.random.default_rng(1).uniform(-42, 42, (2000, 3)) * (1, 1, 0.2)
    exact = direct_sum(charges, points)
    error = float(np.linalg.norm(sheet[0](points) + sheet[1](points) - exact) / np.linalg.norm(exact))
    print(
        f"without a grid, {charges.n} charges: degree {form.degree[0]}, ranks {shown(form.tucker_ranks)}, built in "
        f"{seconds:.2f} CPU s; long range on the plane {smooth:.1e} (slice maximum {np.abs(sum(cp)).max():.2f}, "
        f"published {LATTICE_SLICE_MAXIMUM}); whole potential, relative L2 {error:.1e}"
    )
    return met and smooth < 1e-6 and error < 1e-6


if __name__ == "__main__":
    LatticePotential(CRYSTALS["NaCl"][0], (3, 3, 3), tol=1e-13).at_site(0, (1, 1, 1))  # compiles the kernels
    sys.exit(not all([madelung(), brute_force(), published()]))
