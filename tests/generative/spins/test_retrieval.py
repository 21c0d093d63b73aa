"""Monte Carlo of memories samples their exact distribution, agrees with theory, and is the same on any ranks."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from thread_ranks import on_ranks

import sci
from sci.errors import InvalidValueError, SamplingWarning, ShapeError
from sci.generative import DenseAssociativeMemory, replica_symmetric, retrieve
from sci.generative.spins.exact import every_state


def signs(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice([-1, 1], size=shape)


@pytest.mark.parametrize("order", [2, 3, 4])
def test_the_exact_distribution_is_left_as_it_is(order: int) -> None:
    """Chains drawn from all 128 states, and swept: chi-square of the counts of the states."""
    memory = DenseAssociativeMemory.from_examples(signs(2, 3, 7), order)
    states = every_state(7, np.array([-1, 1], np.int8))
    weights = np.exp(-1.5 * memory.energy(states))
    weights /= weights.sum()
    chosen = np.random.default_rng(1).choice(128, size=30_000, p=weights)
    found = retrieve(memory, states[chosen], 1.5, sweeps=2, warm_up=0, targets=np.ones((1, 7)))
    counts = np.bincount((found.spins > 0) @ (2 ** np.arange(7)[::-1]), minlength=128)
    assert ((counts - 30_000 * weights) ** 2 / (30_000 * weights)).sum() < 127 + 5 * np.sqrt(2 * 127)


@pytest.mark.parametrize(("order", "examples"), [(2, 4), (4, 12)])
def test_overlaps_are_those_of_the_binomial_theory(order: int, examples: int) -> None:
    """Within 0.02 at N = 3,000, K = 3, beta = 3: the mean over three data sets, whose noise is 0.01 each."""
    n, quality, means = 3000, 0.5, []
    for seed in range(3):
        rng = np.random.default_rng(seed)
        archetypes = rng.choice([-1, 1], size=(3, n))
        shown = archetypes[:, None] * np.where(rng.random((3, examples, n)) < (1 + quality) / 2, 1, -1)
        memory = DenseAssociativeMemory.from_examples(shown, order, quality=quality)
        found = retrieve(memory, archetypes[0], 3.0, targets=archetypes, replicas=8, sweeps=15)
        means.append(found.magnetization().value)
    theory = replica_symmetric(order, 3.0, quality=quality, examples=examples)
    assert np.mean(means) == pytest.approx(theory.magnetization, abs=0.02)


def test_chains_near_a_pattern_and_its_negative_are_told() -> None:
    """Couplings of 4 spins do not tell a pattern from its negative; those of 3 do."""
    patterns = signs(2, 200)
    both = np.stack([patterns[0], -patterns[0]])
    found = retrieve(DenseAssociativeMemory(patterns, 4), both, 5.0, replicas=2, sweeps=10)
    with pytest.warns(SamplingWarning, match="stay there: .* take absolute=True"):
        assert abs(found.magnetization().value) < 0.1
    assert found.magnetization(absolute=True).value > 0.95
    assert not retrieve(DenseAssociativeMemory(patterns, 3), both, 5.0, sweeps=2).symmetric


def test_chains_are_the_same_on_any_number_of_ranks_and_without_a_compiler() -> None:
    memory = DenseAssociativeMemory(signs(3, 50), 4)
    run = partial(retrieve, memory, signs(2, 50, seed=1), 2.0, replicas=2, sweeps=4, warm_up=1, seed=3)
    serial = run()
    assert serial.overlaps.shape == (4, 4, 3)
    for size in (3, 6):
        for found in on_ranks(size, lambda comm: run(comm=comm)):
            np.testing.assert_array_equal(found.overlaps, serial.overlaps)
            np.testing.assert_array_equal(found.spins, serial.spins)
    with sci.options(kernels="reference"):
        np.testing.assert_array_equal(run().spins, serial.spins)


def test_without_noise_a_pattern_is_stable_and_every_sweep_lowers_the_energy() -> None:
    memory = DenseAssociativeMemory(signs(4, 200), 4)
    noisy = signs(4, 200)[0] * np.where(np.random.default_rng(4).random(200) < 0.2, -1, 1)
    found = retrieve(memory, noisy, math.inf, sweeps=3, warm_up=0)
    assert found.magnetization().value == 1.0
    assert float(memory.energy(found.spins[0])) < float(memory.energy(noisy))


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"beta": -1.0}, "beta is -1.0"),
        ({"beta": math.nan}, "beta is nan"),
        ({"start": np.zeros(50)}, "start .*other values"),
        ({"start": np.ones(49)}, "start of shape"),
        ({"targets": np.ones((2, 3))}, "targets of shape"),
        ({"sweeps": 1}, "expected 2 sweeps"),
        ({"replicas": 0}, "replicas is 0"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(changed: dict[str, object], text: str) -> None:
    given = {"memory": DenseAssociativeMemory(signs(3, 50), 4), "start": np.ones(50), "beta": 1.0, **changed}
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        retrieve(**given)
    with pytest.raises(InvalidValueError, match="target is 9"):
        retrieve(DenseAssociativeMemory(signs(3, 50), 4), np.ones(50), 1.0, sweeps=2).magnetization(9)
