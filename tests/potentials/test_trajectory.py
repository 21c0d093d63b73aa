"""The plan of a trajectory: what does not fit it, and where the format is faster."""

from __future__ import annotations

import numpy as np
import pytest
from systems import relative
from trajectory_cases import CHARGES, POSITIONS

from sci.errors import InvalidValueError
from sci.potentials import (
    Particles,
    PeriodicPotential,
    Trajectory,
    Yukawa,
    compute_frame,
    direct_sum,
    energy_and_forces,
    ewald_sum,
    plan_frames,
)


def test_what_does_not_fit_the_plan():
    first = Particles(POSITIONS[0], CHARGES)
    plan = plan_frames(first)
    with pytest.raises(InvalidValueError, match="the frame has 3 particles; expected 20"):
        energy_and_forces(Particles(POSITIONS[0][:3], CHARGES[:3]), plan)
    with pytest.raises(InvalidValueError, match="the frame has a periodic cell, unlike the first"):
        energy_and_forces(Particles(POSITIONS[0], CHARGES, cell=np.eye(3) * 20), plan)
    with pytest.raises(InvalidValueError, match="have a periodic cell"):
        plan_frames(Particles(POSITIONS[0], CHARGES, cell=np.eye(3) * 20), method="direct")
    with pytest.raises(InvalidValueError, match="tol is 0"):
        plan_frames(first, 0)
    with pytest.raises(InvalidValueError, match="expected 'auto'"):
        plan_frames(first, method="fast")


def test_the_fastest_method_is_planned():
    rng = np.random.default_rng(0)
    many = Particles(rng.random((40_000, 3)) * 80, rng.normal(size=40_000))
    assert plan_frames(many, 1e-4).method == "mesh"
    assert plan_frames(many, 1e-4, kernel=Yukawa(0.01)).method == "format"
    assert plan_frames(Particles(POSITIONS[0], CHARGES)).method == "direct"


@pytest.mark.parametrize("kernel", [None, Yukawa(0.2), Yukawa(20.0)], ids=str)
def test_forces_of_frames_meet_the_tolerance(kernel):
    rng, tol = np.random.default_rng(3), 1e-4
    frames = [Particles(rng.random((400, 3)) * 18, np.where(np.arange(400) % 2, 1.0, -1.0)) for _ in range(2)]
    plan = plan_frames(frames[0], tol, kernel=kernel, accuracy="forces", method="format")
    assert plan.build_tol < tol
    for frame in frames:
        energy, forces = energy_and_forces(frame, plan)
        value, slope = direct_sum(frame, frame.positions, kernel=kernel, gradient=True)
        assert relative(forces, -frame.charges[:, None] * slope) < tol
        assert energy == pytest.approx(0.5 * (frame.charges * value).sum(), rel=1e-3)


@pytest.mark.parametrize("method", ["format", "mesh", "periodic", "direct"])
def test_frames_say_their_errors(method):
    rng, tol = np.random.default_rng(3), 1e-4
    cell = 18 * np.eye(3) if method in ("mesh", "periodic") else None
    frame = Particles(rng.random((400, 3)) * 18, np.where(np.arange(400) % 2, 1.0, -1.0), cell=cell)
    asked = {"mesh": "auto", "periodic": "format"}.get(method, method)
    plan = plan_frames(frame, tol, accuracy="forces", method=asked)
    found = compute_frame(frame, plan)
    energy, forces = energy_and_forces(frame, plan)
    assert found.energy == energy
    np.testing.assert_array_equal(found.forces, forces)
    if method == "direct":
        assert (found.errors == 0.0).all()
        return
    if cell is not None:
        exact_energy, exact = PeriodicPotential(frame, 1e-11).energy_and_forces()
        value = np.abs(frame.charges * PeriodicPotential(frame, 1e-11)(frame.positions))
    else:
        values, slope = direct_sum(frame, frame.positions, gradient=True)
        exact_energy, exact = 0.5 * (frame.charges * values).sum(), -frame.charges[:, None] * slope
        value = np.abs(direct_sum(Particles(frame.positions, np.abs(frame.charges)), frame.positions))
    assert plan.method == method
    (said, _), (relative_force, worst_force) = found.errors
    assert relative(forces, exact) / 2 < relative_force < 2 * relative(forces, exact) < tol
    assert worst_force > relative_force
    assert abs(energy - exact_energy) / (0.5 * value.sum()) / 3 < said < 10 * tol
    assert repr(found).startswith("FrameResult(energy=")


def test_close_pairs_are_planned_with_a_continuous_cutoff():
    rng = np.random.default_rng(2)
    cores = rng.random((500, 3)) * 20
    drude = Particles(np.concatenate([cores, cores + 0.003]), np.repeat([1.7, -1.7], 500))
    plan = plan_frames(drude, 1e-4, method="format")
    assert plan.continuous
    assert not plan_frames(Particles(cores, np.ones(500)), 1e-4, method="format").continuous
    assert plan.promises == ("energy",)


def test_the_largest_errors_of_a_trajectory():
    errors = np.array([[[1e-9, 2e-9], [1e-5, 9e-5]], [[3e-9, 4e-9], [2e-5, 3e-5]]])
    run = Trajectory(np.array([4, 7]), np.zeros(2), np.zeros((2, 300, 3)), 5, errors)
    forces = run.measured_error("forces")
    assert (forces.relative, forces.worst, forces.places) == (2e-5, 9e-5, 512)
    assert forces.groups == {"frame 7": (2e-5, 3e-5)}
    assert run.measured_error("energy").relative == 3e-9
    with pytest.raises(InvalidValueError, match="quantity is 'potential'; expected 'energy' or 'forces'"):
        run.measured_error("potential")
    with pytest.raises(InvalidValueError, match="no measured errors"):
        Trajectory(run.frames, run.energies, run.forces, 5).measured_error("forces")


def test_screened_periodic_frames():
    particles = Particles(POSITIONS[0], CHARGES, cell=np.eye(3) * 20)
    plan = plan_frames(particles, 1e-8, kernel=Yukawa(0.4))
    assert (plan.method, plan.kappa) == ("periodic", 0.4)
    potential = ewald_sum(particles, particles.positions, kernel=Yukawa(0.4))
    assert compute_frame(particles, plan).energy == pytest.approx(0.5 * CHARGES @ potential, rel=1e-7)
