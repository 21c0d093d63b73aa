"""Relative and worst errors, of values, of energies, and in words."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ToleranceWarning
from sci.potentials import MeasuredError
from sci.potentials.measured.error import compare, energy_error, warn_above
from sci.potentials.measured.places import particle_sample


def test_numbers_and_text_of_a_measured_error():
    error = MeasuredError.of_groups("field", {"near": (1e-3, 5e-3), "far": (2e-4, 1e-2)}, 256)
    assert str(error) == "1.0e-03 relative (near 1.0e-03, far 2.0e-04), 1.0e-02 at worst, at 256 places"
    assert error.as_dict()["groups"]["far"] == {"relative": 2e-4, "worst": 1e-2}


def test_errors_are_relative_to_the_values():
    found, exact = np.array([[1.0, 0.0], [0.0, 2.1]]), np.array([[1.0, 0.0], [0.0, 2.0]])
    assert compare(found - exact, exact) == pytest.approx((0.1 / 5**0.5, 0.1 / 2.5**0.5))
    assert compare(1e200 * (found - exact), 1e200 * exact) == pytest.approx(compare(found - exact, exact))
    assert compare(exact * 0, exact) == (0.0, 0.0)
    assert compare(found * 0, exact * 0) == (0.0, 0.0)
    assert compare(found, exact * 0) == (np.inf, np.inf)
    assert compare(found * 1e-9, exact * 0, None, 1.0)[0] < 1e-8
    more = np.concatenate([exact, np.zeros((6, 2))])  # other places say how large the values are
    assert compare(found - exact, more)[0] == pytest.approx(2 * compare(found - exact, exact)[0])
    assert compare(found - exact, exact, np.array([1.0, 3.0]))[0] == pytest.approx(0.1 * (3 / 13) ** 0.5)


def test_energies_of_a_sample_stand_for_all():
    rng = np.random.default_rng(0)
    missed, sizes, positions = rng.normal(size=1000), np.ones(1000), rng.random((1000, 3))
    alone = np.zeros(1000, dtype=int)
    assert energy_error(missed, sizes, np.ones(1000), alone)[0] == pytest.approx(abs(missed.sum()) / 1000)
    chosen, weights, clusters = particle_sample(positions, rng.normal(size=1000), 200)
    assert energy_error(missed[chosen], sizes[chosen], weights, clusters)[0] < 0.3
    assert energy_error(missed, 0 * sizes, np.ones(1000), alone) == (0.0, 0.0)


def test_warnings_name_error_tolerance_and_fix():
    with pytest.warns(ToleranceWarning, match="error 2.0e-03 of the field is above the tolerance 0.001; pray"):
        warn_above(MeasuredError("field", 2e-3, 5e-3), 1e-3, "pray")
