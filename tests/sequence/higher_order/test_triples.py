"""Triples with a sum of 0 modulo a number: exactly those of a loop, for all small inputs and close calls."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.distributed import split
from sci.errors import InvalidValueError
from sci.sequence import triples
from sci.sequence.higher_order.triples import triple_scale


def _by_sums(x: np.ndarray, modulus: int) -> np.ndarray:
    sums = set(((x[:, None] + x) % modulus).ravel().tolist())
    return np.array([int(-v % modulus) in sums for v in x.tolist()])


@pytest.mark.parametrize("modulus", [1, 2, 3, 5, 6])
def test_all_inputs_of_three_numbers(modulus: int) -> None:
    for x in itertools.product(range(modulus), repeat=3):
        np.testing.assert_array_equal(triples(np.array(x), modulus), _by_sums(np.array(x), modulus))


@pytest.mark.parametrize(("n", "modulus"), [(8, 40), (16, 185), (64, 3000), (64, 100_003), (1, 7)])
def test_random_inputs(n: int, modulus: int) -> None:
    rng, said = np.random.default_rng(n), []
    for _ in range(20):
        x = rng.integers(-5 * modulus, 5 * modulus, n)
        expected = _by_sums(x, modulus)
        np.testing.assert_array_equal(triples(x, modulus), expected)
        said.append(expected.mean())
    if n in (8, 16):
        assert 0.1 < np.mean(said) < 0.9


@pytest.mark.parametrize("last", [-2, -3, -1])
def test_the_hardest_inputs(last: int) -> None:
    """All other scores are the largest below 1, or one triple among them is a match."""
    modulus, n = 1001, 100
    x = np.ones(n, int)
    x[-1] = last
    np.testing.assert_array_equal(triples(x, modulus), _by_sums(x, modulus))
    near = np.full(n, modulus // 3)  # all sums are 1 below 0 modulo 1000
    np.testing.assert_array_equal(triples(near, 1000), np.zeros(n, bool))


def test_ranks_agree_with_one_process_and_equal_parts_are_no_mistake() -> None:
    x = np.random.default_rng(1).integers(0, 300, 20)
    expected = _by_sums(x, 300)
    assert 0 < expected.sum() < 20
    for n in (1, 2, 3, 4):
        found = on_ranks(n, lambda comm: triples(x[split(20, comm)], 300, comm=comm))
        np.testing.assert_array_equal(np.concatenate(found), expected)
    same = on_ranks(2, lambda comm: triples(np.array([1, 1]), 3, comm=comm))
    assert all(part.all() for part in same)
    assert [part.size for part in on_ranks(2, lambda comm: triples(np.zeros(0, int), 3, comm=comm))] == [0, 0]


def test_what_rounding_could_decide_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="smaller modulus or fewer numbers"):
        triples(np.arange(10), 10**8)
    scale, threshold = triple_scale(100, 1000)
    gap = 1 - np.cos(2 * np.pi / 1000)
    assert 1 - 2 * 100**2 * np.exp(-scale * gap) >= threshold - 1e-12 > 1 - gap


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u8"])
def test_numbers_narrower_than_the_modulus(dtype: str) -> None:
    x = np.array([100, 99, 101, 3], dtype)
    np.testing.assert_array_equal(triples(x, 300), [True, True, True, False])
    assert triples(np.array([2**63 + 1, 2**63 - 2], np.uint64), 7).all()
