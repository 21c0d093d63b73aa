"""Cluster moves leave the exact distribution as it is, in a field and for several states."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.generative import IsingModel, PottsModel
from sci.generative.spins.clusters import require_ferromagnet, swendsen_wang
from sci.generative.spins.exact import every_state


@pytest.mark.parametrize("model", [IsingModel((2, 3), 0.3, 0.2), PottsModel((5,), 3, 0.8, 0.3)], ids=repr)
def test_the_exact_distribution_is_left_as_it_is(model: IsingModel | PottsModel) -> None:
    n, beta = 20_000, 0.9
    states = every_state(model.n_sites, model.values)
    weights = np.exp(-beta * model.energy(states.reshape(-1, *model.shape)))
    weights /= weights.sum()
    chosen = np.random.default_rng(2).choice(len(states), size=n, p=weights)
    held = states[chosen].reshape(-1, *model.shape).copy()
    for number in range(2):
        swendsen_wang(model, held, np.full(n, beta), number, first=0, seed=4)
    digits = np.searchsorted(model.values, held.reshape(n, -1))
    counts = np.bincount(digits @ model.n_states ** np.arange(model.n_sites)[::-1], minlength=len(states))
    cells = len(states) - 1
    assert (held.reshape(n, -1) != states[chosen]).any(axis=1).mean() > 0.5
    assert ((counts - n * weights) ** 2 / (n * weights)).sum() < cells + 5 * np.sqrt(2 * cells)


def test_a_replica_s_move_does_not_depend_on_the_others() -> None:
    model = IsingModel((6, 5), 0.4, 0.1)
    spins = np.random.default_rng(3).choice([-1, 1], size=(5, 6, 5)).astype(np.int8)
    betas, whole = np.linspace(0.5, 1.5, 5), spins.copy()
    swendsen_wang(model, whole, betas, 7, first=0, seed=1)
    for part in (slice(0, 2), slice(2, 5)):
        swendsen_wang(model, spins[part], betas[part], 7, first=part.start, seed=1)
    np.testing.assert_array_equal(spins, whole)
    swendsen_wang(model, spins[:0], betas[:0], 7, first=0, seed=1)


def test_an_antiferromagnet_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="antiferromagnet"):
        require_ferromagnet(IsingModel((4, 4), -1.0))
