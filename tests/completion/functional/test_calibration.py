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
    scale, (rows, columns), _ = local_noise(seen, residuals)
    found = np.sqrt(scale / (rows[index[:, 0]] * columns[index[:, 1]]))
    ratio = found / sigma
    assert np.quantile(ratio, 0.05) > 0.6
    assert np.quantile(ratio, 0.95) < 1.6
    assert rows.argmin() == 3


@pytest.mark.parametrize("per_place", [1, 4, 30])
def test_places_get_no_noise_of_their_own_without_need(per_place: int) -> None:
    """Four posteriors of Gamma(1, 1) would scatter by a factor of two where each place has one entry."""
    scatter = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        index = np.stack([rng.permutation(np.repeat(np.arange(300 // per_place), per_place)) for _ in range(2)], axis=1)
        residuals = rng.normal(size=len(index))
        scale, (rows, columns), _ = local_noise(observe(index, residuals), residuals)
        scatter.append(np.log(scale / (rows[index[:, 0]] * columns[index[:, 1]])).std())
        assert abs(scale - 1) < 0.35
    assert np.median(scatter) < 0.15


def test_an_entry_has_no_part_in_the_noise_it_is_held_against() -> None:
    rng = np.random.default_rng(5)
    index = np.stack(np.unravel_index(np.arange(600), (30, 20)), axis=1)
    residuals = np.exp(rng.normal(size=30))[index[:, 0]] * rng.normal(size=600)
    noises = []
    for own in (0.1, 0.2):
        residuals[77] = own
        scale, weights, apart = local_noise(observe(index, residuals), residuals)
        noises.append((scale / (weights[0][index[77, 0]] * weights[1][index[77, 1]]), apart[77]))
    (first, apart), (second, apart_of_second) = noises
    assert second > first
    assert abs(apart_of_second / apart - 1) < 0.05 * (second / first - 1)


def test_a_new_place_is_covered_where_places_have_noise_of_their_own() -> None:
    covered = []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        index = np.stack([np.repeat(np.arange(100), 10), rng.permutation(1000)], axis=1)
        residuals = np.exp(0.8 * rng.normal(size=100))[index[:, 0]] * rng.normal(size=1000)
        scale, (rows, _), apart = local_noise(observe(index, residuals, shape=(102, 1000)), residuals)
        assert (rows[100:] == 1).all()  # of the shape, and without entries
        quantile = np.quantile(np.abs(residuals) / np.sqrt(apart), 0.9)
        fresh = np.exp(0.8 * rng.normal(size=5000)) * rng.normal(size=5000)
        covered.append((np.abs(fresh) <= quantile * np.sqrt(scale)).mean())
    assert 0.87 < np.mean(covered) < 0.93


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_have_the_noise_of_one_process(size: int) -> None:
    index = np.stack(np.unravel_index(np.arange(480), (12, 40)), axis=1)
    values = np.where(index[:, 0] == 3, 5.0, 1.0) * np.random.default_rng(4).normal(size=480)
    seen = observe(index, values)
    scale, weights, apart = local_noise(seen, seen.values)

    def body(comm: ThreadComm) -> None:
        mine = slice(comm.Get_rank(), None, size)
        part = observe(index[mine], values[mine], comm=comm)
        found = local_noise(part, part.values)
        np.testing.assert_allclose(found[0], scale, rtol=1e-10)
        for own, want in zip(found[1], weights):
            np.testing.assert_allclose(own, want, rtol=1e-10)
        np.testing.assert_allclose(found[2], apart.reshape(12, 40)[tuple(part.index.T)], rtol=1e-10)

    on_ranks(size, body)


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
