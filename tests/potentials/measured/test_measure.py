"""Measured errors hold: within a factor 3 of the truth, on systems of every kind; what is missed is said once."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from periodic_cells import ORTHOGONAL, TRICLINIC
from scipy.spatial import cKDTree
from systems import cloud, relative

from sci.datasets import dataset_path
from sci.errors import InvalidValueError, ToleranceWarning
from sci.io import read_structure
from sci.potentials import LatticePotential, Particles, PeriodicPotential, RangeSeparatedPotential, Vacancy, direct_sum
from sci.potentials.measured.measure import field_floor, measure
from sci.potentials.range_separated import potential


def _unit(rng: np.random.Generator, n: int) -> np.ndarray:
    steps = rng.normal(size=(n, 3))
    return steps / np.linalg.norm(steps, axis=1, keepdims=True)


def sparse_ions() -> Particles:
    return Particles(np.random.default_rng(1).random((20, 3)) * 1000, np.where(np.arange(20) % 2, 1.0, -1.0))


def pairs(distance: float, count: int, box: float) -> Particles:
    rng = np.random.default_rng(2)
    cores = rng.random((count, 3)) * box
    shells = cores + distance * _unit(rng, count)
    return Particles(np.concatenate([cores, shells]), np.repeat([1.716, -1.716], count))


def dipoles() -> Particles:
    return pairs(1.0, 300, 40.0)


def drude_pairs() -> Particles:
    return pairs(0.05, 1000, 28.0)


def close_drude_pairs() -> Particles:
    """Parts that the cutoff leaves out made errors of 5 tol here, at places that few samples met."""
    return pairs(0.005, 1000, 28.0)


def very_close_drude_pairs() -> Particles:
    return pairs(0.0005, 200, 16.0)


def protein() -> Particles:
    return read_structure(dataset_path("ubiquitin"))


def rock_salt() -> Particles:
    sites = np.stack(np.meshgrid(*[np.arange(8)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    return Particles(2.82 * sites, (-1.0) ** sites.sum(axis=1))


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


SYSTEMS = {
    f.__name__: f
    for f in (
        *(protein, rock_salt, sparse_ions, shell, clusters, colloid),
        *(dipoles, drude_pairs, close_drude_pairs, very_close_drude_pairs),
    )
}
PLACES = 8000


def truth(phi: RangeSeparatedPotential) -> dict[str, dict[str, float]]:
    """Return the relative errors of potential and field by group, at 8000 places each or at all particles."""
    particles, rng = phi.particles, np.random.default_rng(77)
    chosen = rng.integers(particles.n, size=PLACES)
    neighbor = cKDTree(particles.positions).query(particles.positions, k=2)[0][chosen, 1]
    low, high = np.array(phi.domain).T
    near = particles.positions[chosen] + _unit(rng, PLACES) * (neighbor * rng.uniform(0.25, 1.0, PLACES))[:, None]
    far, faces = low + (high - low) * rng.random((2, PLACES, 3))
    axes = rng.integers(3, size=PLACES)
    faces[np.arange(PLACES), axes] = np.where(rng.random(PLACES) < 0.5, low[axes], high[axes])
    groups = {"near": np.clip(near, low, high), "far": far, "faces": faces, "particles": particles.positions}
    errors: dict[str, dict[str, float]] = {"potential": {}, "field": {}}
    for name, points in groups.items():
        value, slope = direct_sum(particles, points, kernel=phi.kernel, gradient=True)
        errors["potential"][name] = relative(phi(points), value)
        errors["field"][name] = relative(phi.field(points), -slope)
    return errors


@pytest.mark.parametrize("system", SYSTEMS)
def test_the_potential_meets_its_tolerance_and_says_its_error(system):
    tol = 1e-4
    with warnings.catch_warnings():
        warnings.simplefilter("error", ToleranceWarning)
        phi = RangeSeparatedPotential(SYSTEMS[system](), tol)
    found, true = phi.measured_error("potential"), truth(phi)["potential"]
    assert max(true.values()) < tol
    assert max(true.values()) / 1.5 < phi.error_estimate == found.relative < 1.5 * max(true.values())
    # Between close pairs the potential of a volume has no mean square that a sample could find.
    for group in ("near", "faces", "particles", *(() if "drude" in system else ("far",))):
        assert true[group] / 3 < found.groups[group][0] < 3 * true[group], group
    assert found.worst >= found.relative
    assert set(found.groups) == {"near", "between", "far", "faces", "particles"}


@pytest.mark.parametrize("system", SYSTEMS)
def test_errors_of_fields_forces_and_energy_are_near_the_truth(system):
    phi = RangeSeparatedPotential(SYSTEMS[system](), 1e-4)
    particles, true, found = phi.particles, truth(phi)["field"], phi.measured_error("field")
    assert max(true.values()) / 3 < found.relative < 3 * max(true.values())
    # On the faces of a box of 1000 angstrom around 20 ions, the mean square is that of the few places beside an ion.
    for group in ("particles", *(() if system == "sparse_ions" else ("faces",))):
        assert true[group] / 3 < found.groups[group][0] < 3 * true[group], group
    value, slope = direct_sum(particles, particles.positions, gradient=True)
    q = particles.charges
    error = relative(phi.forces(), -q[:, None] * slope)
    assert error / 1.1 < phi.measured_error("forces").relative < 1.1 * error
    absolute = direct_sum(Particles(particles.positions, np.abs(q)), particles.positions)
    energy = abs(phi.energy() - 0.5 * float(q @ value)) / (0.5 * float(np.abs(q) @ absolute))
    assert energy / 3 < phi.measured_error("energy").relative + 1e-15 < 3 * energy + 2e-15


@pytest.mark.parametrize("system", ["protein", "sparse_ions", "colloid", "shell", "clusters", "close_drude_pairs"])
def test_forces_and_fields_meet_the_tolerance_where_it_is_theirs(system):
    tol = 1e-4
    with warnings.catch_warnings():
        warnings.simplefilter("error", ToleranceWarning)
        phi = RangeSeparatedPotential(SYSTEMS[system](), tol, accuracy="forces")
        assert phi.measured_error("forces").relative < tol
        assert phi.measured_error("field").relative < tol
    assert max(truth(phi)["field"].values()) < tol


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


def test_a_sample_of_particles_stands_for_all():
    """The errors of the two ends of a pair cancel in the energy; drawn one by one they would not."""
    phi = RangeSeparatedPotential(pairs(0.05, 3000, 40.0), 1e-4)
    all_of_them, some = (measure(phi, "energy", pairs=n).relative for n in (1 << 26, 1 << 22))
    assert measure(phi, "energy", pairs=1 << 22).places < 4000
    assert all_of_them / 3 < some < 30 * all_of_them


def test_a_missed_tolerance_is_said_once():
    built = RangeSeparatedPotential(cloud(50), 1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        built.measured_error("potential")
        built.measured_error("forces")  # not promised, and not below 1e-3 everywhere
    missed = RangeSeparatedPotential.from_parts(built.particles, built.long_range, built.split, 1e-9)
    with pytest.warns(
        ToleranceWarning, match=r"the measured error .*e-0\d of the potential is above the tolerance 1e-09; "
    ):
        missed.measured_error("potential")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        missed.measured_error("energy")


def test_a_build_that_misses_its_tolerance_says_so(monkeypatch):
    monkeypatch.setattr(potential, "BUILDS", 1)  # charges near cancellation are built several times
    with pytest.warns(ToleranceWarning, match="charges that nearly cancel"):
        RangeSeparatedPotential(colloid(), 1e-4)


@pytest.mark.parametrize("cell", [ORTHOGONAL, TRICLINIC], ids=["orthogonal", "triclinic"])
@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_periodic_cells_say_their_errors(cell, tol):
    rng = np.random.default_rng(0)
    particles = Particles(rng.random((80, 3)) @ cell, rng.normal(size=80), cell=cell)
    phi, fine = PeriodicPotential(particles, tol), PeriodicPotential(particles, 1e-12, alpha=0.9)
    places = rng.random((5000, 3)) @ cell
    for quantity, evaluate in (("potential", lambda p: p(places)), ("field", lambda p: p.field(places))):
        found, true = phi.measured_error(quantity), relative(evaluate(phi), evaluate(fine))
        assert true / 3 < found.groups["far"][0] < 3 * true
        assert found.relative < tol
        assert set(found.groups) == {"near", "between", "far", "particles"}
    true = relative(phi.forces(), fine.forces())
    assert true / 1.1 < phi.measured_error("forces").relative < min(1.1 * true, tol)
    q = particles.charges
    energy = abs(phi.energy() - fine.energy()) / (0.5 * np.abs(q * fine(particles.positions)).sum())
    assert phi.measured_error("energy").relative == pytest.approx(energy, rel=0.1)


def test_forces_that_vanish_by_symmetry_have_a_small_error():
    sites = np.array([[0.0, 0, 0], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5]])
    salt = Particles(
        np.concatenate([sites, sites + np.array([0.5, 0, 0])]) * 5.64, np.repeat([1.0, -1.0], 4), cell=5.64 * np.eye(3)
    )
    for tol in (1e-4, 1e-10):
        assert PeriodicPotential(salt, tol).measured_error("forces").relative < tol
    assert field_floor(np.array([3.0, -3.0, 1e6]), 2.0) == pytest.approx(1e-2 * 3 / 4)
    assert field_floor(np.array([3.0, -3.0, 1e6]), 2.0, forces=True) == pytest.approx(1e-2 * 9e-6 / 4)


CSCL = Particles([[0.0, 0.0, 0.0], [2.0, 2.1, 1.9]], [1.0, -1.0], cell=4.0 * np.eye(3))


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_lattices_say_their_errors(tol):
    phi = LatticePotential(CSCL, (8, 9, 10), tol, defects=[Vacancy(0, (4, 4, 4))])
    ions = Particles(*phi.sites_in([(-3.0, 50.0)] * 3))
    low, high = np.array(phi.domain).T
    far = low + (high - low) * np.random.default_rng(3).random((8000, 3))
    value, slope = direct_sum(ions, far, gradient=True)
    sites = phi.sites_in(phi.domain)[0]
    for quantity, true in (("potential", relative(phi(far), value)), ("field", relative(phi.field(far), -slope))):
        found = phi.measured_error(quantity)
        assert true / 4 < found.groups["far"][0] < 4 * true
        assert set(found.groups) == {"near", "between", "far", "faces", "particles"}
        assert found.relative < tol
    own = relative(phi(sites), direct_sum(ions, sites))
    assert own / 1.5 < phi.measured_error().groups["particles"][0] < 1.5 * own
    with pytest.raises(InvalidValueError, match="quantity is 'forces'; expected one of potential, field"):
        phi.measured_error("forces")


def test_large_lattices_are_measured_with_another_split():
    """A crystal with more ions than are summed: the other split agrees with the sum over all ions of a part of them."""
    phi = LatticePotential(CSCL, (70, 70, 70), 1e-6)
    points = phi.scene().uniform(np.random.default_rng(0), 5)
    assert phi.n_sites > 1 << 19
    np.testing.assert_allclose(phi.exact(points, True), phi._other.evaluate(points, True))
    np.testing.assert_allclose(
        phi.exact(points, False)[:, 0], direct_sum(Particles(*phi.sites_in([(-3.0, 300.0)] * 3)), points), rtol=1e-9
    )
    assert phi.measured_error("potential").relative < 1e-6


def test_a_lattice_that_misses_its_tolerance_warns():
    """The field in a large crystal of one sign is small beside the potential: 50 tol."""
    ions = Particles(np.random.default_rng(0).random((3, 3)) * 4, [1.0, 1.0, 1.0], cell=4.5 * np.eye(3))
    with pytest.warns(
        ToleranceWarning, match="of the field is above the tolerance 0.0001; build it with a smaller tol"
    ):
        LatticePotential(ions, (80, 80, 80), 1e-4).measured_error("field")
