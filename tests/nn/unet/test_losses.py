"""Cross-entropy with Dice against its formula and central differences; scores of labels."""

from __future__ import annotations

import numpy as np
import pytest

import sci.nn as P
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn.unet.losses import supervised_loss

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(2, 4, 5, 3))
LABELS = RNG.integers(0, 4, size=(2, 5, 3))


def formula(logits: np.ndarray, labels: np.ndarray) -> float:
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    hot = np.moveaxis(np.eye(logits.shape[1])[labels], -1, 1)
    grid = tuple(range(2, logits.ndim))
    dice = (2 * (p * hot).sum(grid) + 1e-5) / (p.sum(grid) + hot.sum(grid) + 1e-5)
    return -np.log((p * hot).sum(axis=1)).mean() + 1 - dice.mean()


def test_the_loss_is_its_formula():
    assert P.dice_cross_entropy(LOGITS, LABELS) == pytest.approx(formula(LOGITS, LABELS), rel=1e-13)
    assert P.dice_cross_entropy(LOGITS.astype("f4"), LABELS) == pytest.approx(formula(LOGITS, LABELS), rel=1e-6)
    assert np.isfinite(P.dice_cross_entropy(1e4 * LOGITS, LABELS))


def test_the_gradient_is_that_of_the_formula():
    _, residuals = P.dice_cross_entropy.forward(LOGITS, LABELS)
    found, none = P.dice_cross_entropy.vjp(np.asarray(1.7), residuals)
    assert none is None
    for at in [(0, 0, 0, 0), (1, 3, 4, 2), (0, 2, 3, 1), (1, 1, 0, 2)]:
        moved = [LOGITS.copy() for _ in range(2)]
        for k, step in enumerate((1e-5, -1e-5)):
            moved[k][at] += step
        slope = 1.7 * (formula(moved[0], LABELS) - formula(moved[1], LABELS)) / 2e-5
        assert found[at] == pytest.approx(slope, rel=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-14)  # softmax does not see a constant


def test_levels_have_halving_weights_and_every_second_label():
    coarse = RNG.normal(size=(2, 4, 3, 2))
    expected = (2 * formula(LOGITS, LABELS) + formula(coarse, LABELS[:, ::2, ::2])) / 3
    assert supervised_loss((LOGITS, coarse), LABELS) == pytest.approx(expected, rel=1e-13)


def test_scores_of_labels():
    truth = np.array([[0, 0, 1], [1, 2, 2]])
    np.testing.assert_array_equal(P.dice_scores(truth, truth, 3), [1, 1, 1])
    found = P.dice_scores(np.array([[0, 1, 1], [1, 1, 2]]), truth, 4)
    np.testing.assert_allclose(found[:3], [2 / 3, 4 / 6, 2 / 3])
    assert np.isnan(found[3])


def test_labels_that_do_not_fit_are_refused():
    for labels, error, words in (
        (LABELS.astype(float), DTypeError, "expected integers"),
        (LABELS[:, :4], ShapeError, "without classes"),
        (LABELS + 1, InvalidValueError, "0 to 3"),
        (LABELS - 1, InvalidValueError, "0 to 3"),
    ):
        with pytest.raises(error, match=words):
            P.dice_cross_entropy(LOGITS, labels)
    with pytest.raises(ShapeError, match="classes"):
        P.dice_cross_entropy(LOGITS[0, 0], LABELS[0, 0])
    with pytest.raises(InvalidValueError, match="0 to 1"):
        P.dice_scores(LABELS, LABELS, 2)


def test_an_empty_batch_is_refused_as_what_it_is():
    with pytest.raises(ShapeError, match=r"labels of shape \(0, 16\); expected one label or more"):
        P.dice_cross_entropy(np.zeros((0, 3, 16)), np.zeros((0, 16), int))
