"""Measured errors hold: within a factor 3 of the truth, on systems of every kind."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree
from systems import cloud, relative

from sci.errors import InvalidValueError
from sci.potentials import MeasuredError, Particles, RangeSeparatedPotential, direct_sum
from sci.potentials.range_separated.measured import compare, energy_error, particle_sample, sample_points


def _unit(rng: np.random.Generator, n: int) -> np.ndarray:
    steps = rng.normal(size=(n, 3))
    return steps / np.linalg.norm(steps, axis=1, keepdims=True)


def sparse_ions() -> Particles:
    return Particles(np.random.default_rng(1).random((20, 3)) * 1000, np.where(np.arange(20) % 2, 1.0, -1.0))


def drude_pairs() -> Particles:
    rng = np.random.default_rng(2)
    cores = rng.random((1000, 3)) * 28
    shells = cores + 0.05 * _unit(rng, 1000)
    return Particles(np.concatenate([cores, shells]), np.repeat([1.716, -1.716], 1000))


def shell() -> Particles:
    rng = np.random.default_rng(3)
    return Particles(20 * _unit(rng, 500), rng.normal(size=500))


def clusters() -> Particles:
    rng = np.random.default_rng(4)
    ball = rng.random((100, 3)) * 8
    return Particles(np.concatenate([ball, ball[::-1] + np.array([200.0, 100.0, 60.0])]), rng.normal(size=200))


def colloid() -> Particles:
    rng = np.random.default_rng(5)
    ions = _unit(rng, 100) * rng.uniform(20, 40, (100, 1))
    return Particles(np.concatenate([np.zeros((1, 3)), ions]), np.r_[100.0, -np.ones(100)])


SYSTEMS = {f.__name__: f for f in (sparse_ions, drude_pairs, shell, clusters, colloid)}


def truth(phi: RangeSeparatedPotential, gradient: bool) -> dict[str, float]:
    """Return the relative errors near the particles and far from them, at 4000 places each."""
    particles, rng = phi.particles, np.random.default_rng(77)
    chosen = rng.integers(particles.n, size=4000)
    neighbor = cKDTree(particles.positions).query(particles.positions, k=2)[0][chosen, 1]
    low, high = np.array(phi.domain).T
    near = particles.positions[chosen] + _unit(rng, 4000) * (neighbor * rng.uniform(0.25, 1.0, 4000))[:, None]
    groups = {"near": np.clip(near, low, high), "far": low + (high - low) * rng.random((4000, 3))}
    errors = {}
    for name, points in groups.items():
        value, slope = direct_sum(particles, points, kernel=phi.kernel, gradient=True)
        errors[name] = relative(phi.field(points), -slope) if gradient else relative(phi(points), value)
    return errors


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_potential_meets_its_tolerance_and_says_its_error(system):
    tol = 1e-4
    phi = RangeSeparatedPotential(SYSTEMS[system](), tol)
    found, true = phi.measured_error("potential"), truth(phi, gradient=False)
    assert max(true.values()) < 1.3 * tol
    assert phi.error_estimate == found.relative
    assert true["far"] / 3 < found.groups["far"][0] < 3 * true["far"]
    assert true["near"] / 3 < found.groups["near"][0] < 3 * true["near"]
    assert found.worst >= found.relative
    assert found.places == 510


@pytest.mark.parametrize("system", SYSTEMS)
def test_forces_and_fields_meet_the_tolerance_where_it_is_theirs(system):
    tol = 1e-4
    phi = RangeSeparatedPotential(SYSTEMS[system](), tol, accuracy="forces")
    particles = phi.particles
    slope = direct_sum(particles, particles.positions, gradient=True)[1]
    forces = -particles.charges[:, None] * slope
    error, found = relative(phi.forces(), forces), phi.measured_error("forces")
    assert error < 1.3 * tol
    assert error / 3 < found.relative < 3 * error
    fields, true = phi.measured_error("field"), truth(phi, gradient=True)
    assert max(true.values()) < 1.3 * tol
    assert fields.groups["faces"][0] < 1.5 * tol
    assert true["far"] / 3 < max(pair[0] for pair in fields.groups.values())


@pytest.mark.parametrize("large", [1.0, 1e3, 1e6])
def test_energy_beside_one_large_charge(large):
    """With one charge of 1e6 the energy was wrong by 2,891 tol of the sum of the absolute pair terms."""
    particles = cloud(300)
    charges = particles.charges.copy()
    charges[0] = large
    particles = Particles(particles.positions, charges)
    phi = RangeSeparatedPotential(particles, 1e-5)
    exact = 0.5 * float((charges * direct_sum(particles, particles.positions)).sum())
    absolute = Particles(particles.positions, np.abs(charges))
    size = 0.5 * float((np.abs(charges) * direct_sum(absolute, particles.positions)).sum())
    found = phi.measured_error("energy")
    assert abs(phi.energy() - exact) < 10 * 1e-5 * size
    assert abs(found.relative - abs(phi.energy() - exact) / size) < 0.1 * found.relative + 1e-15


def test_unknown_quantities_and_settings_are_refused():
    phi = RangeSeparatedPotential(cloud(10), 1e-2)
    with pytest.raises(InvalidValueError, match="quantity is 'torque'"):
        phi.measured_error("torque")
    with pytest.raises(InvalidValueError, match="accuracy is 'fields'"):
        RangeSeparatedPotential(cloud(10), 1e-2, accuracy="fields")


def test_numbers_and_text_of_a_measured_error():
    error = MeasuredError("field", 1e-3, 5e-3, {"near": (1e-3, 5e-3), "far": (2e-4, 1e-3)}, 256)
    assert str(error) == "1.0e-03 relative (near 1.0e-03, far 2.0e-04), 5.0e-03 at worst, at 256 places"
    assert error.as_dict()["groups"]["far"] == {"relative": 2e-4, "worst": 1e-3}


def test_errors_are_relative_to_the_values():
    found, exact = np.array([[1.0, 0.0], [0.0, 2.1]]), np.array([[1.0, 0.0], [0.0, 2.0]])
    assert compare(found, exact) == pytest.approx((0.1 / 5**0.5, 0.1 / 2.5**0.5))
    assert compare(1e200 * found, 1e200 * exact) == pytest.approx(compare(found, exact))
    assert compare(exact, exact) == (0.0, 0.0)
    assert compare(found * 0, exact * 0) == (0.0, 0.0)
    assert compare(found, exact * 0) == (np.inf, np.inf)
    assert compare(found * 1e-9, exact * 0, None, 1.0)[0] < 1e-8


def test_energies_of_a_sample_stand_for_all():
    rng = np.random.default_rng(0)
    missed, sizes = rng.normal(size=1000), np.ones(1000)
    assert energy_error(missed, sizes, np.ones(1000), 1000)[0] == pytest.approx(abs(missed.sum()) / 1000)
    chosen, weights = particle_sample(rng.normal(size=1000), 200)
    assert weights.sum() == pytest.approx(1000)
    assert len(np.unique(chosen)) == 200
    total = energy_error(missed[chosen], sizes[chosen], weights, 1000)[0]
    assert total < 0.3


def test_places_lie_in_the_domain():
    samples = sample_points(cloud(20).positions, ((-1.0, 21.0), (-1.0, 15.0), (-1.0, 10.0)), 50, faces=True)
    assert [s.name for s in samples] == ["near", "between", "far", "faces"]
    for sample in samples:
        assert (sample.points >= -1.0).all()
        assert (sample.points <= [21.0, 15.0, 10.0]).all()
    assert sum(((samples[3].points == low).any(axis=1)).sum() for low in (-1.0,)) > 10
