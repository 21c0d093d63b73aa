"""The training of a next-scale model: it learns, resumes bit for bit, and is the same on ranks."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from next_scale_cases import conditional, line_quantizer, small_config
from thread_ranks import ThreadComm, on_ranks

from sci.compression import MultiScaleVQ
from sci.errors import InvalidValueError
from sci.generative import NextScaleConfig, NextScaleModel, ScaleTokens, train_next_scale
from sci.nn import AdamW, Checkpoint, constant


def coins(n: int, seed: int = 0) -> tuple[MultiScaleVQ, NextScaleConfig, ScaleTokens]:
    """Return fields of two cells: a label says their mean, a coin the sign of the step between them."""
    quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-1.0]]), [(1,), (2,)])
    config = small_config(quantizer, classes=2, layers=1)
    rng = np.random.default_rng(seed)
    labels, coin = rng.integers(0, 2, (2, n))
    step = (2 * coin - 1)[:, None] * np.array([0.6, -0.6])
    fields = (2 * labels - 1)[:, None] + step
    return quantizer, config, ScaleTokens.of(config, quantizer, fields[:, None], labels=labels)


def test_a_model_learns_what_can_be_known() -> None:
    """The first code follows from the label, the two others are a coin each: they are drawn independently."""
    quantizer, config, tokens = coins(256)
    tests = coins(200, seed=1)[2]
    trained, history = train_next_scale(
        NextScaleModel.create(config), tokens, epochs=12, optimizer=AdamW(0.01), tests={"held": tests}
    )
    nats = trained.nats(tests)
    assert nats[0] < 0.02
    assert abs(nats[1] - np.log(2)) < 0.02
    assert history.metrics["nats_held"][-1] == pytest.approx(np.average(nats, weights=(1, 2)), rel=1e-6)
    codes = trained.sample(quantizer, 50, labels=np.ones(50, int))
    assert (codes[0] == 1).all()
    free = trained.sample(quantizer, 200)[0]
    assert 0.3 < (free == 1).mean() < 0.7


def test_a_training_resumes_to_the_same_bits() -> None:
    _, config, tokens = coins(64)
    model, kept = NextScaleModel.create(config), []
    options = {"epochs": 4, "schedule": constant(), "drop": 0.2, "tests": {"own": tokens}, "patience": 3}
    whole, _ = train_next_scale(model, tokens, **options)

    def save(checkpoint: Checkpoint) -> None:
        if checkpoint.step == 4:
            arrays = {n: p.copy() for n, p in checkpoint.parameters.items()}
            state = {k: {n: a.copy() for n, a in part.items()} for k, part in checkpoint.optimizer.items()}
            kept.append(Checkpoint(4, arrays, state, checkpoint.losses, checkpoint.metrics, checkpoint.settings))

    train_next_scale(model, tokens, save=save, **{**options, "epochs": 2})
    resumed, _ = train_next_scale(model, tokens, resume=kept[0], **options)
    assert all((resumed.parameters[n] == p).all() for n, p in whole.parameters.items())
    with pytest.raises(InvalidValueError, match=r"drop: 0\.2 then, 0\.3 now"):
        train_next_scale(model, tokens, resume=kept[0], **{**options, "drop": 0.3})


def test_ranks_train_the_same_model() -> None:
    _, config, tokens = coins(40)
    model = NextScaleModel.create(config, dtype=np.float64)
    options = {"epochs": 2, "batch_size": 7, "drop": 0.3, "average": 0.5}
    serial, history = train_next_scale(model, tokens, **options)

    def body(comm: ThreadComm) -> None:
        found, own = train_next_scale(model, tokens, comm=comm, **options)
        np.testing.assert_allclose(own.losses, history.losses, rtol=1e-10)
        for name, p in serial.parameters.items():
            np.testing.assert_allclose(found.parameters[name], p, rtol=0, atol=1e-9)

    on_ranks(3, body)


def test_what_does_not_fit_is_named() -> None:
    _, model, tokens = conditional(2)
    _, config, other = coins(4)
    for says, options in (
        ("drop is 1.0", {"drop": 1.0}),
        ("drop is -0.1", {"drop": -0.1}),
        ("patience is 2 without tests", {"patience": 2}),
    ):
        with pytest.raises(InvalidValueError, match=says):
            train_next_scale(model, tokens, epochs=1, **options)
    with pytest.raises(InvalidValueError, match="tokens of no fields"):
        train_next_scale(NextScaleModel.create(config), other[np.arange(0)], epochs=1)
    bare = small_config(line_quantizer(), classes=2)
    with pytest.raises(InvalidValueError, match="no labels"):
        train_next_scale(NextScaleModel.create(bare), ScaleTokens(other.codes, other.inputs), epochs=1)


def test_a_training_goes_on_with_its_own_fields_alone() -> None:
    quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-1.0]]), [(1,), (2,)])
    config = NextScaleConfig.of(quantizer, width=8, heads=2, layers=1)
    fields, saved = np.random.default_rng(0).normal(size=(6, 1, 2)), []
    tokens, other = (ScaleTokens.of(config, quantizer, f) for f in (fields, fields[::-1]))
    model = NextScaleModel.create(config)
    train_next_scale(model, tokens, epochs=2, batch_size=3, save=lambda c: saved.append(copy.deepcopy(c)))
    train_next_scale(model, tokens, epochs=2, batch_size=3, resume=saved[0])
    with pytest.raises(InvalidValueError, match="tokens: "):
        train_next_scale(model, other, epochs=2, batch_size=3, resume=saved[0])
    with pytest.raises(InvalidValueError, match="horizon: 2 then, 4 now"):
        train_next_scale(model, tokens, epochs=4, batch_size=3, resume=saved[0])


def test_the_loss_of_no_fields_is_refused_and_slices_are_fields() -> None:
    quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-1.0]]), [(1,), (2,)])
    config = NextScaleConfig.of(quantizer, width=8, heads=2, layers=1)
    tokens = ScaleTokens.of(config, quantizer, np.random.default_rng(0).normal(size=(6, 1, 2)))
    model = NextScaleModel.create(config)
    with pytest.raises(InvalidValueError, match="no fields"):
        model.loss(model.parameters, tokens[:0])
    np.testing.assert_array_equal(tokens[2:4].codes, tokens[np.array([2, 3])].codes)
