"""The plan of a trajectory: what does not fit it, and where the format is faster."""

from __future__ import annotations

import numpy as np
import pytest
from trajectory_cases import CHARGES, POSITIONS

from sci.errors import InvalidValueError
from sci.potentials import Particles, Yukawa, energy_and_forces, plan_frames


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
