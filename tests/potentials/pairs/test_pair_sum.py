"""Sums over pairs at the charges, against loops over all pairs and images."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import sci
from sci.errors import InvalidValueError
from sci.potentials import Coulomb, Yukawa, split_kernel
from sci.potentials.ewald import ewald_split
from sci.potentials.pairs.kernel import PairKernel
from sci.potentials.pairs.pair_sum import LEAST_TOL, SHARE, pair_sums, sums_within

TRICLINIC = np.array([[9.0, 0.0, 0.0], [3.1, 8.2, 0.0], [-2.7, 4.0, 7.5]])
CELLS = {"box": np.diag([9.0, 11.0, 12.0]), "skew": TRICLINIC, "small": 0.3 * TRICLINIC}


def loop(positions, charges, kernel, lattice=None):
    """Return potentials, forces and virial by one image after the other, counted until none is near."""
    n, orders = len(charges), [(0, 0, 0)]
    if lattice is not None:
        inverse = np.linalg.inv(lattice)
        positions = (positions @ inverse % 1.0) @ lattice
        far = np.linalg.norm(np.abs(lattice).sum(axis=0)) + kernel.cutoff
        counts = [math.ceil(far * h) for h in np.linalg.norm(inverse, axis=0)]
        orders = list(itertools.product(*(range(-c, c + 1) for c in counts)))
    potentials, forces, virial = np.zeros(n), np.zeros((n, 3)), np.zeros((3, 3))
    between = positions[:, None] - positions
    for order in orders:
        d = between - (np.array(order) @ lattice if any(order) else 0.0)
        r2 = (d * d).sum(axis=2)
        near = r2 < kernel.cutoff**2
        if not any(order):
            np.fill_diagonal(near, False)
        if not near.any():
            continue
        r = np.where(near, np.sqrt(r2), 1.0)
        close = r < 1e-8
        r[close] = 1.0
        u = 2 * np.where(near, r2, 0.0) / kernel.cutoff**2 - 1
        b, db = np.polyval(kernel.b[::-1], u), np.polyval(np.polyder(kernel.b[::-1]), u) * 4 * r / kernel.cutoff**2
        whole = np.exp(-kernel.kappa * r) / r
        potentials += np.where(near, np.where(close, -b, whole - b), 0.0) @ charges
        slope = np.where(close | ~near, 0.0, -whole * (1 / r + kernel.kappa) - db)
        pair = -(charges[:, None] * charges * slope / r)[:, :, None] * d
        forces += pair.sum(axis=1)
        virial += 0.5 * np.einsum("ija,ijb->ab", pair, d)
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


@pytest.mark.parametrize("lattice", CELLS.values(), ids=CELLS)
def test_charges_in_a_cell(lattice):
    positions, charges = charges_in(11, 5)
    assert_equal(pair_sums(positions, charges, GAUSSIAN, lattice=lattice), loop(positions, charges, GAUSSIAN, lattice))


def test_energy_is_half_of_charges_times_potentials():
    positions, charges = charges_in(20, 3)
    found = pair_sums(positions, charges, PairKernel.of(split_kernel(Coulomb(), 1e-6, 40.0, 0.5)), forces=False)
    assert found.energy == pytest.approx(0.5 * charges @ found.potentials, rel=1e-14)
    assert found.forces is None
    assert found.virial is None


@settings(max_examples=30)
@given(
    st.integers(1, 20),
    st.integers(0, 2**31),
    st.sampled_from([None, *CELLS]),
    st.sampled_from([1e-3, 1.0, 1e3]),
    st.sampled_from([0.0, 1e6]),
    st.sampled_from([1e-3, 1.0, 1e3]),
    st.booleans(),
)
def test_any_charges_in_any_unit(n, seed, cell, unit, far, charge_unit, on_grid):
    """Charges on faces and at one place, cells smaller than the cutoff, far from the origin, in other units."""
    positions, charges = charges_in(n, seed)
    if on_grid:
        positions = np.round(positions / 4.5) * 4.5
    lattice = None if cell is None else unit * CELLS[cell]
    kernel = PairKernel(unit * GAUSSIAN.cutoff, GAUSSIAN.b / unit)
    found = pair_sums(unit * positions + unit * far, charge_unit * charges, kernel, lattice=lattice)
    expected = loop(positions + far, charges, GAUSSIAN, None if cell is None else CELLS[cell])
    scales = (charge_unit / unit, (charge_unit / unit) ** 2, charge_unit**2 / unit)
    sizes = [np.abs(charges).max() / 0.1, np.abs(charges).max() ** 2 / 0.1**2, 10 * n]
    for have, want, scale, size in zip((found.potentials, found.forces, found.virial), expected, scales, sizes):
        if on_grid and want is not expected[0]:
            continue  # charges at one place may be told from close ones by rounding alone, far from the origin
        least = max(np.abs(want).max(), size * 1e-3)
        np.testing.assert_allclose(have / scale, want, rtol=0, atol=(1e-7 if far else 1e-10) * least)


def test_charges_at_one_place_see_the_long_range_left_out():
    positions = np.zeros((3, 3))
    found = pair_sums(positions, np.array([1.0, -2.0, 4.0]), GAUSSIAN)
    np.testing.assert_allclose(found.potentials, -GAUSSIAN.at_zero * np.array([2.0, 5.0, -1.0]), rtol=1e-13)
    assert not found.fields.any()
    assert pair_sums(positions, np.ones(3), GAUSSIAN, rounding=math.inf).rounding == 0.0  # floats give no numbers


def test_one_charge_and_none():
    alone = pair_sums(np.ones((1, 3)), np.ones(1), GAUSSIAN)
    assert alone.energy == 0.0
    assert not alone.forces.any()
    assert len(pair_sums(np.ones((0, 3)), np.ones(0), GAUSSIAN).potentials) == 0
    assert pair_sums(np.ones((2, 3)), np.zeros(2), GAUSSIAN).energy == 0.0


def test_clusters_in_a_huge_empty_box():
    rng = np.random.default_rng(4)
    clusters = [rng.random((60, 3)) * 6 for _ in range(3)]
    charges = rng.normal(size=180)
    far = [clusters[0], clusters[1] + [1e7, 0.0, -3e5], clusters[2] + [3e6, 8e8, 1.0]]
    found = pair_sums(np.concatenate(far), charges, GAUSSIAN)
    alone = [pair_sums(c, charges[60 * k : 60 * k + 60], GAUSSIAN) for k, c in enumerate(clusters)]
    scale = np.abs(found.forces).max()
    np.testing.assert_allclose(found.forces, np.concatenate([a.forces for a in alone]), atol=1e-6 * scale)
    assert found.energy == pytest.approx(sum(a.energy for a in alone), rel=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_the_virial_is_minus_the_derivative_of_the_energy_by_strain(name):
    lattice, (positions, charges) = CELLS[name], charges_in(9, 6)
    smooth = PairKernel(GAUSSIAN.cutoff, GAUSSIAN.b.copy())
    smooth.b[0] += 1 / smooth.cutoff - smooth.b.sum()  # S ends at zero: pairs that cross the cutoff add nothing
    found, step = pair_sums(positions, charges, smooth, lattice=lattice).virial, 1e-5
    expected = np.zeros((3, 3))
    for a, b in itertools.product(range(3), repeat=2):
        strain = np.zeros((3, 3))
        strain[a, b] = step
        ahead, back = (
            pair_sums(positions @ grow, charges, smooth, lattice=lattice @ grow).energy
            for grow in (np.eye(3) + strain.T, np.eye(3) - strain.T)
        )
        expected[a, b] = -(ahead - back) / (2 * step)
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-4 * np.abs(expected).max())


SYSTEMS = {
    "water": lambda rng, n: (4.64 * n ** (1 / 3) * rng.random((n, 3)), rng.normal(size=n)),
    "crystal": lambda rng, n: (
        2.8 * np.stack(np.meshgrid(*[np.arange(round(n ** (1 / 3)))] * 3), -1).reshape(-1, 3)
        + 0.02 * rng.normal(size=(round(n ** (1 / 3)) ** 3, 3)),
        np.where(np.arange(round(n ** (1 / 3)) ** 3) % 2, 1.0, -1.0),
    ),
    "close pairs": lambda rng, n: (
        np.repeat(6 * n ** (1 / 3) * rng.random((n // 2, 3)), 2, axis=0) + 0.02 * rng.normal(size=(n // 2 * 2, 3)),
        np.tile([1.0, -1.0], n // 2),
    ),
    "few": lambda rng, n: (15 * rng.random((12, 3)), rng.normal(size=12)),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_the_estimate_of_rounding_holds(name):
    """The error of float32 is below its estimate, which is no more than twenty times above."""
    positions, charges = SYSTEMS[name](np.random.default_rng(8), 512)
    single, double = (pair_sums(positions, charges, GAUSSIAN, rounding=r) for r in (math.inf, 0.0))
    assert double.rounding == 0.0
    error = float(np.sqrt(((single.forces - double.forces) ** 2).sum(axis=1).mean()))
    assert 0.05 * single.rounding < error < single.rounding
    single, double = (pair_sums(positions, charges, GAUSSIAN, rounding=r, forces=False) for r in (math.inf, 0.0))
    energies = charges * (single.potentials - double.potentials)
    assert 0.02 * single.rounding < float(np.sqrt((energies**2).mean())) < single.rounding


def test_the_precision_follows_from_the_tolerance():
    positions, charges = SYSTEMS["water"](np.random.default_rng(8), 512)
    exact = pair_sums(positions, charges, GAUSSIAN).forces
    size = np.linalg.norm(exact)
    for tol in (1e-3, 1e-4, 1e-5, LEAST_TOL, 1e-6, 1e-9):
        found = sums_within(positions, charges, GAUSSIAN, tol)
        assert np.linalg.norm(found.forces - exact) <= SHARE * tol * size
    assert sums_within(positions, charges, GAUSSIAN, 1e-4).rounding > 0
    assert sums_within(positions, charges, GAUSSIAN, 1e-6).rounding == 0
    close = SYSTEMS["close pairs"](np.random.default_rng(8), 512)
    close[0][1] = close[0][0] + [1e-5, 0.0, 0.0]
    assert sums_within(*close, GAUSSIAN, 1e-4).rounding == 0
    assert pair_sums(positions, charges, GAUSSIAN, rounding=1e-12).rounding == 0


@pytest.mark.parametrize("rounding", [0.0, math.inf], ids=["double", "single"])
@pytest.mark.parametrize("lattice", [None, 26.0 * np.eye(3)], ids=["isolated", "periodic"])
def test_results_do_not_depend_on_threads(lattice, rounding):
    positions, charges = charges_in(1500, 9, 26.0)
    kernel = PairKernel(4.0, GAUSSIAN.b)
    found = []
    for threads in (1, 2):
        with sci.options(threads=threads):
            found.append(pair_sums(positions, charges, kernel, lattice=lattice, rounding=rounding))
    assert np.array_equal(found[0].potentials, found[1].potentials)
    assert np.array_equal(found[0].forces, found[1].forces)
    assert np.array_equal(found[0].virial, found[1].virial)


def test_forces_that_overflow_are_told():
    with pytest.raises(InvalidValueError, match="forces of pairs overflow"):
        pair_sums(np.eye(3), np.full(3, 1e200), GAUSSIAN)
