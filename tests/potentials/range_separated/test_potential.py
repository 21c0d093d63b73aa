"""The range-separated potential on small systems: accuracy, energy, forces, special targets, bad input."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from systems import cloud, relative, targets_in
from thread_ranks import ThreadComm, on_ranks

import sci
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.potentials import Coulomb, Exclusions, Particles, RangeSeparatedPotential, Yukawa, direct_sum

KERNELS = [Coulomb(), Yukawa(0.15)]


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
@pytest.mark.parametrize("tol", [1e-3, 1e-5, 1e-7, 1e-9])
def test_error_follows_the_tolerance(kernel, tol):
    particles = cloud(300)
    points = targets_in(particles, 1000)
    phi = RangeSeparatedPotential(particles, tol, kernel=kernel, expected_targets=1000)
    exact, gradient = direct_sum(particles, points, kernel=kernel, gradient=True)
    error = relative(phi(points), exact)
    assert error < tol
    assert error / 3 < phi.measured_error("potential").groups["far"][0] < 3 * error
    assert phi.error_estimate < tol
    assert relative(phi.field(points), -gradient) < 10 * tol


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.5])
def test_error_does_not_depend_on_the_split(alpha):
    particles = cloud(200)
    points = targets_in(particles, 500)
    phi = RangeSeparatedPotential(particles, 1e-6, alpha=alpha)
    assert relative(phi(points), direct_sum(particles, points)) < 1e-6


@pytest.mark.parametrize("kernel", KERNELS, ids=str)
def test_energy_and_forces(kernel):
    tol, particles = 1e-6, cloud(250)
    phi = RangeSeparatedPotential(particles, tol, kernel=kernel, accuracy="forces")
    charges = particles.charges
    potential, gradient = direct_sum(particles, particles.positions, kernel=kernel, gradient=True)
    unsigned = Particles(particles.positions, np.abs(charges))
    scale = 0.5 * (np.abs(charges) * direct_sum(unsigned, particles.positions, kernel=kernel)).sum()
    assert abs(phi.energy() - 0.5 * (charges * potential).sum()) < 10 * tol * scale
    forces = -charges[:, None] * gradient
    rms = np.sqrt((forces**2).mean())
    assert relative(phi.forces(), forces) < tol
    assert np.abs(phi.forces() - forces).max() < 20 * tol * rms
    assert np.abs(phi.forces().sum(axis=0)).max() < 100 * tol * rms * len(charges)


def test_few_targets_and_many_agree():
    particles = cloud(300)
    points = targets_in(particles, 40_000)
    phi = RangeSeparatedPotential(particles, 1e-8)
    parts = phi.particles, phi.long_range, phi.split, phi.tol
    fresh = RangeSeparatedPotential.from_parts(*parts, build_tol=phi.build_tol)
    few, fields = fresh(points[:50]), fresh.field(points[:50])
    assert "_expansion" not in vars(fresh)
    many = phi(points)
    assert "_expansion" in vars(phi)
    np.testing.assert_allclose(few, many[:50], atol=1e-8 * np.abs(many).max())
    np.testing.assert_allclose(fields, phi.field(points)[:50], atol=1e-7 * np.abs(fields).max())


def test_field_is_minus_the_gradient_of_the_potential():
    particles = cloud(100)
    points = targets_in(particles, 50, near=0.0)
    phi = RangeSeparatedPotential(particles, 1e-9)
    step, field = 1e-3, phi.field(points)
    for axis in range(3):
        shift = step * np.eye(3)[axis]
        slope = (phi(points + shift) - phi(points - shift)) / (2 * step)
        np.testing.assert_allclose(-field[:, axis], slope, rtol=1e-4, atol=1e-4)


def test_grid_equals_points():
    particles = cloud(150)
    phi = RangeSeparatedPotential(particles, 1e-7)
    x, y, z = np.linspace(-2, 19, 11), np.sort(np.random.default_rng(0).random(7)) * 14, np.linspace(1, 8, 5)
    points = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3)
    exact = direct_sum(particles, points).reshape(11, 7, 5)
    assert relative(phi.on_grid(x, y, z), exact) < 1e-7


def test_grid_reaches_out_of_the_box():
    particles = cloud(50)
    phi = RangeSeparatedPotential(particles, 1e-6, padding=1.0)
    x, y, z = np.linspace(-9, 30, 8), np.linspace(2, 9, 4), np.linspace(-6, 20, 9)
    points = np.stack(np.meshgrid(x, y, z, indexing="ij"), axis=-1).reshape(-1, 3)
    assert relative(phi.on_grid(x, y, z).ravel(), direct_sum(particles, points)) < 1e-6


def test_points_on_the_faces_belong_to_the_box(monkeypatch):
    phi = RangeSeparatedPotential(cloud(50), 1e-6)
    axes = [np.linspace(a, b, 5) for a, b in phi.domain]
    axes[2] = phi.domain[2][0] + (phi.domain[2][1] - phi.domain[2][0]) / 7 * np.arange(8) * (1 + 1e-16)
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    expected = relative(phi.on_grid(*axes).ravel(), direct_sum(cloud(50), points))
    assert 0 < expected < 1e-6

    def refuse(*_: object) -> None:
        raise AssertionError("a point of the box was summed directly")

    monkeypatch.setattr("sci.potentials.range_separated.potential.direct_sum_packed", refuse)
    phi.on_grid(*axes)
    phi(points)


def test_targets_outside_of_the_box_are_summed_directly():
    particles = cloud(80)
    phi = RangeSeparatedPotential(particles, 1e-4)
    points = np.array([[500.0, 0.0, 0.0], [5.0, 5.0, 5.0], [0.0, -90.0, 3.0]])
    exact, gradient = direct_sum(particles, points, gradient=True)
    np.testing.assert_allclose(phi(points)[[0, 2]], exact[[0, 2]], rtol=1e-12)
    np.testing.assert_allclose(phi.field(points)[[0, 2]], -gradient[[0, 2]], rtol=1e-12)
    assert relative(phi(points), exact) < 1e-4


def test_a_target_on_a_particle_gets_the_potential_of_the_others():
    particles = cloud(60)
    phi = RangeSeparatedPotential(particles, 1e-7)
    exact = direct_sum(particles, particles.positions)
    assert relative(phi(particles.positions), exact) < 1e-6


@pytest.mark.parametrize("charge", [1.0, 0.0])
def test_one_particle(charge):
    one = Particles([[3.0, -200.0, 1e3]], [charge])
    phi = RangeSeparatedPotential(one, 1e-6)
    point = np.array([[3.0, -200.0, 1002.0]])
    assert phi(point)[0] == pytest.approx(charge / 2, rel=1e-6)
    assert phi.energy() == pytest.approx(0.0, abs=5e-6)
    assert phi(np.empty((0, 3))).shape == (0,)
    assert phi.error_estimate < 1e-6


def test_flat_and_long_molecules():
    rng = np.random.default_rng(8)
    for scale in ((300.0, 0.0, 0.0), (40.0, 40.0, 0.0)):
        particles = Particles(rng.random((200, 3)) * scale, rng.normal(size=200))
        points = particles.positions + rng.normal(size=(200, 3))
        phi = RangeSeparatedPotential(particles, 1e-6)
        assert relative(phi(points), direct_sum(particles, points)) < 1e-6


def test_far_from_the_origin_nothing_is_lost():
    particles = cloud(100)
    shift = np.array([1e4, -2e4, 5e3])
    moved = Particles(particles.positions + shift, particles.charges)
    points = targets_in(particles, 200, near=0.0)
    there = RangeSeparatedPotential(moved, 1e-7)(points + shift)
    assert relative(there, direct_sum(particles, points)) < 1e-7


@settings(max_examples=15, deadline=None)
@given(
    n=st.integers(1, 40),
    seed=st.integers(0, 2**16),
    size=st.tuples(*[st.floats(0.1, 60.0)] * 3),
    tol=st.sampled_from([1e-3, 1e-5, 1e-7]),
)
def test_any_small_cloud(n, seed, size, tol):
    particles = cloud(n, size, seed)
    points = targets_in(particles, 64, seed)
    phi = RangeSeparatedPotential(particles, tol, expected_targets=100)
    exact = direct_sum(particles, points)
    # A cloud may cancel itself at the targets: compare with what the charges do without their signs.
    unsigned = direct_sum(Particles(particles.positions, np.abs(particles.charges)), points)
    assert np.linalg.norm(phi(points) - exact) < tol * np.linalg.norm(unsigned)


def test_the_format_is_small_and_orthogonal():
    phi = RangeSeparatedPotential(cloud(500), 1e-6, alpha=0.8)
    tucker = phi.long_range
    assert all(r <= d + 1 for r, d in zip(tucker.tucker_ranks, tucker.degree))
    assert tucker.core.size < 0.5 * np.prod([d + 1 for d in tucker.degree])
    for factor in tucker.factors:
        np.testing.assert_allclose(factor.T @ factor, np.eye(factor.shape[1]), atol=1e-12)


def test_ranks_hardly_grow_with_the_number_of_charges():
    few, many = (RangeSeparatedPotential(cloud(n), 1e-6, alpha=0.6).long_range.tucker_ranks for n in (200, 3200))
    assert max(np.array(many) - np.array(few)) <= 4


def test_more_targets_expected_means_a_larger_alpha():
    particles = cloud(2000)
    few, many = (RangeSeparatedPotential(particles, 1e-6, expected_targets=n).split.alpha for n in (10**3, 10**7))
    assert many > few


def test_references_give_the_same_as_the_kernels():
    particles = cloud(60)
    points = targets_in(particles, 300)
    phi = RangeSeparatedPotential(particles, 1e-6)
    axes = (np.linspace(1, 9, 9), np.linspace(0, 5, 3), np.linspace(2, 4, 2))
    compiled = (phi(points), phi.field(points), phi.on_grid(*axes))
    with sci.options(kernels="reference"):
        plain = RangeSeparatedPotential(particles, 1e-6)
        references = (plain(points), plain.field(points), plain.on_grid(*axes))
    for one, other in zip(compiled, references):
        np.testing.assert_allclose(one, other, atol=1e-11 * np.abs(one).max())


def test_reference_gradient_of_many_targets_equals_the_kernel():
    particles = cloud(60)
    points = targets_in(particles, 3000)
    phi = RangeSeparatedPotential(particles, 1e-5)
    phi(np.tile(points, (20, 1)))  # the re-expansion serves all later calls
    assert "_expansion" in vars(phi)
    compiled = phi.field(points)
    with sci.options(kernels="reference"):
        np.testing.assert_allclose(phi.field(points), compiled, atol=1e-11 * np.abs(compiled).max())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"tol": 0.0}, "tol is 0.0"),
        ({"tol": float("nan")}, "tol is nan"),
        ({"tol": 1.0}, "tol is 1.0"),
        ({"tol": 1e-6, "alpha": -1.0}, "alpha is -1.0"),
        ({"tol": 1e-6, "padding": 0.0}, "padding is 0.0"),
        ({"tol": 1e-6, "padding": 1e30}, r"padding is 1e\+30 angstrom; expected a positive number up to"),
        ({"tol": 1e-6, "alpha": 1e30}, r"alpha is 1e\+30 /angstrom; expected at most"),
        ({"tol": 1e-6, "expected_targets": 10**30}, "expected_targets is 10+; expected a number from 1 to"),
        ({"tol": 1e-6, "expected_targets": 0}, "expected_targets is 0"),
    ],
)
def test_bad_settings_are_named(settings, message):
    with pytest.raises(InvalidValueError, match=message):
        RangeSeparatedPotential(cloud(5), **settings)


def test_bad_targets_are_named():
    phi = RangeSeparatedPotential(cloud(5), 1e-3)
    with pytest.raises(InvalidValueError, match="points holds 1 values"):
        phi([[0.0, np.inf, 0.0]])
    with pytest.raises(ShapeError, match="points has shape"):
        phi.field(np.zeros(3))
    with pytest.raises(InvalidValueError, match="y does not ascend"):
        phi.on_grid([0.0, 1.0], [1.0, 1.0], [0.0, 1.0])


@pytest.mark.parametrize("kappa", [1e-4, 1.0, 3.0])
def test_weak_and_strong_screening(kappa):
    particles = cloud(200)
    points = targets_in(particles, 300)
    phi = RangeSeparatedPotential(particles, 1e-7, kernel=Yukawa(kappa))
    assert relative(phi(points), direct_sum(particles, points, kernel=Yukawa(kappa))) < 1e-7


def test_a_periodic_cell_is_refused():
    periodic = dataclasses.replace(cloud(5), cell=np.eye(3) * 30)
    with pytest.raises(InvalidValueError, match="periodic cell"):
        RangeSeparatedPotential(periodic, 1e-3)


@pytest.mark.parametrize(
    ("name", "values"), [("padding", (4.0, 4.05)), ("tol", (1e-3, 2e-3)), ("kernel", (None, Yukawa(0.1)))]
)
def test_an_argument_that_differs_between_ranks_is_named(name: str, values: tuple[object, object]) -> None:
    def body(comm: ThreadComm) -> None:
        arguments = {"tol": 1e-3, name: values[comm.rank]}
        with pytest.raises(InvalidValueError, match=f"{name} differs between ranks: .* on rank 0; .* on rank 1"):
            RangeSeparatedPotential(Particles([[float(comm.rank)] * 3], [1.0]), **arguments, comm=comm)

    on_ranks(2, body)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_plane_outside_the_box_is_summed_directly(axis: int) -> None:
    particles = Particles([[0.0, 0.0, 0.0], [3.0, 1.0, 2.0]], [1.0, -1.0])
    phi = RangeSeparatedPotential(particles, 1e-8)
    axes = [np.linspace(a, b, 4) for a, b in phi.domain]
    axes[axis] = np.array([phi.domain[axis][1] + 5.0])
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    found = phi.on_grid(*axes)
    np.testing.assert_allclose(found.ravel(), direct_sum(particles, points), rtol=1e-12)


def test_an_empty_axis_of_a_grid_is_refused() -> None:
    phi = RangeSeparatedPotential(Particles([[0.0, 0.0, 0.0]], [1.0]), 1e-4)
    with pytest.raises(InvalidValueError, match="is empty"):
        phi.on_grid(np.zeros(0), np.zeros(1), np.zeros(1))


def test_an_array_in_place_of_particles_is_named() -> None:
    with pytest.raises(
        DTypeError, match=r"particles is an array of shape \(3, 3\) and dtype float64; expected a Particles"
    ):
        RangeSeparatedPotential(np.zeros((3, 3)))


def test_pairs_across_ranks_are_left_out():
    rng, n = np.random.default_rng(0), 30
    positions, charges = 7 * rng.random((n, 3)), rng.normal(size=n)
    positions[20] = positions[3] + 0.1  # a shell, on another rank
    exclusions = Exclusions(np.array([[3, 20], [0, 29], [9, 10], [15, 25]]), n, np.array([0.0, 0.0, 0.5, 0.3]))
    whole = RangeSeparatedPotential(Particles(positions, charges, exclusions=exclusions), 1e-3)

    def shared(comm):
        rows = slice(0, 10), slice(10, 30), slice(30, 30)
        own = rows[comm.rank]
        mine = Particles(positions[own], charges[own]) if own.stop > own.start else None
        phi = RangeSeparatedPotential(mine, 1e-3, exclusions=exclusions, comm=comm)
        forces = phi.forces() if mine is not None else np.empty((0, 3))
        return phi.energy(), forces, phi.measured_error("forces").relative, phi.all_particles.exclusions

    found = on_ranks(3, shared)
    forces = np.concatenate([one[1] for one in found])
    np.testing.assert_allclose(forces, whole.forces(), atol=1e-9 * np.abs(forces).max())
    for energy, _, error, kept in found:
        assert energy == pytest.approx(whole.energy(), rel=1e-10)
        assert error == pytest.approx(whole.measured_error("forces").relative, rel=1e-3)
        assert len(kept.pairs) == 4
    both = Particles(positions, charges, exclusions=exclusions)
    with pytest.raises(InvalidValueError, match="one of the two"):
        RangeSeparatedPotential(both, 1e-3, exclusions=exclusions)
    with pytest.raises(InvalidValueError, match="all ranks' particles"):
        on_ranks(2, lambda comm: RangeSeparatedPotential(both if comm.rank else None, 1e-3, comm=comm))
