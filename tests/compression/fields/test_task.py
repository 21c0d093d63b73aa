"""A field in units of its largest magnitude, and errors in its own."""

from __future__ import annotations

import numpy as np
import pytest
from smooth_fields import smooth_field

from sci.compression.fields.bounds import Measured
from sci.compression.fields.task import Task
from sci.errors import InvalidValueError

FIELD = smooth_field((5, 6), dtype=np.float64)


@pytest.mark.parametrize("unit", [1.0, 3e-200, 7e200])
@pytest.mark.parametrize("bound", ["l2", "maximum"])
def test_a_field_is_scaled_by_a_power_of_two(unit, bound):
    task = Task.of(FIELD * unit, 1e-3, bound, True, (0,))
    assert 0.5 <= np.abs(task.scaled).max() < 1
    np.testing.assert_array_equal(np.ldexp(task.scaled, task.exponent), FIELD * unit)
    expected = np.linalg.norm(task.scaled) if bound == "l2" else np.ptp(task.scaled)
    np.testing.assert_allclose(task.bound.limit, 1e-3 * expected)
    absolute = Task.of(FIELD * unit, 1e-3 * expected * 2.0**task.exponent, bound, False, ())
    np.testing.assert_allclose(absolute.bound.limit, task.bound.limit)
    assert task.work.dtype == (np.float64 if task.bound.accurate else np.float32)


def test_errors_are_told_in_the_units_of_the_field():
    task = Task.of(8 * FIELD, 1e-3, "l2", True, ())
    data = task.plain_header("constant").pack(b"\0" * 8)
    found = task.result(data, Measured(0.5, 0.25))
    assert (found.l2_error, found.maximum_error) == (0.5 * 2.0**task.exponent, 0.25 * 2.0**task.exponent)
    np.testing.assert_allclose([found.l2_norm, found.value_range], [np.linalg.norm(8 * FIELD), np.ptp(8 * FIELD)])


def test_what_a_decoder_makes_of_an_approximation_is_rounded_to_its_dtype():
    found = np.array([[1 / 3, 2.0**-30]])
    near = Task.of(FIELD.astype(np.float32), 1e-3, "l2", True, ())
    np.testing.assert_array_equal(near.decoded(found), found.astype(np.float32))
    tiny = Task.of((FIELD * 2.0**-130).astype(np.float32), 1e-3, "l2", True, ())  # where float32 has fewer digits
    np.testing.assert_array_equal(tiny.decoded(found)[0, 0] != np.float32(1 / 3), True)


def test_norms_beyond_the_largest_number_are_refused():
    with pytest.raises(InvalidValueError, match="exceeds float64"):
        Task.of(np.linspace(1.6e308, 1.7e308, 9), 1e-3, "l2", True, ())
