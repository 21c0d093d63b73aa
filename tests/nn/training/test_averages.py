"""Exponential averages against their sum, and the rules of the best epoch."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ConvergenceError, InvalidValueError
from sci.nn.training.averages import add_to_average, averaged, is_best, is_over, require_metric

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("decay", [0.5, 0.999])
@pytest.mark.parametrize("dtype", ["f4", "f8", "c16"])
def test_an_average_is_the_weighted_mean_of_all_parameters(decay, dtype):
    unit = 1 + 1j if dtype == "c16" else 1
    steps = [(RNG.normal(size=3) * unit).astype(dtype) for _ in range(7)]
    sums = {"w": np.zeros(3, dtype)}
    for k, w in enumerate(steps, 1):
        add_to_average(sums, {"w": w}, decay)
        weights = decay ** np.arange(k - 1, -1, -1)
        expected = (weights[:, None] * np.array(steps[:k])).sum(axis=0) / weights.sum()
        found = averaged(sums, decay, k)["w"]
        assert found.dtype == dtype
        np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == "f4" else 1e-12)


def test_the_best_is_below_all_before_it():
    assert is_best([3.0], "l2")
    assert is_best([3.0, 2.0], "l2")
    assert not is_best([3.0, 2.0, 2.0], "l2")
    with pytest.raises(ConvergenceError, match="metric 'l2' is NaN in epoch 2"):
        is_best([1.0, np.nan], "l2")


def test_patience_counts_epochs_since_the_best():
    values = [3.0, 1.0, 2.0, 1.0, 5.0]
    assert [is_over(values[:n], 2) for n in range(6)] == [False, False, False, False, True, True]
    assert not is_over(values, None)


def test_a_metric_that_is_not_returned_is_named():
    require_metric({"l2": 1.0}, "l2")
    with pytest.raises(InvalidValueError, match="monitor is 'h1', and evaluate returned l2"):
        require_metric({"l2": 1.0}, "h1")
