"""The gain from a second source: mutual information of a known channel, intervals, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from sci.errors import InvalidValueError
from sci.scaling import InformationGain, fit_power_law, information_gain

SIZES = np.array([200, 400, 800, 1600, 3200])


def _expected_logs(n: int, share: float, pseudo: float) -> float:
    counts = np.arange(n + 1)
    return float(binom.pmf(counts, n, share) @ np.log(counts + pseudo))


def _estimated(joint: np.ndarray, n: int) -> float:
    """Expected log loss of the add-1/2 estimate of each row of a joint distribution, from n draws of pairs."""
    pseudo = joint.shape[1] / 2
    rows = [row.sum() * _expected_logs(n, min(row.sum(), 1.0), pseudo) for row in joint]
    return sum(rows) - sum(p * _expected_logs(n, p, 0.5) for p in joint.ravel())


def _gain(x: np.ndarray, noise: float = 0.0, seed: int = 0) -> InformationGain:
    rng = np.random.default_rng(seed)
    alone = (2.0 + 5 * x**-0.5) * (1 + noise * rng.standard_normal(len(x)))
    given = (1.6 + 9 * x**-0.5) * (1 + noise * rng.standard_normal(len(x)))
    return information_gain(fit_power_law(x, alone, samples=200), fit_power_law(x, given, samples=200))


def test_the_limit_is_the_mutual_information_of_a_channel() -> None:
    joint = np.random.default_rng(1).dirichlet(np.full(6, 0.7), size=3) / 3
    words = joint.sum(axis=0, keepdims=True)
    alone = fit_power_law(SIZES.astype(float), np.array([_estimated(words, n) for n in SIZES]))
    given = fit_power_law(SIZES.astype(float), np.array([_estimated(joint, n) for n in SIZES]))
    gain = information_gain(alone, given)
    mutual = float((joint * np.log(joint / (words * joint.sum(axis=1, keepdims=True)))).sum())
    assert abs(gain.limit - mutual) < 1e-3
    assert gain(3200) < gain(1e6) < mutual + 1e-3  # few pairs of image and word teach less than many
    assert abs(gain.share(1e9) - mutual / -float((words * np.log(words)).sum())) < 1e-3


def test_the_line_in_the_logarithm_is_that_of_least_squares() -> None:
    x = np.geomspace(100, 1e4, 7)
    gain = _gain(x)
    slope, level = np.polyfit(np.log(x / gain.reference), gain(x), 1)
    np.testing.assert_allclose([gain.slope, gain.level], [slope, level], rtol=1e-10)
    np.testing.assert_allclose(gain.slope_interval, [slope, slope], rtol=1e-4)
    assert "ln(x" in repr(gain)


def test_intervals_hold_what_they_say() -> None:
    x, hits, runs, slopes = np.geomspace(100, 1e4, 8), 0, 0, 0
    true = np.polyfit(np.log(x), 0.4 - 4 * x**-0.5, 1)[0]
    for seed in range(40):
        gain = _gain(x, 0.01, seed)
        low, high = gain.interval(4e4, new_run=False)
        hits += bool(low <= 0.4 - 4 * 4e4**-0.5 <= high)
        rng = np.random.default_rng([7, seed])
        new = (2 + 5 / 200) * (1 + 0.01 * rng.standard_normal()) - (1.6 + 9 / 200) * (1 + 0.01 * rng.standard_normal())
        low, high = gain.interval(4e4)
        runs += bool(low <= new <= high)
        slopes += bool(gain.slope_interval[0] <= true <= gain.slope_interval[1])
    # 36 of 40 are expected, with a standard deviation of 1.9.
    assert min(hits, runs, slopes) >= 30, (hits, runs, slopes)


def test_fits_of_one_seed_are_independent() -> None:
    x = np.geomspace(100, 1e4, 8)
    loss = (2.0 + 5 * x**-0.5) * (1 + 0.01 * np.random.default_rng(0).standard_normal(8))
    same = fit_power_law(x, loss)
    low, high = information_gain(same, same).interval(4e4)
    own = np.ptp(same.interval(4e4))
    # A difference of two independent numbers of one spread has sqrt(2) times their spread.
    assert 1.2 * own < high - low < 1.7 * own
    assert information_gain(same, same).slope == 0.0


def test_what_is_refused() -> None:
    x = np.geomspace(100, 1e4, 8)
    fit = fit_power_law(x, 2 + x**-0.5, samples=20)
    for other, words in (
        (fit_power_law(1e6 * x, 2 + x**-0.5, samples=20), "two sizes in common"),
        (fit_power_law(x, 2 + x**-0.5, samples=20, names=["tokens"]), "the same"),
    ):
        with pytest.raises(InvalidValueError, match=words):
            information_gain(fit, other)
    size, samples = np.repeat(x[::2], 4), np.tile(x[::2], 4)
    two = fit_power_law(np.stack([size, samples], axis=1), 1 + size**-0.5 + samples**-0.3, samples=20)
    with pytest.raises(InvalidValueError, match="one term"):
        information_gain(two, two)
    with pytest.raises(InvalidValueError, match="confidence"):
        information_gain(fit, fit).interval(1e5, confidence=1.5)
    with pytest.raises(InvalidValueError, match="confidence"):
        information_gain(fit, fit).limit_interval(0.0)
