"""Errors of means of chains cover the truth as often as they say."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from sci.errors import InvalidValueError, SamplingWarning
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


@pytest.mark.parametrize(("steps", "count", "memory"), [(30, 4, 0.8), (100, 4, 0.95), (30, 16, 0.8)])
def test_errors_of_short_chains_are_rather_too_large(steps: int, count: int, memory: float) -> None:
    """Chains of 3 to 5 autocorrelation times: their own tau alone understates errors up to 1.4 times."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)
        found = [estimate(chains(steps, count, memory, seed)) for seed in range(60)]
    pulls = np.array([one.value / one.error for one in found])
    assert 0.55 < np.sqrt((pulls**2).mean()) < 1.15


def test_few_independent_samples_and_chains_that_disagree_are_told() -> None:
    with pytest.warns(SamplingWarning, match=r"30 correlated values are worth .* independent ones"):
        found = estimate(chains(30, 1, 0.9, 0))
    assert found.independent < 10
    assert estimate(chains(4000, 2, 0.5, 0)).independent == pytest.approx(8000 / 3, rel=0.3)
    apart = chains(200, 4, 0.5, 0) + np.array([-20, 20, 20, 20])
    with pytest.warns(SamplingWarning, match="chains have means from -2"):
        found = estimate(apart)
    assert found.error > 9


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
