"""The plan of a trajectory: what does not fit it, and where the format is faster."""

from __future__ import annotations

import numpy as np
import pytest
from systems import relative
from trajectory_cases import CHARGES, POSITIONS

from sci.errors import InvalidValueError
from sci.potentials import Particles, Yukawa, direct_sum, energy_and_forces, plan_frames


def test_what_does_not_fit_the_plan():
    first = Particles(POSITIONS[0], CHARGES)
    plan = plan_frames(first)
    with pytest.raises(InvalidValueError, match="the frame has 3 particles; expected 20"):
        energy_and_forces(Particles(POSITIONS[0][:3], CHARGES[:3]), plan)
    with pytest.raises(InvalidValueError, match="the frame has a periodic cell, unlike the first"):
        energy_and_forces(Particles(POSITIONS[0], CHARGES, cell=np.eye(3) * 20), plan)
    with pytest.raises(InvalidValueError, match="no screening"):
        plan_frames(Particles(POSITIONS[0], CHARGES, cell=np.eye(3) * 20), kernel=Yukawa(0.1))
    with pytest.raises(InvalidValueError, match="tol is 0"):
        plan_frames(first, 0)
    with pytest.raises(InvalidValueError, match="expected 'auto'"):
        plan_frames(first, method="fast")


def test_the_format_is_planned_where_it_is_faster():
    rng = np.random.default_rng(0)
    assert plan_frames(Particles(rng.random((40_000, 3)) * 80, rng.normal(size=40_000)), 1e-4).method == "format"
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
