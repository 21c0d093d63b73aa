"""Periodic cells: published constants, a plain Ewald sum, forces, any cell, any charge."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest
from crystals import MADELUNG, MIXED
from periodic_cells import ORTHOGONAL, TRICLINIC, ewald, filled
from scipy.special import erfc
from systems import relative

import sci
from sci.errors import InvalidValueError
from sci.potentials import LatticePotential, ParticleMesh, Particles, PeriodicPotential, ewald_sum
from sci.potentials.range_separated import bricks


@pytest.mark.parametrize("name", MADELUNG)
@pytest.mark.parametrize("alpha", [None, 1.3, 4.0])
def test_madelung_constants(name, alpha):
    cell, distance, accepted = MADELUNG[name]
    phi = PeriodicPotential(cell, 1e-11, alpha=alpha)
    np.testing.assert_allclose(-phi(cell.positions) * cell.charges * distance, accepted, atol=1e-10)
    assert abs(-2 * phi.energy() * distance / cell.n - accepted) < 1e-10


def test_one_charge_in_a_neutralising_background():
    # The Wigner lattice: published constant of the simple cubic one.
    one = Particles([[0.2, 0.7, 0.1]], [1.0], cell=np.eye(3))
    assert PeriodicPotential(one, 1e-11).energy() == pytest.approx(-2.8372974794806 / 2, abs=1e-10)


@pytest.mark.parametrize("cell", [ORTHOGONAL, TRICLINIC], ids=["orthogonal", "triclinic"])
@pytest.mark.parametrize("neutral", [True, False], ids=["neutral", "charged"])
@pytest.mark.parametrize("tol", [1e-4, 1e-8, 1e-11])
def test_against_a_plain_ewald_sum(cell, neutral, tol):
    particles = filled(cell, 60, neutral=neutral)
    points = np.concatenate([particles.positions[:20], np.random.default_rng(1).normal(size=(30, 3)) * 20])
    phi = PeriodicPotential(particles, tol)
    potential, field = ewald(particles, points, 0.55)
    assert relative(phi(points), potential) < tol
    assert relative(phi.field(points), field) < tol


def test_a_thousand_charges():
    particles = filled(np.diag([24.0, 21.0, 22.0]), 1000, seed=3)
    points = particles.positions[:40]
    phi = PeriodicPotential(particles, 1e-8)
    potential, field = ewald(particles, points, 0.6)
    assert relative(phi(points), potential) < 1e-8
    assert relative(phi.forces()[:40], particles.charges[:40, None] * field) < 1e-7


def test_nothing_depends_on_the_split():
    particles = filled(TRICLINIC, 50, neutral=False)
    points = np.random.default_rng(2).random((50, 3)) * 10
    reference = PeriodicPotential(particles, 1e-11)
    for alpha in (0.2, 0.4, 0.8):
        other = PeriodicPotential(particles, 1e-11, alpha=alpha)
        assert relative(other(points), reference(points)) < 1e-10
        assert other.energy() == pytest.approx(reference.energy(), rel=1e-9)


def test_periods_and_images_change_nothing():
    particles = filled(TRICLINIC, 40)
    points = np.random.default_rng(4).random((30, 3)) * 10
    phi = PeriodicPotential(particles, 1e-10)
    np.testing.assert_allclose(phi(points + TRICLINIC[0] - 2 * TRICLINIC[2]), phi(points), atol=1e-9)
    shifts = np.random.default_rng(5).integers(-3, 4, (40, 3))
    moved = dataclasses.replace(particles, positions=particles.positions + shifts @ TRICLINIC)
    np.testing.assert_allclose(PeriodicPotential(moved, 1e-10)(points), phi(points), atol=1e-9)
    # The same lattice in a cell of twice the size, and in one of other periods.
    double = Particles(
        np.concatenate([particles.positions, particles.positions + TRICLINIC[1]]),
        np.tile(particles.charges, 2),
        cell=TRICLINIC * [[1], [2], [1]],
    )
    assert PeriodicPotential(double, 1e-10).energy() == pytest.approx(2 * phi.energy(), rel=1e-9)
    sheared = dataclasses.replace(particles, cell=np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ TRICLINIC)
    np.testing.assert_allclose(PeriodicPotential(sheared, 1e-10)(points), phi(points), atol=1e-9)


def test_forces_are_minus_the_slope_of_the_energy():
    particles = filled(TRICLINIC, 30, neutral=False)
    forces = PeriodicPotential(particles, 1e-11).forces()
    assert np.abs(forces.sum(axis=0)).max() < 1e-7
    step = 1e-4
    for i, axis in ((0, 0), (7, 1), (20, 2)):
        energies = []
        for sign in (1, -1):
            moved = particles.positions.copy()
            moved[i, axis] += sign * step
            energies.append(PeriodicPotential(dataclasses.replace(particles, positions=moved), 1e-11).energy())
        assert (energies[1] - energies[0]) / (2 * step) == pytest.approx(forces[i, axis], rel=1e-5, abs=1e-6)


def test_the_potential_has_mean_zero():
    # The long range has no constant mode; with the background the whole potential has none either.
    particles = filled(ORTHOGONAL, 5, neutral=False)
    phi = PeriodicPotential(particles, 1e-8)
    long_range, gaussians = phi.long_range, phi.split.gaussians
    assert abs(long_range.integral()) < 1e-8
    # The mean of erfc(alpha r)/r over the cell is pi / (alpha^2 V).
    r, w = np.polynomial.legendre.leggauss(200)
    r, w = phi.split.cutoff * (r + 1) / 2, phi.split.cutoff * w / 2
    short = (w * 4 * math.pi * r**2 * (1 / r - gaussians.of_square(r**2))).sum() * particles.total_charge / phi.volume
    assert short + phi.background == pytest.approx(0.0, abs=1e-8)


def test_the_format_holds_the_long_range():
    particles = filled(TRICLINIC, 60)
    phi = PeriodicPotential(particles, 1e-8, alpha=0.5)
    points = np.random.default_rng(6).random((50, 3))
    other = PeriodicPotential(particles, 1e-8, alpha=0.3)
    # Only the short range is left: the pair sum of both splits differs by their long ranges.
    short = phi(points @ TRICLINIC) - phi.long_range(points)
    direct = np.zeros(50)
    for n in itertools.product(range(-3, 4), repeat=3):
        d = points[:, None] @ TRICLINIC - (particles.positions @ np.linalg.inv(TRICLINIC) % 1.0) @ TRICLINIC
        r = np.linalg.norm(d + n @ TRICLINIC, axis=2)
        direct += (erfc(0.5 * r) / r) @ particles.charges
    np.testing.assert_allclose(short, direct, atol=1e-7 * np.abs(direct).max())
    assert all(t <= d + 1 for t, d in zip(phi.long_range.tucker_ranks, phi.long_range.degree))
    assert max(other.long_range.tucker_ranks) < max(phi.long_range.tucker_ranks)


def test_smooth_weights_of_a_finite_crystal_give_the_periodic_potential():
    phi = PeriodicPotential(MIXED, 1e-11)
    finite = LatticePotential(MIXED, (60, 60, 60), tol=1e-12, weights="smooth")
    points = np.random.default_rng(7).random((20, 3)) @ MIXED.cell
    np.testing.assert_allclose(finite(points + 30 * np.diag(MIXED.cell)), phi(points), atol=1e-9)


def test_grid_equals_points():
    phi = PeriodicPotential(filled(TRICLINIC, 20), 1e-6)
    x, y, z = np.linspace(-3, 20, 5), np.array([1.0, 0.0]), np.linspace(0, 9, 3)
    points = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3)
    np.testing.assert_allclose(phi.on_grid(x, y, z).ravel(), phi(points))


def test_references_give_the_same_as_the_kernels():
    particles = filled(ORTHOGONAL, 30)
    points = np.random.default_rng(8).random((40, 3)) * 10
    compiled = PeriodicPotential(particles, 1e-6)
    with sci.options(kernels="reference"):
        plain = PeriodicPotential(particles, 1e-6)
        np.testing.assert_allclose(plain(points), compiled(points), atol=1e-10)
        np.testing.assert_allclose(plain.field(points), compiled.field(points), atol=1e-10)


def test_no_points_at_all():
    phi = PeriodicPotential(filled(ORTHOGONAL, 5), 1e-4)
    assert phi(np.empty((0, 3))).shape == (0,)
    assert phi.field(np.empty((0, 3))).shape == (0, 3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"tol": 0.0}, "tol is 0.0"), ({"tol": math.nan}, "tol is nan"), ({"alpha": -1.0}, "alpha is -1.0")],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(InvalidValueError, match=message):
        PeriodicPotential(filled(ORTHOGONAL, 5), **settings)


def test_particles_without_a_cell_and_shared_places_are_refused():
    with pytest.raises(InvalidValueError, match="no cell"):
        PeriodicPotential(Particles([[0.0, 0.0, 0.0]], [1.0]))
    with pytest.raises(InvalidValueError, match="images of particles 0 and 1"):
        PeriodicPotential(Particles([[0.0, 0.0, 0.0], [9.0, 0.0, 0.0]], [1.0, -1.0], cell=ORTHOGONAL))


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_a_lone_ion_meets_its_tolerance(tol):
    """The dropped tails of its images add up: their mean is part of the background, or the error is 1.4 tol."""
    ion = Particles([[0.0, 0.0, 0.0]], [1.0], cell=10.0 * np.eye(3))
    points = np.random.default_rng(0).random((500, 3)) * 10
    phi, exact = PeriodicPotential(ion, tol), PeriodicPotential(ion, 1e-12, alpha=0.3)
    assert np.linalg.norm(phi(points) - exact(points)) < 0.5 * tol * np.linalg.norm(exact(points))
    assert abs(2 * 10 * phi.energy() + 2.837297479480619) < tol


@pytest.mark.parametrize(
    "cell",
    [np.diag([10.0, 12.0, 9.0]), [[10.0, 0, 0], [3, 11, 0], [-2, 4, 9]], [[10.0, 1, 0], [3, 11, 0], [-2, 4, 9]]],
    ids=["orthogonal", "triclinic", "turned"],
)
def test_grids_are_those_of_points(cell, monkeypatch):
    rng, cell = np.random.default_rng(1), np.array(cell, dtype=float)
    phi = PeriodicPotential(Particles(rng.random((30, 3)) @ cell, rng.normal(size=30), cell=cell), 1e-8)
    x, y, z = np.linspace(-7, 25, 12), np.linspace(0, 13, 9)[::-1], rng.random(7) * 40
    x[3], y[2], z[1] = phi.particles.positions[0]  # a node on an ion
    points = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1)
    expected = phi(points.reshape(-1, 3)).reshape(points.shape[:3])
    with monkeypatch.context() as pairs:
        pairs.setattr(bricks, "LEAST_USED", 2.0)  # the very pairs of the points
        np.testing.assert_allclose(phi.on_grid(x, y, z), expected, atol=1e-11 * np.abs(expected).max())
    assert relative(phi.on_grid(x, y, z), expected) < 0.1 * phi.tol


def test_large_grids_are_split_for_themselves():
    rng = np.random.default_rng(2)
    phi = PeriodicPotential(Particles(rng.random((200, 3)) * 16, rng.normal(size=200), cell=16 * np.eye(3)), 1e-6)
    x = np.arange(40) * 0.4
    found = phi.on_grid(x, x, x)
    assert phi._for_grid(10**6).split.cutoff < phi.split.cutoff / 2
    expected = phi(np.stack(np.meshgrid(x, x, x[:4], indexing="ij"), axis=-1).reshape(-1, 3)).reshape(40, 40, 4)
    assert np.linalg.norm(found[:, :, :4] - expected) < 1e-6 * np.linalg.norm(expected)
    assert "200 charges" in repr(phi)


@pytest.mark.parametrize("call", ["energy", "forces", "energy_and_forces"])
def test_what_overflows_is_an_error(call: str) -> None:
    cell = Particles([[0.0, 0.0, 0.0], [1.5, 1.0, 1.2]], [1e200, -1e200], cell=3.0 * np.eye(3))
    with pytest.raises(InvalidValueError, match="overflow"):
        getattr(PeriodicPotential(cell, 1e-6), call)()


def _turned(cell: np.ndarray) -> np.ndarray:
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    return cell @ rotation


FCC = 10.0 * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])


@pytest.mark.parametrize("cell", [FCC, _turned(TRICLINIC), ORTHOGONAL[[1, 2, 0]]], ids=["fcc", "turned", "permuted"])
@pytest.mark.parametrize("counts", [(7, 8, 9), (40, 41, 42)])
def test_grids_of_cells_in_any_orientation(cell, counts):
    """Cells that had their grids evaluated point by point: 9 to 28 times the time of a molecule's."""
    particles = filled(cell, 300, neutral=False)
    phi = PeriodicPotential(particles, 1e-6)
    axes = [np.linspace(-3.0, 9.0, n) for n in counts]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)[::97]
    assert relative(phi.on_grid(*axes).ravel()[::97], phi(places)) < 1e-6


@pytest.mark.parametrize("k", [3, 40, 1000])
def test_cells_of_any_skew_are_those_of_their_lattice(k):
    base, rng = np.diag([6.0, 7.0, 5.0]), np.random.default_rng(0)
    y, q = rng.random((20, 3)) @ base, rng.normal(size=20)
    points, axes = 9 * rng.random((7, 3)), [np.linspace(0, 5, 3)] * 3
    cell = base.copy()
    cell[1] += k * base[0]
    flat = Particles(y, q, cell=cell)
    cell = cell + np.array([[0.0], [0.0], [1.0]]) * (k * base[1] - k * base[0])
    straight, skewed = (Particles(y, q, cell=c) for c in (base, cell))
    for slab, one, other in ((False, straight, skewed), (True, straight, flat)):
        phi, psi = (PeriodicPotential(p, 1e-8, slab=slab) for p in (one, other))
        assert psi.energy() == pytest.approx(phi.energy(), rel=1e-9)
        np.testing.assert_allclose(psi(points), phi(points), atol=1e-7)
        np.testing.assert_allclose(psi.on_grid(*axes), phi.on_grid(*axes), atol=1e-7)
        np.testing.assert_allclose(psi.virial(), phi.virial(), atol=1e-7)
    np.testing.assert_allclose(ewald_sum(skewed, points), ewald_sum(straight, points), atol=1e-9)
    mesh = ParticleMesh(skewed, 1e-6)
    assert mesh.energy() == pytest.approx(ParticleMesh(straight, 1e-6).energy(), rel=1e-5)
    np.testing.assert_allclose(mesh.stress(), ParticleMesh(straight, 1e-6).stress(), atol=1e-6)
