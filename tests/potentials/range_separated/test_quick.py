"""The check while building: what the tolerance holds for, the energy where single charges decide it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from systems import cloud

from sci.potentials import MeasuredError, RangeSeparatedPotential
from sci.potentials.range_separated.quick import quick_errors, share


def test_quantities_that_are_checked():
    particles = cloud(60)
    phi = RangeSeparatedPotential(particles, 1e-3)
    assert [e.quantity for e in quick_errors(phi, "potential")] == ["potential"]
    assert [e.quantity for e in quick_errors(phi, "forces")] == ["potential", "field", "forces"]
    uneven = dataclasses.replace(particles, charges=np.r_[1e4, particles.charges[1:]])
    found = quick_errors(RangeSeparatedPotential(uneven, 1e-3), "potential")
    assert [e.quantity for e in found] == ["potential", "energy"]


def test_the_energy_may_have_a_larger_error():
    assert share(MeasuredError("field", 3e-4, 1e-3)) == 3e-4
    assert share(MeasuredError("energy", 3e-4, 1e-3)) == pytest.approx(1e-4)
