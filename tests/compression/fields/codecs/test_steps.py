"""Steps without coding: the quantizer then misses by the error that was asked for."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression.fields.codecs.quantized import QuantizedArray
from sci.compression.fields.codecs.steps import missed_by, step_for


@pytest.mark.parametrize("error", [0.5, 0.1, 1e-2, 1e-3, 1e-5])
@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_the_quantizer_misses_by_the_error(error, power):
    c = np.random.default_rng(1).normal(size=3000) * (1.0 + np.arange(3000.0)) ** -power
    norm = float(np.linalg.norm(c))
    found = QuantizedArray.of(c, step_for(c, error * norm))
    missed = float(np.linalg.norm(found.values(c.dtype) - c)) / norm
    assert 0.8 * error < missed <= 1.0001 * error


def test_errors_beyond_the_norm_and_of_zeros_end():
    assert step_for(np.ones(5), 10.0) > 1.0
    assert step_for(np.zeros(5), 1.0) > 0.0
    assert step_for(np.array([3.0]), 1e-3) > 0.0
    assert step_for(np.zeros(0), 1.0) > 0.0


def test_steps_far_below_the_values_are_found():
    c = np.array([1e9, -2e9, 1.0, 0.5])
    step = step_for(c, 1e-4)
    found = QuantizedArray.of(c, step)
    assert found.q.dtype == np.int64
    assert missed_by(c, step, 0.4, 2e9) <= 1e-4
    missed = np.linalg.norm(found.values(c.dtype) - c)  # of the step that float32 holds
    np.testing.assert_allclose(missed, missed_by(c, found.step, 0.4, 2e9), rtol=1e-3)
