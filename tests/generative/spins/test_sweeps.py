"""Checkerboards hold every site once, and half sweeps leave the exact distribution as it is."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.errors import InvalidValueError, ShapeError
from sci.generative import IsingModel, PottsModel
from sci.generative.spins.exact import every_state
from sci.generative.spins.sweeps import Checkerboard, colors_of, heat_bath, require_replicas

SHAPES = [(6,), (2, 2), (10, 10), (4, 6, 8), (2, 2, 2)]


@pytest.mark.parametrize("shape", SHAPES, ids=repr)
@pytest.mark.parametrize("replicas", [1, 3])
def test_packed_spins_come_back_with_their_energies(shape: tuple[int, ...], replicas: int) -> None:
    model = IsingModel(shape, 0.7, 0.2)
    board = Checkerboard.of(model, replicas)
    spins = np.random.default_rng(0).choice([-1, 1], size=(replicas, *shape)).astype(np.int8)
    colors = board.pack(spins)
    np.testing.assert_array_equal(board.unpack(colors), spins)
    bonds, sites = board.bonds_and_sites(colors)
    np.testing.assert_allclose(-0.7 * bonds - 0.2 * sites, model.energy(spins), rtol=1e-13)


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
@pytest.mark.parametrize("rule", ["heat_bath", "metropolis"])
def test_a_half_sweep_flips_with_the_rule_s_probability(kernels: str, rule: str) -> None:
    """Of many replicas in one state, the share of each spin that is +1 after a half sweep."""
    shape, n, beta = (2, 4), 40_000, 0.7
    model = IsingModel(shape, 0.4, 0.3)
    board = Checkerboard.of(model, n)
    state = np.array([[1, -1, 1, 1], [-1, -1, 1, -1]], np.int8)
    colors = board.pack(np.broadcast_to(state, (n, *shape)))
    with sci.options(kernels=kernels):
        board._half(colors[1], colors[0], board.thresholds(np.full(n, beta), rule), 0, (0, 0, 3))
    after = board.unpack(colors)
    up = (after == 1).mean(axis=0)
    for i, j in np.ndindex(shape):
        flipped = state.copy()
        flipped[i, j] *= -1
        gain = beta * float(model.energy(flipped) - model.energy(state))
        hot = rule == "heat_bath" or abs(gain) < 1
        flip = 1 / (1 + np.exp(gain)) if hot else min(1.0, np.exp(-gain))
        expected = float(state[i, j] == 1) if (i + j) % 2 else (1 - flip if state[i, j] == 1 else flip)
        assert up[i, j] == pytest.approx(expected, abs=5 * np.sqrt(0.25 / n) if 0 < expected < 1 else 1e-12)


@pytest.mark.parametrize("rule", ["heat_bath", "metropolis"])
def test_the_exact_distribution_is_left_as_it_is(rule: str) -> None:
    """Replicas drawn from all 16 states of a ring, and swept: chi-square of the counts of the states."""
    model, n, beta = IsingModel((4,), 0.5, 0.2), 60_000, 1.0
    states = every_state(4, model.values)
    weights = np.exp(-beta * model.energy(states))
    weights /= weights.sum()
    chosen = np.random.default_rng(2).choice(16, size=n, p=weights)
    board = Checkerboard.of(model, n)
    colors = board.pack(states[chosen])
    levels = board.thresholds(np.full(n, beta), rule)
    for number in range(3):
        board.sweep(colors, levels, number, first=0, seed=4)
    counts = np.bincount(((board.unpack(colors) > 0) @ [8, 4, 2, 1]), minlength=16)
    assert ((counts - n * weights) ** 2 / (n * weights)).sum() < 15 + 5 * np.sqrt(30)


def test_a_replica_s_spins_do_not_depend_on_the_others() -> None:
    model = IsingModel((6, 10), 0.4, 0.1)
    spins = np.random.default_rng(3).choice([-1, 1], size=(5, 6, 10)).astype(np.int8)
    betas = np.linspace(0.5, 1.5, 5)

    def swept(first: int, last: int) -> np.ndarray:
        board = Checkerboard.of(model, last - first)
        colors = board.pack(spins[first:last])
        for number in range(4):
            board.sweep(colors, board.thresholds(betas[first:last], "heat_bath"), number, first=first, seed=9)
        return board.unpack(colors)

    np.testing.assert_array_equal(np.concatenate([swept(0, 2), swept(2, 5)]), swept(0, 5))


def test_odd_sides_and_no_replicas_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"5 x 4.* odd side.*swendsen_wang"):
        Checkerboard.of(IsingModel((5, 4)), 1)
    with pytest.raises(InvalidValueError, match="replicas is 0"):
        require_replicas(0)


@pytest.mark.parametrize("shape", [(5,), (2, 2), (3, 4), (5, 3, 7)], ids=repr)
def test_neighbors_have_other_colors(shape: tuple[int, ...]) -> None:
    color = np.empty(np.prod(shape), int)
    for number, sites in enumerate(colors_of(shape)):
        color[sites] = number
    for axis in range(len(shape)):
        assert (color.reshape(shape) != np.roll(color.reshape(shape), 1, axis)).all()
    assert sum(map(len, colors_of(shape))) == color.size


@pytest.mark.parametrize("model", [PottsModel((3, 2), 3, -0.6, 0.4), IsingModel((5,), 0.5, 0.2)], ids=repr)
def test_the_heat_bath_of_any_model_leaves_its_distribution_as_it_is(model: PottsModel | IsingModel) -> None:
    """Replicas drawn from all states, and swept: chi-square of the counts of the states."""
    beta, n = 0.9, 20_000
    states = every_state(model.n_sites, model.values).reshape(-1, *model.shape)
    weights = np.exp(-beta * model.energy(states))
    weights /= weights.sum()
    held = states[np.random.default_rng(0).choice(len(states), size=n, p=weights)].astype(np.int8)
    heat_bath(model, held, np.full(n, beta), 3, first=5, seed=1)
    places = np.searchsorted(model.values, held.reshape(n, -1)) @ (model.n_states ** np.arange(model.n_sites)[::-1])
    counts = np.bincount(places, minlength=len(states))
    free = len(states) - 1
    assert ((counts - n * weights) ** 2 / (n * weights)).sum() < free + 5 * np.sqrt(2 * free)
