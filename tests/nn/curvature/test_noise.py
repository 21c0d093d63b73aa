"""Places of spikes and edges of bulks beside random matrices, to 2 %; densities; inverse; bad input."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import WignerNoise, WishartNoise

SPIKES = np.array([3.0, 1.5, 0.6])


def wigner(size: int, rng: np.random.Generator) -> np.ndarray:
    a = rng.normal(size=(size, size))
    return (a + a.T) / np.sqrt(2)


def covariance(size: int, rows: int, spikes: np.ndarray, variance: float, rng: np.random.Generator) -> np.ndarray:
    scales = np.full(size, variance)
    scales[: len(spikes)] = spikes
    x = rng.normal(size=(rows, size)) * np.sqrt(scales)
    return x.T @ x / rows


@pytest.mark.parametrize(("batch_size", "outliers"), [(300, 1), (1000, 2), (8000, 3), (60, 0)])
def test_spikes_and_edge_of_a_wigner_matrix(batch_size: int, outliers: int) -> None:
    """Spikes above the threshold are where the formula says; the next eigenvalue is the edge of the bulk."""
    size, sigma, rng = 800, 1.3, np.random.default_rng(batch_size)
    noise = WignerNoise(size, sigma**2)
    found = []
    for _ in range(4):
        matrix = sigma / np.sqrt(batch_size) * wigner(size, rng)
        matrix[np.arange(3), np.arange(3)] += SPIKES
        found.append(np.linalg.eigvalsh(matrix)[::-1][: outliers + 1])
    predicted, edge = noise.spike_shift(SPIKES, batch_size), noise.bulk_edge(batch_size)
    assert (noise.threshold(batch_size) < SPIKES).sum() == outliers
    np.testing.assert_allclose(predicted[outliers:], edge)
    np.testing.assert_allclose(np.mean(found, axis=0), [*predicted[:outliers], edge], rtol=2e-2)


def test_batches_without_replacement_have_less_noise() -> None:
    """Means of b of N random matrices: the root mean square of the eigenvalues of a semicircle is half its radius."""
    size, n, rng = 300, 40, np.random.default_rng(0)
    all_of_them = np.array([wigner(size, rng) for _ in range(n)])
    all_of_them -= all_of_them.mean(axis=0)
    noise = WignerNoise(size, n / (n - 1) * float(np.mean(all_of_them**2)), samples=n)
    for b in (2, 10, 30):
        means = [all_of_them[rng.permutation(n)[:b]].mean(axis=0) for _ in range(6)]
        np.testing.assert_allclose(2 * np.sqrt(size * np.mean(np.square(means))), noise.bulk_edge(b), rtol=2e-2)
    assert noise.bulk_edge(n) == 0


@pytest.mark.parametrize(("size", "batch_size", "rows"), [(200, 400, 1), (400, 100, 2), (150, 50, 9)])
def test_spikes_and_edge_of_a_sample_covariance(size: int, batch_size: int, rows: int) -> None:
    variance, rng = 0.7, np.random.default_rng(size)
    spikes = np.array([20.0, 8.0])
    noise = WishartNoise(size, variance, rows)
    found = [np.linalg.eigvalsh(covariance(size, rows * batch_size, spikes, variance, rng))[-3:] for _ in range(80)]
    mean = np.mean(found, axis=0)[::-1]
    np.testing.assert_allclose(mean[:2], noise.spike_shift(spikes, batch_size), rtol=2e-2)
    np.testing.assert_allclose(mean[2], noise.bulk_edge(batch_size), rtol=3e-2)  # edges of small matrices lie lower
    np.testing.assert_allclose(noise.covariance_of(noise.spike_shift(spikes, batch_size), batch_size), spikes)


def test_a_spike_below_the_threshold_of_a_covariance_is_the_edge() -> None:
    noise = WishartNoise(300, 2.0)
    assert noise.threshold(300) == 4.0
    np.testing.assert_allclose(noise.spike_shift([3.9, 4.0, 4.1], 300)[:2], noise.bulk_edge(300))
    assert noise.spike_shift(4.1, 300) > noise.bulk_edge(300)
    with pytest.raises(InvalidValueError, match="a bulk up to 8; expected values above it"):
        noise.covariance_of(7.9, 300)


@pytest.mark.parametrize(
    ("noise", "batch_size", "draw"),
    [
        (WignerNoise(600, 4.0), 50, lambda rng: 2 / np.sqrt(50) * wigner(600, rng)),
        (WishartNoise(300, 2.0), 1200, lambda rng: covariance(300, 1200, np.empty(0), 2.0, rng)),
        (WishartNoise(600, 2.0), 200, lambda rng: covariance(600, 200, np.empty(0), 2.0, rng)),
    ],
    ids=["wigner", "more rows", "fewer rows"],
)
def test_the_density_is_that_of_the_eigenvalues(noise, batch_size, draw) -> None:
    values = np.linalg.eigvalsh(draw(np.random.default_rng(1)))
    low, high = values[values > 1e-9].min() if values.min() > -1 else values.min(), values.max()
    edges = np.linspace(low - 0.1, high + 0.1, 9)
    counts = np.histogram(values, edges)[0] / len(values)
    x = np.linspace(edges[0], edges[-1], 80001)
    density = noise.density(x, batch_size)
    parts = np.array([np.trapezoid(density[k * 10000 : (k + 1) * 10000 + 1], dx=x[1] - x[0]) for k in range(8)])
    np.testing.assert_allclose(counts, parts, atol=0.012)
    share = 1.0 if isinstance(noise, WignerNoise) else min(1.0, 1 / float(noise.ratio(batch_size)))
    assert abs(parts.sum() - share) < 2e-3


def test_units_do_not_matter() -> None:
    for scale in (1e-30, 1e30):
        found = WignerNoise(100, scale**2).spike_shift(3 * scale, 10)
        np.testing.assert_allclose(found, scale * WignerNoise(100, 1.0).spike_shift(3.0, 10))
        found = WishartNoise(100, scale).spike_shift(30 * scale, 10)
        np.testing.assert_allclose(found, scale * WishartNoise(100, 1.0).spike_shift(30.0, 10))


def test_bad_input_is_refused() -> None:
    for make, text in (
        (lambda: WignerNoise(0, 1.0), "size is 0"),
        (lambda: WignerNoise(10, -1.0), "variance is -1.0"),
        (lambda: WignerNoise(10, 1.0, samples=0), "samples is 0"),
        (lambda: WishartNoise(10, 1.0, rows=0), "rows is 0"),
        (lambda: WignerNoise(10, 1.0, samples=5).bulk_edge(6), "at most the 5 samples"),
        (lambda: WignerNoise(10, 1.0).bulk_edge(0), "expected 1 or more"),
        (lambda: WignerNoise(10, 1.0).spike_shift([2.0, -1.0], 5), "outlier of -1"),
        (lambda: WishartNoise(10, 1.0).spike_shift(np.nan, 5), "outlier"),
        (lambda: WignerNoise(10, 1.0, samples=5).density(0.0, 5), "no noise"),
    ):
        with pytest.raises(InvalidValueError, match=text):
            make()
