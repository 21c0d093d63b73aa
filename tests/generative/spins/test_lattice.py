"""Energies of lattices count each bond once."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.generative import IsingModel, PottsModel
from sci.generative.spins.lattice import require_beta


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4)])
def test_energies_are_sums_over_a_list_of_bonds(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    sites = np.arange(np.prod(shape)).reshape(shape)
    bonds = [(a, b) for k in range(len(shape)) for a, b in zip(sites.ravel(), np.roll(sites, -1, k).ravel())]
    assert len(bonds) == sites.size * len(shape)
    spins = rng.choice([-1, 1], size=(4, *shape)).astype(np.int8)
    flat = spins.reshape(4, -1).astype(float)
    expected = [-0.7 * sum(s[a] * s[b] for a, b in bonds) - 0.3 * s.sum() for s in flat]
    np.testing.assert_allclose(IsingModel(shape, 0.7, 0.3).energy(spins), expected, rtol=1e-13)
    np.testing.assert_allclose(IsingModel(shape).magnetization(spins), flat.mean(axis=1), rtol=1e-13)
    states = rng.integers(0, 3, (4, *shape)).astype(np.int8)
    flat = states.reshape(4, -1)
    expected = [-0.7 * sum(s[a] == s[b] for a, b in bonds) - 0.3 * (s == 0).sum() for s in flat]
    np.testing.assert_allclose(PottsModel(shape, 3, 0.7, 0.3).energy(states), expected, rtol=1e-13)


def test_two_states_of_potts_are_an_ising_model_of_half_the_coupling() -> None:
    states = np.random.default_rng(1).integers(0, 2, (8, 4, 4)).astype(np.int8)
    ising = IsingModel((4, 4), 0.5, 0.2).energy((1 - 2 * states).astype(np.int8))
    np.testing.assert_allclose(PottsModel((4, 4), 2, 1.0, 0.4).energy(states), ising - 32 * 0.5 - 16 * 0.2, rtol=1e-13)


def test_the_order_of_a_potts_model_is_one_in_one_state_and_zero_for_equal_shares() -> None:
    model = PottsModel((2, 2), 4)
    np.testing.assert_allclose(model.magnetization(np.array([[[0, 1], [2, 3]], [[2, 2], [2, 2]]])), [0, 1], atol=1e-14)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: IsingModel((4, 1)), "at least 2 sites each"),
        (lambda: IsingModel((2, 2, 2, 2)), "1 to 3 axes"),
        (lambda: IsingModel((4, 4), np.inf), "expected finite numbers"),
        (lambda: PottsModel((4, 4), 1), "n_states is 1; expected 2 to 127"),
        (lambda: IsingModel((4, 4)).energy(np.zeros((4, 4))), "states hold other values than -1, 1"),
        (lambda: IsingModel((4, 4)).energy(np.ones((4, 5))), r"expected \(..., 4, 4\)"),
        (lambda: require_beta(-1.0, IsingModel((2,))), "beta is -1.0"),
        (lambda: require_beta(float("nan"), IsingModel((2,))), "beta is nan"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make: object, text: str) -> None:
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        make()  # type: ignore[operator]
