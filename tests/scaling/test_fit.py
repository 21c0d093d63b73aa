"""Fits of power laws: exact data, sources of known exponent, outliers, units, and the share that intervals hold."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.scaling import fit_power_law

X = np.geomspace(1e2, 1e7, 20)
Y = 2.2 + (X / 300) ** -0.13


def test_exact_losses_give_the_law_back() -> None:
    fit = fit_power_law(X, Y)
    np.testing.assert_allclose([fit.law.limit, fit.law.exponents[0]], [2.2, 0.13], rtol=1e-9)
    low, high = fit.interval(1e9)
    np.testing.assert_allclose([low, high], 2.2 + (1e9 / 300) ** -0.13, rtol=1e-9)
    size, samples = np.repeat(np.geomspace(1e6, 1e9, 6), 6), np.tile(np.geomspace(1e8, 1e11, 6), 6)
    joint = fit_power_law(np.stack([size, samples], axis=1), 1.69 + 406.4 * size**-0.34 + 410.7 * samples**-0.28)
    np.testing.assert_allclose([joint.law.limit, *joint.law.exponents], [1.69, 0.34, 0.28], rtol=1e-9)


def test_noisy_losses_give_the_least_squares_of_scipy() -> None:
    noise = 1 + 5e-4 * np.random.default_rng(1).standard_normal(len(X))  # below the least bend of the robust loss
    y = Y * noise
    fit = fit_power_law(X, y, samples=20)

    def law(x: np.ndarray, limit: float, scale: float, exponent: float) -> np.ndarray:
        return limit + scale * (x / 3e4) ** -exponent

    relative = np.abs(np.asarray(fit.law(X)) / y - 1).max()
    best, _ = curve_fit(law, X, y, p0=(2, 0.5, 0.2), sigma=y, xtol=1e-15, ftol=1e-15)
    assert relative < 1.345e-3
    np.testing.assert_allclose([fit.law.limit, fit.law.exponents[0]], best[[0, 2]], rtol=1e-3)


def test_an_outlier_does_not_carry_the_fit_away() -> None:
    y = Y * (1 + 1e-3 * np.random.default_rng(0).standard_normal(len(X)))
    spoiled = y.copy()
    spoiled[3] *= 1.2
    clean, robust = fit_power_law(X, y), fit_power_law(X, spoiled)
    assert abs(robust.law.exponents[0] - clean.law.exponents[0]) < 0.002
    low, high = robust.parameter_intervals()["exponents"]
    assert low[0] < 0.13 < high[0] < low[0] + 0.02


@pytest.mark.parametrize("power", [-330, 3, 330])
def test_units_do_not_matter(power: int) -> None:
    y = Y * (1 + 1e-2 * np.random.default_rng(2).standard_normal(len(X)))
    plain, other = fit_power_law(X, y, samples=20), fit_power_law(X * 2.0**power, y * 4.0**power, samples=20)
    np.testing.assert_allclose(other.law.limit, plain.law.limit * 4.0**power, rtol=1e-6)
    np.testing.assert_allclose(other.law.exponents, plain.law.exponents, rtol=1e-6)
    np.testing.assert_allclose(
        other.interval(1e9 * 2.0**power), np.multiply(plain.interval(1e9), 4.0**power), rtol=1e-4
    )


def test_the_limit_of_an_estimator_is_the_entropy_of_its_source() -> None:
    # Add-1/2 estimates of 16 probabilities: the loss is the entropy plus (16 - 1) / (2 n) for large n.
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(16))
    n = np.array([200, 400, 800, 1600, 3200, 6400, 12800])
    counts = [rng.multinomial(k, p, size=4000) for k in n]
    loss = np.array([-(p * np.log((c + 0.5) / (k + 8))).sum(axis=1).mean() for c, k in zip(counts, n)])
    fit = fit_power_law(n.astype(float), loss)
    assert abs(fit.law.limit + (p * np.log(p)).sum()) < 1e-3
    assert abs(fit.law.exponents[0] - 1) < 0.05


@pytest.mark.parametrize("excess", [0.5, 1.0, 2.0])
def test_memorizing_zipf_numbers_has_the_known_exponent(excess: float) -> None:
    p = np.arange(1, 1_000_001) ** -(1 + excess)
    p /= p.sum()
    n = np.geomspace(100, 10_000, 10).round()
    error = np.array([float((p * np.exp(k * np.log1p(-np.minimum(p, 1 - 1e-16)))).sum()) for k in n])
    assert abs(fit_power_law(n, error, samples=20).law.exponents[0] - excess / (1 + excess)) < 0.03


def test_intervals_hold_what_they_say() -> None:
    hits, trials = 0, 40
    x = np.geomspace(100, 1e4, 6)
    for seed in range(trials):
        rng = np.random.default_rng(seed)
        fit = fit_power_law(x, (0.3 + 5 * x**-0.5) * (1 + 0.02 * rng.standard_normal(6)), samples=100, seed=seed)
        low, high = fit.interval(4e4)
        hits += bool(low <= (0.3 + 5 * 4e4**-0.5) * (1 + 0.02 * rng.standard_normal()) <= high)
    # 36 of 40 are expected, with a standard deviation of 1.9.
    assert hits >= 30


def test_points_of_one_run_are_resampled_together() -> None:
    rng = np.random.default_rng(3)
    x = np.tile(np.geomspace(100, 1e5, 10), 6)
    runs = np.repeat(np.arange(6), 10)
    y = (1 + 20 * x**-0.5) * (1 + 0.02 * rng.standard_normal(6))[runs]
    together, apart = fit_power_law(x, y, runs=runs), fit_power_law(x, y)
    width = [np.ptp(f.interval(3e3, new_run=False)) for f in (together, apart)]
    # A law through six runs of deviation 2 % is known to 2 % / sqrt(6): 90 % of a normal number lie in 3.3 deviations.
    assert 0.5 < width[0] / (3.3 * 0.02 / np.sqrt(6) * together.law(3e3)) < 1.5
    assert width[0] > 1.5 * width[1]
    with pytest.raises(InvalidValueError, match="at least 3"):
        fit_power_law(x, y, runs=runs % 2)


def test_losses_without_a_law_are_refused() -> None:
    x = np.geomspace(1, 1e3, 8)
    with pytest.raises(ConvergenceError, match="do not fall"):
        fit_power_law(x, x**0.2)
    with pytest.raises(ConvergenceError, match="logarithm"):
        fit_power_law(x, 1000 - np.log(x))
    with pytest.raises(ConvergenceError, match="one step"):
        fit_power_law(x, np.where(x < 2, 2.0, 1.0))


def test_too_few_points_and_wrong_shapes_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="at least 4"):
        fit_power_law(X[:3], Y[:3])
    with pytest.raises(InvalidValueError, match="at least 3 along"):
        fit_power_law(np.repeat([1.0, 2.0], 4), np.linspace(2, 1, 8))
    with pytest.raises(ShapeError):
        fit_power_law(X, Y[:-1])
    with pytest.raises(InvalidValueError, match="positive"):
        fit_power_law(X, -Y)
    with pytest.raises(InvalidValueError, match="samples"):
        fit_power_law(X, Y, samples=1)
    with pytest.raises(InvalidValueError, match="confidence"):
        fit_power_law(X, Y).interval(1e8, confidence=1.0)
