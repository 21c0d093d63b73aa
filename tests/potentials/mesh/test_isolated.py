"""Isolated charges on a mesh: the same promises as in a cell, without images."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
from systems import relative
from thread_ranks import on_ranks

from sci.errors import InvalidValueError
from sci.potentials import (
    Coulomb,
    Exclusions,
    ParticleMesh,
    Particles,
    RangeSeparatedPotential,
    compute_frame,
    direct_sum,
    energy_and_forces,
    plan_frames,
)
from sci.potentials.direct import direct_sum_packed, pack
from sci.potentials.forcefield.corrections import apply_exclusions
from sci.potentials.mesh.isolated import isolated_grid, isolated_influence, isolated_values
from sci.potentials.mesh.prolate import ProlateSplit

EDGES = np.array([14.0, 9.0, 22.0])


def drop(n, seed=0, charge=0.0, edges=EDGES):
    """Return random charges in a box far from the origin."""
    rng = np.random.default_rng(seed)
    charges = rng.normal(size=n)
    return Particles(rng.random((n, 3)) * edges + 70.0, charges + (charge - charges.sum()) / n)


def exact(particles):
    """Return energy, potentials and forces by sums over all pairs, less what exclusions leave out."""
    packed = pack(particles)

    def apart(points, gradient, distance):
        return direct_sum_packed(points, packed, Coulomb(), gradient, distance)

    found = apply_exclusions(apart(particles.positions, True, 1e-8), particles, Coulomb(), apart)
    return 0.5 * particles.charges @ found[:, 0], found[:, 0], -particles.charges[:, None] * found[:, 1:]


@pytest.mark.parametrize("charge", [0.0, 300.0])
@pytest.mark.parametrize("tol", [1e-2, 1e-4, 1e-6, 1e-8])
def test_against_all_pairs(charge, tol):
    particles = drop(400, charge=charge)
    mesh = ParticleMesh(particles, tol)
    energy, potentials, forces = exact(particles)
    assert relative(mesh.forces(), forces) < tol
    assert 0.2 * mesh.predicted_error < relative(mesh.forces(), forces) < 2 * mesh.predicted_error
    absolute = Particles(particles.positions, np.abs(particles.charges))
    sizes = absolute.charges @ direct_sum(absolute, absolute.positions)
    assert abs(mesh.energy() - energy) < tol * sizes
    assert relative(mesh.potentials(), potentials) < 10 * tol
    found = mesh.measured_error("forces")
    assert found.relative == pytest.approx(relative(mesh.forces(), forces), rel=1e-6)
    assert found.places == 400
    said = mesh.measured_error("energy").relative * sizes
    assert said == pytest.approx(2 * abs(mesh.energy() - energy), rel=1e-3, abs=1e-14 * sizes)
    assert float(np.trace(mesh.virial())) == pytest.approx(energy, rel=20 * tol)


def test_the_smallest_tolerance():
    particles = drop(60, edges=np.array([6.0, 7.0, 5.0]))
    assert relative(ParticleMesh(particles, 1e-10).forces(), exact(particles)[2]) < 1e-10


@pytest.mark.parametrize(
    "places",
    [
        [[0.3, 0.4, 0.5]],
        [[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]],
        [[0.0, 0.0, 0.0], [1.0, 1.0, 0.0], [3.0, 0.0, 0.0], [0.0, 5.0, 0.0]],
        [[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [300.0, 1.0, 0.0], [301.0, 1.0, 0.3]],
    ],
    ids=["one", "line", "plane", "far"],
)
@pytest.mark.parametrize("unit", [1.0, 1e-4, 1e7])
def test_few_charges(places, unit):
    particles = Particles(unit * np.array(places), np.array([1.0, -2.0, 0.5, 0.7])[: len(places)])
    mesh = ParticleMesh(particles, 1e-4)
    energy, _, forces = exact(particles)
    assert mesh.energy() == pytest.approx(energy, abs=1e-3 / unit if len(places) > 1 else 1e-3)
    assert np.abs(mesh.forces() - forces).max() < 1e-4 * max(
        np.abs(forces).max(), 1 / unit**2 if len(places) > 1 else 1.0
    )


def test_float32_is_not_taken_where_all_charges_push_apart():
    particles = Particles(drop(2000).positions, np.full(2000, 1.0))
    mesh = ParticleMesh(particles, 3e-5)
    assert mesh.plan.dtype == "float64"
    assert ParticleMesh(drop(2000), 1e-4).plan.dtype == "float32"
    assert relative(mesh.forces(), exact(particles)[2]) < 3e-5


def test_charges_of_zero_have_no_energy():
    mesh = ParticleMesh(Particles(np.eye(3), np.zeros(3)), 1e-4)
    assert mesh.energy() == 0.0
    assert not mesh.forces().any()
    assert not mesh.virial().any()


@pytest.mark.parametrize("shift", [0.6, 0.01], ids=["bonds", "shells"])
def test_exclusions_are_left_out(shift):
    cores = drop(80, seed=3)
    places = np.concatenate([cores.positions, cores.positions + shift / 3**0.5])
    charges = np.concatenate([cores.charges, 0.5 - cores.charges])
    exclusions = Exclusions(
        np.stack([np.arange(80), np.arange(80) + 80], axis=1), 160, np.repeat([0.0, 0.5], 40) * (shift > 0.1)
    )
    particles = Particles(places, charges, exclusions=exclusions)
    energy, potentials, forces = exact(particles)
    mesh = ParticleMesh(particles, 1e-6)
    assert relative(mesh.forces(), forces) < 1e-6
    assert mesh.energy() == pytest.approx(energy, rel=1e-5)
    np.testing.assert_allclose(mesh.potentials(), potentials, atol=1e-4)
    assert mesh.measured_error("forces").relative == pytest.approx(relative(mesh.forces(), forces), rel=1e-3)


def test_ranks_share_pairs_and_grid():
    particles = drop(300)
    alone = ParticleMesh(particles, 1e-6)
    for found in on_ranks(3, lambda comm: ParticleMesh(particles, 1e-6, comm=comm)):
        assert relative(found.forces(), alone.forces()) < 1e-11
        assert found.energy() == pytest.approx(alone.energy(), rel=1e-11)
        np.testing.assert_allclose(found.virial(), alone.virial(), atol=1e-9)


def test_frames_that_differ_little_have_one_plan():
    rng, particles = np.random.default_rng(1), drop(500)
    steps = 0.01 * rng.normal(size=(6, 500, 3))
    frames = [Particles(particles.positions + step, particles.charges) for step in steps]
    assert len({id(ParticleMesh(frame, 1e-4).plan) for frame in frames}) <= 3


def test_many_isolated_charges_take_the_mesh():
    particles = drop(6000, edges=np.full(3, 39.0))
    forces = exact(particles)[2]
    for accuracy in ("potential", "forces"):
        plan = plan_frames(particles, 1e-5, accuracy=accuracy)
        assert (plan.method, plan.periodic) == ("mesh", False)
        found = compute_frame(particles, plan)
        assert found.errors[1, 0] < 1e-5
        assert relative(found.forces, forces) < 1e-5
    assert relative(energy_and_forces(particles, tol=1e-5)[1], forces) < 1e-5
    assert plan_frames(drop(50), 1e-5).method == "direct"
    assert plan_frames(particles, 1e-5, method="format").method == "format"
    assert isinstance(RangeSeparatedPotential(drop(50), 1e-3), RangeSeparatedPotential)


def test_an_isolated_system_has_no_stress():
    with pytest.raises(InvalidValueError, match="no cell, and so no stress"):
        ParticleMesh(drop(20), 1e-3).stress()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_values_are_the_convolution_with_b(dtype):
    """Of one charge that is spread, and divided by its window twice, B is left."""
    split, order = ProlateSplit(10.0, 5.0), 6
    grid, edges = isolated_grid(split, np.array([8.0, 5.0, 11.0]), 1.2, order)
    assert all(scipy.fft.next_fast_len(2 * n, real=True) == 2 * n for n in grid)
    influence = isolated_influence(split, tuple(edges.tolist()), grid, order, np.dtype(dtype).name)
    charges = np.zeros(grid, dtype=dtype)
    charges[3, 1, 2] = 1.0
    found = isolated_values(charges, influence)
    assert found.dtype == dtype
    doubled = np.zeros([2 * n for n in grid])
    doubled[3, 1, 2] = 1.0
    both = [np.minimum(np.arange(2 * n), 2 * n - np.arange(2 * n)) for n in grid]
    whole = influence.transpose(1, 2, 0)[np.ix_(*both)]
    plain = np.fft.ifftn(np.fft.fftn(doubled) * whole).real[tuple(slice(n) for n in grid)]
    np.testing.assert_allclose(found, plain, atol=(1e-6 if dtype is np.float32 else 1e-13) * np.abs(plain).max())
