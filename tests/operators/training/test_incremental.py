"""Wavenumbers that grow in training: narrow models, both rules, resumed trainings, ranks, refusals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError
from sci.nn import value_and_gradients
from sci.operators import FNO, SFNO, UNO, IncrementalModes, TrainingConfig, train_operator
from sci.operators.training.incremental import GrowingModes, narrowed

FORMS = [
    {},
    {"separable": True},
    *({"factorization": f, "rank_fraction": 0.6} for f in ("tucker", "cp", "tt")),
    {"factorization": "tucker", "rank_fraction": 0.6, "joint": True},
    {"factorization": "tt", "rank_fraction": 0.9, "separable": True},
]


def waves(n=12, samples=16, seed=0):
    """Fields of wavenumbers up to 3, and their shift, which needs them all."""
    rng = np.random.default_rng(seed)
    i, j = np.meshgrid(*(2 * np.pi * np.arange(n) / n,) * 2, indexing="ij")
    a, b = rng.normal(size=(2, 3, samples, 1, 1, 1))
    x = sum(a[k - 1] * np.cos(k * i + k) + b[k - 1] * np.cos(k * j) for k in (1, 2, 3))
    return x.astype(np.float32), np.roll(x, 2, axis=2).astype(np.float32)


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_the_narrow_model_is_the_wide_one_without_other_modes(options):
    model = FNO((6, 7), 1, 1, 4, 2, seed=1, **options)
    x = np.random.default_rng(0).normal(size=(2, 1, 9, 8))
    small, own = narrowed(model, model.parameters, (3, 4))
    assert small.config.n_modes == (3, 4)
    assert own["blocks.0.skip.weight"] is model.parameters["blocks.0.skip.weight"]
    # A grid with 3 x 4 wavenumbers leaves the others out in the wide model as well.
    tiny = x[..., :3, :4]
    again = type(model).of(small.config, {n: np.ascontiguousarray(p) for n, p in own.items()})
    np.testing.assert_allclose(again(tiny), model(tiny), rtol=0, atol=1e-12)

    def loss(variables):
        narrow, parts = narrowed(model, variables, (3, 4))
        return (narrow.forward(parts, x.astype(np.float32)) ** 2).mean()

    gradients = value_and_gradients(loss, model.parameters)[1]
    assert {n: g.shape for n, g in gradients.items()} == {n: p.shape for n, p in model.parameters.items()}
    assert narrowed(model, model.parameters, (6, 7))[0] is model


def make(rule, **options):
    own = {"start": 1, "step": 2, **options}
    training = {"epochs": 40, "batch_size": 8, "loss": "l2", "learning_rate": 2e-2, "horizon": 40}
    return TrainingConfig(**training, incremental=IncrementalModes(rule, **own))


@pytest.mark.parametrize(
    "config",
    [make("loss-gap", threshold=0.05), make("gradient", threshold=0.2, every=2, buffer=1)],
    ids=lambda c: c.incremental.rule,
)
def test_wavenumbers_grow_until_the_model_has_what_it_needs(config):
    x, y = waves()
    model = FNO((7, 7), 1, 1, 8, 2, seed=2, fno_skip=None)
    sizes = []

    def keep(checkpoint):
        sizes.append(int(checkpoint.optimizer["buffers"]["used"][0]))

    trained, history = train_operator(model, x, y, config, tests={"t": (x, y)}, save=keep)
    assert sizes == sorted(sizes)
    assert 1 == sizes[0] < sizes[-1] <= 7
    assert trained.model.config.n_modes == (sizes[-1],) * 2
    frozen = replace(
        config, incremental=replace(config.incremental, threshold=0.0 if "gap" in config.incremental.rule else 1)
    )
    least, other = train_operator(model, x, y, frozen)
    assert least.model.config.n_modes == (1, 1)
    assert history.losses[-2:].mean() < 0.8 * other.losses[-2:].mean()
    assert history.metrics["l2_t"][-1] == pytest.approx(float(np.mean(history.losses[-2:])), rel=0.5)


def test_a_training_that_goes_on_is_one_that_was_never_stopped():
    x, y = waves()
    model, config = FNO((7, 7), 1, 1, 4, 2, seed=2), make("gradient", threshold=0.1, every=2)
    whole, history = train_operator(model, x, y, config)
    half = train_operator(model, x, y, replace(config, epochs=5))[1]
    resumed, again = train_operator(model, x, y, config, resume=half)
    np.testing.assert_array_equal(again.losses, history.losses)
    assert resumed.model.config == whole.model.config
    for name, value in whole.model.parameters.items():
        np.testing.assert_array_equal(resumed.model.parameters[name], value)


@pytest.mark.parametrize("rule", ["loss-gap", "gradient"])
def test_ranks_grow_together(rule):
    x, y = waves(samples=8)
    model, config = FNO((7, 7), 1, 1, 4, 1, seed=2), replace(make(rule, threshold=0.1), epochs=4)
    alone = train_operator(model, x, y, config)[0]
    both = on_ranks(2, lambda comm: train_operator(model, x, y, config, comm=comm)[0])
    for trained in both:
        assert trained.model.config.n_modes == alone.model.config.n_modes
        np.testing.assert_allclose(trained(x), alone(x), rtol=0, atol=1e-4 * np.abs(y).max())


def test_what_is_refused():
    own = IncrementalModes(start=4)
    for model in (
        SFNO((4, 4), 1, 1, 4, 1),
        UNO([(4, 4)], (4,), (1,), 1, 1, 4),
        FNO((4,), 1, 1, 4, 1, complex_data=True),
    ):
        with pytest.raises(InvalidValueError, match="for an FNO or TFNO"):
            GrowingModes(model, own)
    with pytest.raises(InvalidValueError, match="start with 4"):
        GrowingModes(FNO((4, 3), 1, 1, 4, 1), own)
    for options, name in (({"rule": "random"}, "rule"), ({"start": 0}, "start"), ({"threshold": -1.0}, "threshold")):
        with pytest.raises(InvalidValueError, match=name):
            IncrementalModes(**options)
    with pytest.raises(InvalidValueError, match="square=True"):
        TrainingConfig(loss="l2", square=True, incremental=own)
