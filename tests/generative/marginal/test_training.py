"""Trainings of marginalization models reach exact marginals, resume bit for bit, and share batches over ranks."""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import numpy as np
import pytest
from digit_images import digit_images
from thread_ranks import on_ranks

from sci.errors import InvalidValueError, ShapeError
from sci.generative import IsingModel, MarginalModel, fit_energy, fit_likelihood, log_weight, marginal_errors
from sci.generative.marginal.training import EnergyLoss
from sci.nn import Checkpoint, Draws, flatten_tree, value_and_gradients

F = log_weight(IsingModel((2, 2), 0.3, 0.1))


def small() -> MarginalModel:
    return MarginalModel(4, 2, hidden=32, layers=1)


def test_a_log_weight_is_learned() -> None:
    """`benchmarks/spins.py` trains on a 3 x 3 lattice, to 0.025 nat in 5,000 steps."""
    model, history = fit_energy(small(), F, steps=120, batch=64, learning_rate=1e-2, explore=0.5)
    found, before = marginal_errors(model, F), marginal_errors(small(), F)
    assert found.mean < 0.3 * before.mean
    assert found.divergence < 0.01 < before.divergence
    assert found.conditional_divergence < 0.2 * before.conditional_divergence
    assert len(history.losses) == 120


def test_chains_alone_train_as_well() -> None:
    model, _ = fit_energy(small(), F, steps=120, batch=64, learning_rate=1e-2, explore=0.0, block=3)
    found, before = marginal_errors(model, F), marginal_errors(small(), F)
    assert found.mean < 0.3 * before.mean
    assert abs(found.log_z) < 0.2 * abs(before.log_z)


@pytest.mark.parametrize("explore", [0.0, pytest.param(0.5, marks=pytest.mark.nightly)])
def test_the_divergence_is_learned_whatever_the_constant(explore: float) -> None:
    """A log-weight far from 0, whose constant the regression would have to climb to."""
    options = {"steps": 120, "batch": 64, "learning_rate": 1e-2, "explore": explore, "block": 3}
    model, _ = fit_energy(small(), lambda x: F(x) + 500.0, objective="divergence", **options)
    found, before = marginal_errors(model, lambda x: F(x) + 500.0), marginal_errors(small(), F)
    assert found.mean < 0.3 * before.mean
    assert found.divergence < min(0.03, 0.05 * before.divergence)
    assert abs(found.log_z) < 0.2 * abs(before.log_z)


def test_the_gradient_of_the_divergence_is_that_of_enumeration() -> None:
    """A new model is uniform, and so are x: the loss has twice the gradient of KL(p || exp(f) / Z) there."""
    model, n = MarginalModel(2, 2, hidden=8, layers=1, dtype=np.float64), 20_000
    f, every = np.array([0.3, -1.0, 0.7, 0.2]), np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    loss = EnergyLoss(
        *(model, lambda x: f[2 * x[:, 0] + x[:, 1]], "divergence", 1.0, 1, n, np.zeros((n, 2), np.float32), None)
    )
    _, gradients = value_and_gradients(lambda v: loss(v, np.arange(n), Draws(0, 0)), model.parameters)
    found, step = gradients["marginal"]["head"][0], 1e-5

    def divergence(place: int, by: float) -> float:
        marginal = dict(model.parameters["marginal"])
        marginal["head"] = marginal["head"] + by * (np.arange(8) == place)
        logs = model.scores({"marginal": marginal}, every, np.ones((4, 2), bool))
        logs = logs - np.logaddexp.reduce(logs)
        return float(np.exp(logs) @ (logs - f))

    slopes = np.array([(divergence(k, step) - divergence(k, -step)) / (2 * step) for k in range(8)])
    np.testing.assert_allclose(found, 2 * slopes, atol=0.05 * np.abs(slopes).max())


def same(a: Any, b: Any) -> bool:
    x, y = flatten_tree(a), flatten_tree(b)
    return list(x) == list(y) and all(np.array_equal(x[n], y[n]) for n in x)


@pytest.mark.parametrize("kind", ["energy", "likelihood"])
def test_a_training_resumes_bit_for_bit(kind: str) -> None:
    if kind == "energy":
        run = partial(fit_energy, small(), F, steps=6, batch=8, save_every=2)
    else:
        data = np.random.default_rng(0).integers(0, 2, (16, 4))
        run = partial(fit_likelihood, small(), data, epochs=3, batch=8, save_every=2)
    kept: list[Checkpoint] = []

    def save(checkpoint: Checkpoint) -> None:
        copied = {k: {n: a.copy() for n, a in part.items()} for k, part in checkpoint.optimizer.items()}
        parameters = {k: {n: a.copy() for n, a in part.items()} for k, part in checkpoint.parameters.items()}
        kept.append(Checkpoint(checkpoint.step, parameters, copied, checkpoint.losses, {}, checkpoint.settings))

    whole, _ = run(save=save)
    again, history = run(resume=kept[0])
    assert kept[0].step == 2
    assert history.step == 6
    assert same(whole.parameters, again.parameters)


@pytest.mark.parametrize("size", [2, 5])
def test_ranks_train_as_one_does(size: int) -> None:
    """Also where ranks have no samples of a batch of 4; the chains of all ranks are those of one."""
    run = partial(fit_energy, small(), F, steps=4, batch=4, block=2)
    serial, history = run()
    for model, found in on_ranks(size, lambda comm: run(comm=comm)):
        np.testing.assert_array_equal(found.optimizer["buffers"]["chains"], history.optimizer["buffers"]["chains"])
        for name, array in flatten_tree(model.parameters).items():
            np.testing.assert_allclose(array, flatten_tree(serial.parameters)[name], atol=2e-5)


def test_digits_are_likelier_than_by_independent_bits() -> None:
    images, _ = digit_images(500)
    bits = (images > 0.25).astype(np.int64)
    data, held = bits[:400], bits[400:]
    p = (data.sum(axis=0) + 1) / (len(data) + 2)
    independent = -(held * np.log(p) + (1 - held) * np.log(1 - p)).sum(axis=1).mean()
    model, history = fit_likelihood(
        MarginalModel(64, 2, hidden=64, layers=1), data, epochs=25, batch=50, learning_rate=1e-2, validation=held
    )
    nll = history.metrics["nll"].min()
    assert nll < 0.93 * independent
    order = np.random.default_rng(3).permutation(64).tolist()
    assert -model.log_likelihood(held, order=order).mean() == pytest.approx(nll, rel=0.05)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fit_energy(small(), F, steps=0), "0 steps"),
        (lambda: fit_energy(small(), F, block=5), "block 5"),
        (lambda: fit_energy(small(), F, explore=1.5), "explore 1.5"),
        (lambda: fit_energy(small(), lambda x: x), "log_weight gives"),
        (lambda: fit_likelihood(small(), np.zeros((4, 5), int)), r"expected \(n, 4\)"),
        (lambda: fit_likelihood(small(), np.full((4, 4), 2)), "values beyond"),
        (lambda: fit_likelihood(small(), np.zeros((0, 4), int)), "0 samples"),
        (lambda: fit_likelihood(small(), np.zeros((4, 4), int), weight_decay=-1.0), "weight_decay -1.0"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(call: object, text: str) -> None:
    with pytest.raises((InvalidValueError, ShapeError), match=text):
        call()  # type: ignore[operator]


def test_a_training_goes_on_with_its_own_data_alone() -> None:
    data, saved = np.random.default_rng(0).integers(0, 2, (8, 3)), []
    model = MarginalModel(3, 2, hidden=4, layers=1)
    options = {"epochs": 2, "batch": 4}
    fit_likelihood(model, data, **options, save=lambda c: saved.append(copy.deepcopy(c)))
    fit_likelihood(model, data, **options, resume=saved[0])
    for other, more in ((1 - data, {}), (data, {"epochs": 3}), (data, {"learning_rate": 0.1})):
        with pytest.raises(InvalidValueError, match="another training"):
            fit_likelihood(model, other, **{**options, **more}, resume=saved[0])
