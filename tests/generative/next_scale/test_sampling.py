"""Draws with kept keys and values: the training forward, exact frequencies, the same fields on any ranks."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from next_scale_cases import conditional, conditions, line_quantizer, rough_model, small_config
from scipy.stats import chi2
from thread_ranks import ThreadComm, on_ranks

from sci.compression import MultiScaleVQ
from sci.errors import InvalidValueError, ShapeError
from sci.generative import NextScaleModel, Sampling, ScaleTokens
from sci.generative.next_scale.filters import guided, probabilities
from sci.generative.next_scale.sampling import Inference

CODES = [np.array(c) for c in itertools.product(range(3), repeat=3)]


def all_sequences(model: NextScaleModel, quantizer: object, **given: np.ndarray) -> ScaleTokens:
    codes = [np.stack([c[:1] for c in CODES]), np.stack([c[1:] for c in CODES])]
    return ScaleTokens.of_codes(model.config, quantizer, codes, dtype=np.float64, **given)


def exact(model: NextScaleModel, quantizer: object, rule: Sampling, label: int | None) -> np.ndarray:
    """Return the probability of each of the 27 sequences, from the training forward."""
    tokens = all_sequences(model, quantizer, labels=np.full(27, label or 0))
    conditional, free = (
        model._logits(model.parameters, tokens, np.arange(3), keep, {"blocks": (1, 2), "scale": 1.0})[0]
        for keep in (None, np.zeros(27))
    )
    logits = free if label is None else conditional.copy()
    if rule.guidance:
        logits[:, 1:] = guided(conditional[:, 1:], free[:, 1:], rule.guidance)
    chosen = np.take_along_axis(probabilities(logits, rule), tokens.codes[..., None], axis=-1)
    return chosen[..., 0].prod(axis=1)


@pytest.mark.parametrize("keep", [None, np.array([1.0, 0.0, 1.0, 0.0])])
def test_inference_from_the_cache_is_the_training_forward(keep: np.ndarray | None) -> None:
    _, model, tokens = conditional()
    options = {"blocks": model.config.blocks, "scale": 1.0}
    whole, _ = model._logits(model.parameters, tokens, np.arange(14), keep, options)
    inference = Inference(model.config, model.parameters, tokens.condition, keep)
    ends = np.cumsum(model.config.blocks)
    for start, end in zip(ends - model.config.blocks, ends):
        np.testing.assert_allclose(
            inference.logits(tokens.inputs[:, start:end]), whole[:, start:end], rtol=0, atol=1e-12
        )


@pytest.mark.parametrize(
    ("rule", "label"),
    [
        (Sampling(), None),
        (Sampling(), 1),
        (Sampling(temperature=0.7, top_k=2), 0),
        (Sampling(top_p=0.8, guidance=2.0), 1),
    ],
)
def test_frequencies_are_the_exact_probabilities(rule: Sampling, label: int | None) -> None:
    quantizer, n = line_quantizer(), 4000
    model = rough_model(small_config(quantizer, classes=2, layers=1), size=0.7)
    given = {} if label is None else {"labels": np.full(n, label)}
    first, rest = model.sample(quantizer, n, sampling=rule, seed=5, batch_size=1000, **given)
    counts = np.bincount(first[:, 0] * 9 + rest[:, 0] * 3 + rest[:, 1], minlength=27)
    p = exact(model, quantizer, rule, label)
    assert abs(p.sum() - 1) < 1e-12
    assert not counts[p == 0].any()
    expected = n * p[p > 0]
    statistic = float(((counts[p > 0] - expected) ** 2 / expected).sum())
    assert statistic < chi2.ppf(1 - 1e-4, len(expected) - 1)
    wrong = np.roll(expected, 1)
    assert float(((counts[p > 0] - wrong) ** 2 / wrong).sum()) > 10 * statistic


def test_ranks_and_restarts_draw_the_same_fields() -> None:
    quantizer, model, _ = conditional(1)
    given, n = conditions(11), 11
    options = {"sampling": Sampling(guidance=1.0), "seed": 3, "batch_size": 2, **given}
    whole = model.sample(quantizer, n, **options)
    for size in (2, 3, 4):

        def body(comm: ThreadComm) -> tuple:
            return model.sample(quantizer, n, comm=comm, **options)

        for found in on_ranks(size, body):
            assert all((a == b).all() for a, b in zip(found, whole))
    other = model.sample(quantizer, n, **{**options, "seed": 4})
    assert any((a != b).any() for a, b in zip(other, whole))
    larger = model.sample(quantizer, n, **{**options, "batch_size": 11})
    assert all((a == b).all() for a, b in zip(larger, whole))


def test_given_scales_are_kept_and_finer_ones_follow_them() -> None:
    quantizer, model, tokens = conditional(6)
    truth = quantizer.split(tokens.codes)
    found = model.sample(quantizer, 6, given=truth[:2], seed=1, **conditions(6))
    for a, b in zip(found[:2], truth[:2]):
        np.testing.assert_array_equal(a, b)
    whole = model.sample(quantizer, 6, given=truth, **conditions(6))
    assert all((a == b).all() for a, b in zip(whole, truth))
    free = model.sample(quantizer, 6, seed=1, **conditions(6))
    again = model.sample(quantizer, 6, seed=1, given=free[:1], **conditions(6))
    assert all((a == b).all() for a, b in zip(free, again))


def test_no_fields_and_bad_input() -> None:
    quantizer, model, tokens = conditional(2)
    given = conditions(2)
    assert [c.shape for c in model.sample(quantizer, 0)] == [(0, 1, 1), (0, 2, 2), (0, 3, 3)]
    truth = quantizer.split(tokens.codes)
    for error, says, options in (
        (InvalidValueError, "n -1", {"n": -1}),
        (InvalidValueError, "batch_size 0", {"batch_size": 0}),
        (InvalidValueError, "seed -2", {"seed": -2}),
        (InvalidValueError, "guidance is 1.0 without a condition", {"sampling": Sampling(guidance=1.0)}),
        (InvalidValueError, "labels from 0 to 3", {**given, "labels": np.array([0, 3])}),
        (InvalidValueError, "no features, context", {"labels": given["labels"]}),
        (ShapeError, "given codes of scale 0", {"given": truth[1:]}),
        (ShapeError, "codes of 4 scales are given", {"given": (*truth, truth[2])}),
        (InvalidValueError, "codes of scale 0 from 9 to 9", {"given": (np.full((2, 1, 1), 9),)}),
    ):
        with pytest.raises(error, match=says):
            model.sample(quantizer, **{"n": 2, **options})
    with pytest.raises(InvalidValueError, match="another codebook"):
        model.sample(MultiScaleVQ(quantizer.codebook + 1, quantizer.scales), 2)
