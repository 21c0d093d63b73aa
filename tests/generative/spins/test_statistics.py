"""Errors of means of chains cover the truth as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.generative import autocorrelation_time, estimate


def chains(steps: int, count: int, memory: float, seed: int) -> np.ndarray:
    """Return chains x <- memory x + noise, of tau = (1 + memory) / (1 - memory) / 2."""
    noise = np.random.default_rng(seed).normal(size=(steps, count))
    noise[0] /= np.sqrt(1 - memory**2)
    for t in range(1, steps):
        noise[t] += memory * noise[t - 1]
    return noise


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9])
def test_the_time_of_a_chain_with_one_memory(memory: float) -> None:
    expected = 0.5 * (1 + memory) / (1 - memory)
    assert autocorrelation_time(chains(20_000, 4, memory, 0)) == pytest.approx(expected, rel=0.12)


def test_errors_cover_the_truth() -> None:
    pulls = []
    for seed in range(60):
        found = estimate(chains(500, 4, 0.8, seed))
        pulls.append(found.value / found.error)
    assert 0.75 < np.std(pulls) < 1.35


def test_constant_chains_have_no_error_and_nan_is_refused() -> None:
    found = estimate(np.full(10, 3.0))
    assert (found.value, found.error, found.tau) == (3.0, 0.0, 0.5)
    with pytest.raises(InvalidValueError, match="series"):
        estimate(np.array([1.0, np.nan, 2.0]))
    with pytest.raises(InvalidValueError, match="expected"):
        estimate(np.ones(1))


@pytest.mark.parametrize("scale", [1e-250, 1.0, 1e250])
def test_errors_scale_with_the_numbers(scale: float) -> None:
    series = np.random.default_rng(0).normal(size=(200, 2))
    found, plain = estimate(scale * series), estimate(series)
    assert found.error == pytest.approx(scale * plain.error, rel=1e-12)
    assert found.tau == pytest.approx(plain.tau, rel=1e-9)
