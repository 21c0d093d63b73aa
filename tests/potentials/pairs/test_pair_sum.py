"""Sums over pairs at the charges, against loops over all pairs and images."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from sci.potentials import Coulomb, Yukawa, split_kernel
from sci.potentials.ewald import ewald_split
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.pair_sum import pair_sums

TRICLINIC = np.array([[9.0, 0.0, 0.0], [3.1, 8.2, 0.0], [-2.7, 4.0, 7.5]])


def loop(positions, charges, kernel, lattice=None):
    """Return potentials, forces and virial by one pair after the other, images counted until none is near."""
    n, orders = len(charges), [(0, 0, 0)]
    if lattice is not None:
        spread = positions.max(axis=0) - positions.min(axis=0)
        far = np.linalg.norm(spread) + kernel.cutoff
        counts = [math.ceil(far / h) for h in 1 / np.linalg.norm(np.linalg.inv(lattice), axis=0)]
        orders = list(itertools.product(*(range(-c, c + 1) for c in counts)))
    potentials, forces, virial = np.zeros(n), np.zeros((n, 3)), np.zeros((3, 3))
    for order in orders:
        shift = np.zeros(3) if lattice is None else np.array(order) @ lattice
        for i in range(n):
            d = positions[i] - positions - shift
            r2 = (d * d).sum(axis=1)
            near = r2 < kernel.cutoff**2
            if not any(order):
                near[i] = False
            r = np.sqrt(r2[near])
            close = r < 1e-8
            r[close] = 1.0
            u = 2 * r2[near] / kernel.cutoff**2 - 1
            b, db = np.polyval(kernel.b[::-1], u), np.polyval(np.polyder(kernel.b[::-1]), u) * 4 * r / kernel.cutoff**2
            whole = np.exp(-kernel.kappa * r) / r
            potentials[i] += charges[near] @ np.where(close, -b, whole - b)
            slope = np.where(close, 0.0, -whole * (1 / r + kernel.kappa) - db)
            pair = -(charges[i] * charges[near] * slope / r)[:, None] * d[near]
            forces[i] += pair.sum(axis=0)
            virial += 0.5 * pair.T @ d[near]
    return potentials, forces, virial


def assert_equal(found, expected, tol=1e-11):
    for have, want in zip((found.potentials, found.forces, found.virial), expected):
        np.testing.assert_allclose(have, want, rtol=0, atol=tol * max(np.abs(want).max(initial=0.0), 1e-300))


def charges_in(n, seed, size=10.0):
    rng = np.random.default_rng(seed)
    return size * rng.random((n, 3)), rng.normal(size=n)


GAUSSIAN = PairKernel.of(ewald_split(0.6, 1e-6))
SCREENED = PairKernel.of(split_kernel(Yukawa(0.3), 1e-6, 40.0, 0.5))


@pytest.mark.parametrize("kernel", [GAUSSIAN, SCREENED], ids=str)
@pytest.mark.parametrize("n", [1, 2, 37])
def test_isolated_charges(kernel, n):
    positions, charges = charges_in(n, n)
    assert_equal(pair_sums(positions, charges, kernel), loop(positions, charges, kernel))


@pytest.mark.parametrize(
    "lattice", [np.diag([9.0, 11.0, 12.0]), TRICLINIC, 0.3 * TRICLINIC], ids=["box", "skew", "small"]
)
def test_charges_in_a_cell(lattice):
    positions, charges = charges_in(11, 5)
    assert_equal(pair_sums(positions, charges, GAUSSIAN, lattice=lattice), loop(positions, charges, GAUSSIAN, lattice))


def test_energy_is_half_of_charges_times_potentials():
    positions, charges = charges_in(20, 3)
    found = pair_sums(positions, charges, PairKernel.of(split_kernel(Coulomb(), 1e-6, 40.0, 0.5)), forces=False)
    assert found.energy == pytest.approx(0.5 * charges @ found.potentials, rel=1e-14)
    assert found.forces is None
    assert found.virial is None
