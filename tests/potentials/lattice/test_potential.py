"""Finite crystals: Madelung constants, brute force with and without defects, regions, grids, bad input."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from crystals import CSCL, MADELUNG, MIXED, NACL, ZNS
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import relative

import sci
from sci.errors import InvalidValueError
from sci.potentials import (
    Interstitial,
    LatticePotential,
    Particles,
    Substitution,
    Vacancy,
    direct_sum,
)
from sci.potentials.lattice.potential import PART_SHARE
from sci.potentials.lattice.sums import AxisLattice


def brute_force(cell: Particles, repeats: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Every site in the order particle, i, j, k."""
    shifts = np.array(list(itertools.product(*map(range, repeats)))) @ cell.cell
    return (cell.positions[:, None] + shifts).reshape(-1, 3), np.repeat(cell.charges, len(shifts))


def madelung(name: str, repeats: int, weights: str) -> float:
    cell, distance, _ = MADELUNG[name]
    phi = LatticePotential(cell, (repeats,) * 3, tol=1e-13, weights=weights)
    return -phi.at_site(0, (repeats // 2,) * 3) * distance


@pytest.mark.parametrize(("repeats", "tolerance"), [(10, 1e-4), (100, 1e-9), (1000, 1e-11)])
def test_madelung_constant_of_rock_salt_by_evjen_weights(repeats, tolerance):
    assert abs(madelung("NaCl", repeats, "evjen") - MADELUNG["NaCl"][2]) < tolerance


@pytest.mark.parametrize("name", MADELUNG)
@pytest.mark.parametrize("repeats", [48, 160, 1600])
def test_madelung_constants_by_smooth_weights(name, repeats):
    assert abs(madelung(name, repeats, "smooth") - MADELUNG[name][2]) < 2e-12


@pytest.mark.parametrize("name", ["CsCl", "ZnS"])
def test_evjen_weights_miss_by_the_second_moment_of_their_cell(name):
    # The potential of a neutral lattice of cells without dipole is shifted by -(2 pi / 3 V) sum q r^2, with q the
    # shared charges of the cell: 1/8 at corners, 1/2 on faces.
    cell, distance, accepted = MADELUNG[name]
    one = Particles(*LatticePotential(cell, (1, 1, 1), weights="evjen").sites_in([(-1, 2)] * 3))
    moment = (one.charges * ((one.positions - 0.5) ** 2).sum(axis=1)).sum()
    shift = 2 * math.pi / 3 * moment * distance
    assert abs(one.charges.sum()) < 1e-14
    assert abs(shift) > 0.5
    assert madelung(name, 200, "evjen") == pytest.approx(accepted + shift, abs=1e-4 if name == "ZnS" else 1e-5)


def test_smooth_weights_converge_exponentially():
    errors = [abs(madelung("CsCl", n, "smooth") - MADELUNG["CsCl"][2]) for n in (16, 24, 32, 40)]
    assert all(later < earlier / 50 for earlier, later in itertools.pairwise(errors))


@pytest.mark.parametrize("cell", [NACL, CSCL, ZNS, MIXED], ids=["NaCl", "CsCl", "ZnS", "mixed"])
def test_five_cells_an_edge_agree_with_brute_force(cell):
    positions, charges = brute_force(cell, (5, 5, 5))
    crystal = Particles(positions, charges)
    rng = np.random.default_rng(3)
    points = rng.uniform(-1, 6, (40, 3)) * np.diag(cell.cell)
    points[:10] = positions[rng.integers(len(positions), size=10)]
    phi = LatticePotential(cell, (5, 5, 5), tol=1e-13)
    exact = direct_sum(crystal, points)
    assert phi.n_sites == len(positions)
    assert np.abs(phi(points) - exact).max() < 1e-11 * np.abs(exact).max()


def test_five_cells_an_edge_with_defects_agree_with_brute_force():
    cell, repeats = NACL, (5, 5, 5)
    positions, charges = brute_force(cell, repeats)
    phi = LatticePotential(
        cell,
        repeats,
        defects=[Vacancy(0, (2, 2, 2)), Substitution(5, (1, 0, 4), 2.0), Interstitial((4.5, 5.5, 4.5), 1.0)],
        tol=1e-13,
    )
    vacancy, substituted = 62, 5 * 125 + 1 * 25 + 4
    np.testing.assert_allclose(phi.position(0, (2, 2, 2)), positions[vacancy])
    np.testing.assert_allclose(phi.position(5, (1, 0, 4)), positions[substituted])
    charges[substituted] = 2.0
    kept = np.arange(len(charges)) != vacancy
    crystal = Particles(np.vstack([positions[kept], [4.5, 5.5, 4.5]]), np.append(charges[kept], 1.0))
    points = np.random.default_rng(4).uniform(-1, 11, (40, 3))
    points[:4] = [positions[vacancy], positions[substituted], (4.5, 5.5, 4.5), positions[vacancy] + 1e-4]
    exact = direct_sum(crystal, points)
    assert np.abs(phi(points) - exact).max() < 1e-11 * np.abs(exact).max()
    assert phi.at_site(0, (2, 2, 2)) == pytest.approx(exact[0], abs=1e-11)


def test_vacancy_at_the_face_of_a_weighted_crystal():
    whole = LatticePotential(NACL, (4, 4, 4), tol=1e-12, weights="evjen")
    holed = LatticePotential(NACL, (4, 4, 4), tol=1e-12, weights="evjen", defects=[Vacancy(0, (0, 2, 4))])
    point = np.array([[0.5, 3.0, 7.0]])
    taken = 0.25 / np.linalg.norm(point[0] - whole.position(0, (0, 2, 4)))
    assert whole(point)[0] - holed(point)[0] == pytest.approx(taken, abs=1e-11)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 4),
    repeats=st.tuples(*[st.integers(1, 4)] * 3),
    seed=st.integers(0, 2**16),
    weights=st.sampled_from(["plain", "evjen", "smooth"]),
)
def test_any_small_crystal_is_the_sum_of_its_sites(n, repeats, seed, weights):
    rng = np.random.default_rng(seed)
    edges = rng.uniform(3, 6, 3)
    fractions = rng.permutation(64)[:n]
    positions = np.stack(np.unravel_index(fractions, (4, 4, 4)), axis=1) / 4 * edges
    cell = Particles(positions, rng.normal(size=n), cell=np.diag(edges))
    phi = LatticePotential(cell, repeats, tol=1e-9, weights=weights)
    everywhere = [(-10.0, float(n * a) + 10.0) for n, a in zip(repeats, edges)]
    sites = Particles(*phi.sites_in(everywhere))
    points = rng.uniform(-0.5, 1.5, (20, 3)) * edges * repeats
    unsigned = direct_sum(Particles(sites.positions, np.abs(sites.charges)), points)
    assert np.abs(phi(points) - direct_sum(sites, points)).max() < 1e-8 * np.abs(unsigned).max()
    if weights == "evjen":
        assert sites.charges.sum() == pytest.approx(cell.charges.sum() * math.prod(repeats), abs=1e-9)


@pytest.mark.parametrize("repeats", [6, 100], ids=["whole crystal", "middle cell"])
def test_region_in_the_format_agrees_with_the_sums(repeats):
    phi = LatticePotential(NACL, (repeats,) * 3, tol=1e-9, defects=[Vacancy(1, (repeats // 2,) * 3)])
    rng = np.random.default_rng(5)
    low, high = np.array(phi.domain).T
    assert (high - low).max() == pytest.approx(2.0 if repeats == 100 else 15.0)
    points = low + rng.random((500, 3)) * (high - low)
    exact = np.concatenate([phi(points[k : k + 50]) for k in range(0, 500, 50)])
    assert "long_range" not in vars(phi)
    found = phi(points)
    assert "long_range" in vars(phi)
    assert relative(found, exact) < 1e-8
    step = 1e-4
    slope = [(phi(points[:9] + step * e) - phi(points[:9] - step * e)) / (2 * step) for e in np.eye(3)]
    inside = ((points[:9] - step >= low) & (points[:9] + step <= high)).all(axis=1)
    np.testing.assert_allclose(phi.field(points[:9])[inside], -np.transpose(slope)[inside], rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("place", [0.0, 60.0], ids=["in the region", "elsewhere"])
def test_grid_equals_points(place):
    phi = LatticePotential(NACL, (100, 100, 100), tol=1e-9, domain=[(0, 8)] * 3, defects=[Vacancy(0, (31, 31, 31))])
    x, y, z = np.linspace(0.1, 5, 5) + place, np.linspace(1, 2, 3) + place, np.array([2.0]) + place
    points = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3)
    assert relative(phi.on_grid(x, y, z).ravel(), phi(points)) < 1e-8


def test_points_spread_over_a_large_crystal():
    phi = LatticePotential(NACL, (300, 300, 300), tol=1e-8, weights="smooth")
    rng = np.random.default_rng(6)
    cells = rng.integers(120, 180, size=(12, 3))
    points = cells * 2.0
    np.testing.assert_allclose(phi(points), -MADELUNG["NaCl"][2], atol=1e-8)


def test_the_number_of_terms_does_not_grow_with_the_size():
    axes = (np.array([1.0, 2.0]),) * 3
    small, large = (LatticePotential(NACL, (n,) * 3, tol=1e-8) for n in (10, 1000))
    terms = [phi.long_range_terms(*axes).cp_rank for phi in (small, large)]
    gaussians = [len(phi.split.gaussians.exponents) for phi in (small, large)]
    assert terms == [k * (4 + 3 * 8) for k in gaussians]
    assert gaussians[1] - gaussians[0] <= 1 + math.log(100) * 2 * math.log(4.81e9 / PART_SHARE) / math.pi**2


def test_differences_keep_their_digits():
    # A broad Gaussian at the middle of many sites: the exact difference of two sublattices from mpmath.
    import mpmath

    n, t, offset, x = 4001, 1e-3, 0.5, 2000.25
    axis = AxisLattice.of(np.array([0.0, offset]), 1.0, n, "plain")
    _, differences = axis.sums(np.array([x]), np.array([t]))
    with mpmath.workdps(40):
        exact = mpmath.fsum(
            mpmath.exp(-((mpmath.mpf(t) * (x - i - offset)) ** 2)) - mpmath.exp(-((mpmath.mpf(t) * (x - i)) ** 2))
            for i in range(n)
        )
    assert abs(differences[1, 0, 0] - float(exact)) < 1e-15
    assert differences[0, 0, 0] == 0.0


def test_references_give_the_same_as_the_kernels():
    phi = LatticePotential(MIXED, (3, 4, 5), tol=1e-9)
    points = np.random.default_rng(0).random((30, 3)) * 9
    compiled = phi(points)
    with sci.options(kernels="reference"):
        np.testing.assert_allclose(phi(points), compiled, atol=1e-11)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"repeats": (2, 2)}, "expected three integers"),
        ({"repeats": (2, 0, 2)}, "expected three integers"),
        ({"repeats": (2, 1.5, 2)}, r"repeats\[1\] is 1\.5; expected an integer"),
        ({"weights": "sharp"}, "expected one of plain, evjen, smooth"),
        ({"tol": 0.0}, "tol is 0.0"),
        ({"domain": [(0, 1), (1, 0), (0, 1)]}, "expected finite numbers a < b"),
        ({"defects": [Vacancy(8, (0, 0, 0))]}, "no particle 8"),
        ({"defects": [Vacancy(0, (0, 0, 3))]}, "cells below"),
        ({"defects": [Vacancy(0, (0, 0, 0)), Substitution(0, (0, 0, 0), 1.0)]}, "at most one"),
        ({"defects": [Substitution(0, (0, 0, 0), math.inf)]}, "NaN or infinite"),
        ({"defects": [Interstitial((0.1, math.inf, 0.0), 1.0)]}, "NaN or infinite"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(InvalidValueError, match=message):
        LatticePotential(NACL, **({"repeats": (3, 3, 3)} | settings))


def test_cells_that_are_not_orthogonal_are_refused():
    tilted = Particles(CSCL.positions, CSCL.charges, cell=[[1, 0, 0], [0.2, 1, 0], [0, 0, 1]])
    with pytest.raises(InvalidValueError, match="orthogonal supercell"):
        LatticePotential(tilted, (2, 2, 2))
    with pytest.raises(InvalidValueError, match="no cell"):
        LatticePotential(Particles(CSCL.positions, CSCL.charges), (2, 2, 2))


def test_field_anywhere_is_that_of_all_ions():
    """In the region, in the crystal outside of it, beside the crystal, and so far off that no ion is within reach."""
    phi = LatticePotential(MIXED, (4, 3, 4), tol=1e-9, domain=[(0, 3), (4, 8), (3.5, 7)])
    ions = Particles(*brute_force(MIXED, (4, 3, 4)))
    points = np.array(
        [[1, 5, 4], [2.5, 7, 6], [8, 1, 2], [8.1, 1.2, 2.2], [-1.5, 13, 1], [-2, -9, 20], [6, 6, 6]], float
    )
    exact = -direct_sum(ions, points, gradient=True)[1]
    assert np.abs(phi.field(points) - exact).max() < 1e-7 * np.abs(exact).max()
    assert phi.field(points[:0]).shape == (0, 3)


def test_ions_at_one_place_are_refused():
    with pytest.raises(InvalidValueError, match=r"both at \(2.0, 2.0, 2.0\)"):
        LatticePotential(NACL, (3, 3, 3), defects=[Interstitial((2.0, 2.0, 2.0), 1.0)])
    on_both_faces = Particles([[0.0, 1.0, 1.0], [2.0, 1.0, 1.0]], [1.0, 1.0], cell=2 * np.eye(3))
    with pytest.raises(InvalidValueError, match="both at"):
        LatticePotential(on_both_faces, (2, 1, 1))


def test_points_beyond_the_reach_are_refused_and_within_it_right():
    phi = LatticePotential(CSCL, (3, 3, 3), tol=1e-9, reach=300.0)
    far = np.array([[301.0, -290.0, 1.0]])
    positions, charges = brute_force(CSCL, (3, 3, 3))
    # Of the size of the error stand the potentials of single charges, which cancel here.
    assert abs(phi(far)[0] - direct_sum(Particles(positions, charges), far)[0]) < 1e-9 * len(charges) / 400
    with pytest.raises(InvalidValueError, match="pass reach="):
        LatticePotential(CSCL, (3, 3, 3))(far)


@pytest.mark.parametrize(("repeats", "domain"), [((10, 10, 10), None), ((16, 16, 3), None), ((8, 8, 8), [(6, 18)] * 3)])
@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_fields_of_equal_charges_meet_the_tolerance(repeats, domain, tol):
    """Their potential is many times that of one ion; the field was off by up to 16 tol."""
    cell = Particles([[0.0, 0.0, 0.0]], [1.0], cell=3.0 * np.eye(3))
    phi = LatticePotential(cell, repeats, tol, domain=domain)
    positions, charges = phi.sites_in([(-1.0, 60.0)] * 3)
    points = np.random.default_rng(0).random((300, 3)) * (3.0 * np.array(repeats) - 3.0)
    value, slope = direct_sum(Particles(positions, charges), points, gradient=True)
    assert relative(phi(points), value) < tol
    assert relative(phi.field(points), -slope) < tol
    assert f"{len(charges)} ions" in repr(phi)
