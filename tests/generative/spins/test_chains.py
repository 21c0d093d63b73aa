"""Monte Carlo means agree with transfer matrices, and chains are the same on any number of ranks."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError, SamplingWarning, ShapeError
from sci.generative import IsingModel, PottsModel, SpinChains, sample_spins, temper_spins, transfer_matrix


@pytest.mark.parametrize("method", ["heat_bath", "metropolis", "swendsen_wang"])
@pytest.mark.parametrize("model", [IsingModel((6, 8), 0.35, 0.05), IsingModel((12,), 0.7, 0.2)], ids=repr)
def test_means_of_an_ising_model_are_exact_ones(method: str, model: IsingModel) -> None:
    chains = sample_spins(model, replicas=32, sweeps=150, warm_up=50, method=method, seed=1)
    exact = transfer_matrix(model)
    for found, expected in ((chains.energy(), exact.energy), (chains.magnetization(), exact.magnetization)):
        assert abs(found.value - expected) < 4.5 * found.error
        assert found.error < 0.06 * abs(expected)


def test_means_of_three_axes_and_of_potts_states_are_exact_ones() -> None:
    for model, method in (
        (IsingModel((2, 2, 4), 0.2, 0.1), "metropolis"),
        (PottsModel((4, 4), 3, 0.7), "swendsen_wang"),
        (PottsModel((3, 4), 3, -0.7, 0.3), "heat_bath"),
    ):
        found, exact = (
            sample_spins(model, 0.9, replicas=32, sweeps=150, method=method).energy(),
            transfer_matrix(model, beta=0.9),
        )
        assert abs(found.value - exact.energy) < 4.5 * found.error < 0.1 * abs(exact.energy)


def test_second_moments_are_derivatives_of_first_ones() -> None:
    model, step = IsingModel((6, 6), 0.3), 1e-4
    chains = sample_spins(model, replicas=64, sweeps=300, seed=2)
    slope = (transfer_matrix(model, beta=1 + step).energy - transfer_matrix(model, beta=1 - step).energy) / (2 * step)
    found = chains.heat_capacity()
    assert abs(found.value + slope / 36) < 5 * found.error < 0.1 * found.value
    assert 0 < chains.susceptibility().value < 10
    assert chains.magnetization(absolute=True).value > abs(chains.magnetization().value)


def same(a: SpinChains, b: SpinChains) -> bool:
    return all(
        np.array_equal(getattr(a, n), getattr(b, n)) for n in ("betas", "energies", "fields", "states", "exchanges")
    )


@pytest.mark.parametrize("size", [2, 5])
def test_chains_are_the_same_on_any_number_of_ranks(size: int) -> None:
    """Also where ranks have no replica."""
    for model, method in (
        (IsingModel((4, 6), 0.4), "heat_bath"),
        (PottsModel((3, 3), 3), "swendsen_wang"),
        (PottsModel((3, 2), 3), "heat_bath"),
    ):
        run = partial(sample_spins, model, [0.5, 1.0], replicas=2, sweeps=5, warm_up=2, method=method, seed=3)
        for found in on_ranks(size, lambda comm, run=run: run(comm=comm)):
            assert same(found, run())
    run = partial(temper_spins, IsingModel((4, 4)), [0.3, 0.5, 0.7], ladders=3, sweeps=6, warm_up=1, seed=5)
    for found in on_ranks(size, lambda comm: run(comm=comm)):
        assert same(found, run())


def test_tempering_leaves_each_temperature_its_distribution() -> None:
    model, betas = IsingModel((6, 6)), [0.35, 0.45, 0.55]
    chains = temper_spins(model, betas, ladders=24, sweeps=250, seed=1)
    assert ((chains.exchanges > 0.2) & (chains.exchanges < 1)).all()
    for beta in betas:
        found = chains.energy(beta)
        assert abs(found.value - transfer_matrix(model, beta=beta).energy) < 4.5 * found.error


def test_cold_chains_of_both_signs_are_told() -> None:
    """The mean of chains that never turn is that of their starts: 0 in truth, and +-1 by few starts."""
    model = IsingModel((8, 8))
    start = np.where(np.arange(6) < 4, 1, -1)[:, None, None] * np.ones((6, 8, 8), int)
    stuck = sample_spins(model, 0.8, replicas=6, sweeps=40, start=start, seed=1)
    with pytest.warns(SamplingWarning, match=r"stay there: .* take absolute=True"):
        stuck.magnetization()
    assert stuck.magnetization(absolute=True).value > 0.9
    ordered = sample_spins(model, 0.8, replicas=6, sweeps=40, start="ordered")
    with pytest.warns(SamplingWarning, match="the energy of -s is that of s"):
        ordered.magnetization()
    assert sample_spins(IsingModel((8, 8), field=0.5), 0.8, sweeps=40).magnetization().value > 0.9


def test_starts_are_taken_and_repeated() -> None:
    model = IsingModel((4, 4), 0.2)
    ordered = sample_spins(model, 50.0, replicas=2, sweeps=2, warm_up=0, start="ordered")
    assert (ordered.states == 1).all()
    given = np.ones((2, 4, 4), np.int8)
    assert same(sample_spins(model, 50.0, replicas=2, sweeps=2, warm_up=0, start=given), ordered)
    assert same(sample_spins(model, sweeps=3, seed=1), sample_spins(model, sweeps=3, seed=1))
    assert not same(sample_spins(model, sweeps=3, seed=1), sample_spins(model, sweeps=3, seed=2))


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: sample_spins(IsingModel((5, 4))), "odd side"),
        (lambda: sample_spins(IsingModel((4, 4)), -1.0), "beta is -1.0"),
        (lambda: sample_spins(IsingModel((4, 4)), float("nan")), "beta"),
        (lambda: sample_spins(IsingModel((4, 4)), replicas=0), "replicas is 0"),
        (lambda: sample_spins(IsingModel((4, 4)), sweeps=1), "expected 2 sweeps or more"),
        (lambda: sample_spins(PottsModel((4, 4), 3), method="metropolis"), "expected 'heat_bath' or 'swendsen_wang'"),
        (lambda: sample_spins(IsingModel((4, 4), -1.0), method="swendsen_wang"), "antiferromagnet"),
        (lambda: sample_spins(IsingModel((4, 4)), start=np.zeros((8, 4, 4))), "with values of -1, 1"),
        (lambda: temper_spins(IsingModel((4, 4)), [0.5, 0.4]), "that rise"),
        (lambda: sample_spins(IsingModel((4, 4)), [0.1, 0.2], sweeps=2).energy(), "expected one of 0.1, 0.2"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: object, text: str) -> None:
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        call()  # type: ignore[operator]


@pytest.mark.parametrize("beta", [0.0, 1e-4, 0.02])
def test_metropolis_forgets_its_start_when_hot(beta: float) -> None:
    """A flip of every spin, accepted always, would leave the energy of the start for ever."""
    found = sample_spins(IsingModel((8, 8), 1.0), beta, replicas=4, sweeps=300, method="metropolis", seed=3).energy()
    assert found.tau < 1.5
    assert found.error < 1
    assert abs(found.value + 128 * math.tanh(beta)) < 4 * found.error
