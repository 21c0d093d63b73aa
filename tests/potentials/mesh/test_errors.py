"""Predicted errors against those of random charges, and the integral against the sum over modes."""

from __future__ import annotations

import numpy as np
import pytest
from mesh_cases import CELL, ionic

from sci.potentials import ewald_sum
from sci.potentials.mesh.errors import SHARES, ChargeSizes, aliasing, mesh_force_error
from sci.potentials.mesh.evaluate import pair_kernel
from sci.potentials.mesh.gaussian import GaussianSplit
from sci.potentials.mesh.prolate import ProlateSplit
from sci.potentials.mesh.reciprocal import mesh_long_range
from sci.potentials.pairs.pair_sum import pair_sums

CUBE = 12.0 * np.eye(3)
CELLS = pytest.mark.parametrize("cell", [CUBE, 1.3 * CELL], ids=["cube", "triclinic"])


@CELLS
@pytest.mark.parametrize(
    "split",
    [ProlateSplit(9.0, 5.0), ProlateSplit(14.0, 6.0), GaussianSplit(0.5, 5.2, 6.0), GaussianSplit(0.5, 7.0, 2.6)],
    ids=["c9", "c14", "cutoff", "modes"],
)
def test_errors_of_the_split_hold_for_random_charges(cell, split):
    particles = ionic(200, cell, seed=5)
    sizes = ChargeSizes.of(particles.charges, abs(np.linalg.det(cell)))
    near = pair_sums(particles.positions, particles.charges, pair_kernel(split, 1e-12, 1.0), lattice=particles.cell)
    far = mesh_long_range(particles.positions, particles.charges, cell, split, (64, 64, 64), 8, np.float64)
    forces = near.forces - particles.charges[:, None] * far.fields[:, 1:]
    _, slope = ewald_sum(particles, particles.positions, tol=1e-13, gradient=True)
    missed = np.sqrt(((forces + particles.charges[:, None] * slope) ** 2).sum(axis=1).mean())
    assert missed == pytest.approx(split.force_error(sizes.strength), rel=0.2)


@CELLS
@pytest.mark.parametrize(
    ("c", "grid", "order"),
    [(16.0, (16, 18, 16), 6), (12.0, (14, 14, 14), 5), (20.0, (20, 20, 18), 7), (14.0, (20,) * 3, 8)],
)
@pytest.mark.parametrize("n", [40, 2000], ids=["themselves", "others"])
def test_errors_of_the_mesh_hold_for_random_charges(cell, c, grid, order, n):
    # Few charges feel the force of each on itself, many that of others.
    split, rng = ProlateSplit(c, 6.0), np.random.default_rng(4)
    missed, turns = 0.0, 80_000 // n // 20
    for _ in range(turns):
        positions, charges = rng.random((n, 3)) @ cell, np.where(np.arange(n) % 2, 1.0, -1.0)
        found = mesh_long_range(positions, charges, cell, split, grid, order, np.float64).fields
        exact = mesh_long_range(positions, charges, cell, split, (60, 60, 60), 8, np.float64).fields
        missed += ((found - exact)[:, 1:] ** 2).sum(axis=1).mean() / turns
    sizes = ChargeSizes.of(charges, abs(np.linalg.det(cell)))
    assert np.sqrt(missed) == pytest.approx(mesh_force_error(split, cell, grid, order, sizes), rel=0.15)


@pytest.mark.parametrize(("order", "place"), [(7, 2), (5, 8), (8, 14)])
@pytest.mark.parametrize("kind", ["prolate", "gaussian"])
def test_the_integral_over_modes_is_the_sum_of_a_large_cell(kind, order, place):
    spacing, n = 0.9, 64
    k_max = np.pi * SHARES[place] / spacing
    split = ProlateSplit(12.3, 12.3 / k_max) if kind == "prolate" else GaussianSplit(k_max / 6.7, 20 / k_max, k_max)
    found = mesh_force_error(split, n * spacing * np.eye(3), (n, n, n), order, ChargeSizes(1, 1.0, 0.0))
    assert aliasing(split, order)[place] == pytest.approx(found, rel=0.06)


def test_strength_of_charges_near_the_ends_of_the_numbers():
    assert ChargeSizes.of(np.array([3e200, 4e200]), 8.0).strength == np.inf
    large = ChargeSizes.of(np.array([3e150, 4e150]), 8.0)
    assert large.strength == pytest.approx(25e300 / 4)
    assert large.square == pytest.approx((337 / 2) ** 0.5 * 1e300)
    assert ChargeSizes.of(np.zeros(3), 1.0) == (3, 0.0, 0.0)
