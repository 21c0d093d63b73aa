"""Energies of associative memories are sums over tuples of distinct spins."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.generative import DenseAssociativeMemory, dataset_entropy, examples_needed
from sci.generative.spins.memory import newton, require_order, require_signs


def signs(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 1], size=shape)


def test_newton_s_identities_give_sums_over_subsets() -> None:
    x = np.random.default_rng(0).normal(size=7)
    powers = [np.sum(x**j) for j in range(1, 7)]
    for order in range(7):
        expected = sum(math.prod(c) for c in itertools.combinations(x, order))
        assert newton(powers, order) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("order", [2, 3, 4, 5, 6])
def test_energies_and_fields_are_sums_over_distinct_indices(order: int) -> None:
    memory = DenseAssociativeMemory.from_examples(signs(2, 3, 9), order)
    s = signs(4, 9, seed=1)
    tuples = list(itertools.combinations(range(9), order))
    scale = math.factorial(order - 1) / 9 ** (order - 1)
    expected = [-scale * sum(np.prod(p[list(c)] * t[list(c)]) for p in memory.patterns for c in tuples) for t in s]
    np.testing.assert_allclose(memory.energy(s), expected, atol=1e-13)
    fields = memory.fields(s)
    for i in range(9):
        up, down = s.copy(), s.copy()
        up[:, i], down[:, i] = 1, -1
        np.testing.assert_allclose(fields[:, i], (memory.energy(down) - memory.energy(up)) / 2, atol=1e-13)
    np.testing.assert_allclose(memory.overlaps(s), s @ memory.patterns.T / 9, rtol=1e-13)
    assert memory.fields(s[0]).shape == (9,)


def test_large_memories_have_the_energy_of_powers_of_overlaps() -> None:
    patterns = signs(3, 4000)
    memory, s = DenseAssociativeMemory(patterns, 4), patterns[0] * np.where(np.arange(4000) % 10, 1, -1)
    n = memory.overlaps(s)
    assert float(memory.energy(s)) == pytest.approx(-4000 / 4 * float((n**4).sum()), rel=5e-3)


@pytest.mark.parametrize(("n", "load", "repeats"), [(40, 0.05, 20), (40, 0.1, 12)])
def test_one_step_errors_are_those_of_distinct_couplings(n: int, load: float, repeats: int) -> None:
    """As 1/2 erfc(sqrt(C(N - 1, 3) / 2 K)); powers of overlaps, whose indices meet, err more than twice as often."""
    count, wrong, naive = int(load * n**3), [], []
    for seed in range(repeats):
        patterns = signs(count, n, seed=seed)
        wrong.append((DenseAssociativeMemory(patterns, 4).fields(patterns[0]) * patterns[0] <= 0).mean())
        others = (patterns @ patterns[0])[:, None] - patterns * patterns[0]
        naive.append(((patterns * others**3).sum(axis=0) * patterns[0] <= 0).mean())
    theory = 0.5 * math.erfc(math.sqrt(math.comb(n - 1, 3) / (2 * count)))
    error = math.sqrt(theory * (1 - theory) / (n * repeats))
    assert abs(np.mean(wrong) - theory) < 4 * error
    assert np.mean(naive) > theory + 4 * error


def test_supervised_patterns_have_mean_square_one() -> None:
    archetypes = signs(3, 2000)
    noise = np.where(np.random.default_rng(2).random((3, 8, 2000)) < 0.75, 1, -1)
    examples = archetypes[:, None] * noise
    found = DenseAssociativeMemory.from_examples(examples, 4)
    assert (found.patterns**2).mean() == pytest.approx(1.0, rel=1e-13)
    given = DenseAssociativeMemory.from_examples(examples, 4, quality=0.5).patterns
    np.testing.assert_allclose(given, examples.mean(axis=1) / math.sqrt(0.25 + 0.75 / 8), rtol=1e-13)
    assert (given**2).mean() == pytest.approx(1.0, abs=0.03)


def test_entropy_and_examples_are_inverse() -> None:
    assert dataset_entropy(0.5, 12) == 0.25
    count = examples_needed(0.9, 0.2)
    assert math.erf(1 / math.sqrt(2 * (1 - 0.04) / (count * 0.04))) == pytest.approx(0.9, rel=1e-12)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: DenseAssociativeMemory(np.array([[1.0, 0.5, 1.0, 1.0]]), 2), "patterns .*other values than"),
        (lambda: DenseAssociativeMemory(signs(2, 3), 4), "at least 4 spins"),
        (lambda: DenseAssociativeMemory(signs(2, 3), 7), "order is 7"),
        (lambda: DenseAssociativeMemory(signs(2, 4), 2).fields(np.ones(5)), r"expected \(..., 4\)"),
        (lambda: DenseAssociativeMemory(signs(2, 4), 2).energy(np.zeros(4)), "spins .*other values"),
        (lambda: DenseAssociativeMemory.from_examples(signs(2, 4), 2), r"\(classes, examples, spins\)"),
        (lambda: DenseAssociativeMemory.from_examples(np.array([[[1, 1], [-1, -1]]]), 2), "mean of zero"),
        (lambda: dataset_entropy(0.0, 3), "quality in"),
        (lambda: examples_needed(1.0, 0.3), "between 0 and 1"),
        (lambda: require_order(1), "order is 1"),
        (lambda: require_signs(np.array([True]), "flags"), "flags of dtype bool"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: object, text: str) -> None:
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        call()  # type: ignore[operator]
