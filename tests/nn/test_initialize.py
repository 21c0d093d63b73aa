"""Initial values depend on the seed alone."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError
from sci.nn import count_parameters, initial_normal, initial_uniform


def test_initial_values_depend_on_the_seed_alone():
    a = initial_uniform(3, (64, 100), 100)
    assert a.dtype == np.float32
    assert np.abs(a).max() <= 0.1
    assert a.std() == pytest.approx(0.1 / math.sqrt(3), rel=0.02)
    np.testing.assert_array_equal(a, initial_uniform(3, (64, 100), 100, dtype="f8").astype("f4"))
    z = initial_normal(np.random.default_rng(5), (80, 90), 0.5, dtype="c8")
    assert z.dtype == np.complex64
    assert np.sqrt((np.abs(z) ** 2).mean()) == pytest.approx(0.5, rel=0.02)
    assert abs((z**2).mean()) < 0.01
    assert initial_normal(5, (7,), 2.0, dtype="f8").dtype == np.float64
    assert count_parameters({"a": a, "z": z}) == 6400 + 2 * 7200
    with pytest.raises(InvalidValueError, match="fan_in is 0"):
        initial_uniform(0, (2,), 0)
    with pytest.raises(DTypeError, match="initial_normal"):
        initial_uniform(0, (2,), 1, dtype="c8")
