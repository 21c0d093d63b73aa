"""Intervals of predictions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from sci.completion import Prediction
from sci.completion.functional.prediction import LEVELS
from sci.errors import InvalidValueError


def test_normal_residuals_give_normal_intervals() -> None:
    found = Prediction(np.array([2.0]), np.array([0.3]), np.array([0.4]), norm.ppf(0.5 + LEVELS / 2))
    low, high = found.interval(0.9)
    np.testing.assert_allclose([low[0], high[0]], [2 - 0.5 * 1.644854, 2 + 0.5 * 1.644854], rtol=1e-6)
    for level in (-0.1, 1.0, np.nan):
        with pytest.raises(InvalidValueError, match="level"):
            found.interval(level)
