"""Local noise and quantiles of residuals, also over ranks."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.completion import observe
from sci.completion.functional.calibration import left_out, local_noise, residual_quantiles
from sci.completion.functional.prediction import LEVELS

RNG = np.random.default_rng(1)


def test_a_noisy_place_gets_a_small_weight() -> None:
    shape = (12, 40)
    index = np.stack(np.unravel_index(np.arange(480), shape), axis=1)
    sigma = np.where(index[:, 0] == 3, 5.0, 1.0) * np.where(index[:, 1] < 5, 3.0, 1.0)
    residuals = sigma * RNG.normal(size=480)
    seen = observe(index, residuals, shape=shape)
    scale, (rows, columns) = local_noise(seen, residuals)
    found = np.sqrt(scale / (rows[index[:, 0]] * columns[index[:, 1]]))
    ratio = found / sigma
    assert np.quantile(ratio, 0.05) > 0.6
    assert np.quantile(ratio, 0.95) < 1.6
    assert rows.argmin() == 3


def test_an_entry_with_all_the_leverage_is_not_divided_by_zero() -> None:
    np.testing.assert_allclose(left_out(np.ones(2), np.array([0.0, 5.0]), 1.0), [1.0, 10.0])


@pytest.mark.parametrize("size", [1, 2, 3])
def test_quantiles_are_those_of_the_sorted_numbers(size: int) -> None:
    ratios, counts = np.abs(RNG.standard_cauchy(301)), RNG.integers(1, 4, 301).astype(float)
    expected = np.sort(np.repeat(ratios, counts.astype(int)))
    total = len(expected)

    def body(comm: ThreadComm) -> np.ndarray:
        mine = slice(comm.Get_rank(), None, size)
        return residual_quantiles(ratios[mine], counts[mine], total, comm)

    want = expected[np.maximum(np.ceil(LEVELS * total - 1e-9).astype(int) - 1, 0)]
    for found in on_ranks(size, body):
        np.testing.assert_allclose(found[1:], want[1:], rtol=1e-12)
