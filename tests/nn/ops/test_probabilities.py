"""Softmax and cross-entropy against SciPy; labels that are left out or refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special
from op_cases import real

import sci.nn as P
from sci.errors import InvalidValueError


def test_softmax_is_that_of_scipy_and_does_not_overflow():
    x = 1e4 * real(3, 5)
    np.testing.assert_allclose(P.softmax(x), scipy.special.softmax(x, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(P.log_softmax(x), scipy.special.log_softmax(x, axis=-1), rtol=1e-12)
    np.testing.assert_allclose(P.silu(x), x * scipy.special.expit(x), rtol=1e-12)


def test_cross_entropy_is_the_mean_of_the_chosen_logs():
    logits, labels = real(5, 7), np.array([0, 6, 3, 3, 1])
    logs = scipy.special.log_softmax(logits, axis=-1)[np.arange(5), labels]
    assert P.cross_entropy(logits, labels) == pytest.approx(-logs.mean())
    weights = np.array([1.0, 0, 0, 3, 0])
    assert P.cross_entropy(logits, labels, weights=weights) == pytest.approx(-(logs[0] + 3 * logs[3]) / 4)


def test_padding_is_left_out_by_its_label():
    logits, labels = real(5, 7), np.array([0, -100, 3, -100, 1])
    kept = [0, 2, 4]
    loss, residuals = P.cross_entropy.forward(logits, labels, ignore_index=-100)
    assert loss == pytest.approx(P.cross_entropy(logits[kept], labels[kept]), rel=1e-14)
    gradient = P.cross_entropy.vjp(np.float64(1), residuals)[0]
    np.testing.assert_array_equal(gradient[[1, 3]], 0)
    expected = P.cross_entropy.vjp(np.float64(1), P.cross_entropy.forward(logits[kept], labels[kept])[1])[0]
    np.testing.assert_allclose(gradient[kept], expected, rtol=1e-14)
    weighted = P.cross_entropy(logits, labels, ignore_index=-100, weights=np.array([1.0, 9, 2, 9, 1]))
    assert weighted == pytest.approx(P.cross_entropy(logits[kept], labels[kept], weights=np.array([1.0, 2, 1])))


def test_labels_outside_of_the_classes_are_refused():
    logits = real(3, 4)
    for labels, options in (
        ([0, 4, 1], {}),
        ([0, -1, 1], {}),
        ([0, -100, 1], {}),
        ([0, -1, -100], {"ignore_index": -100}),
    ):
        with pytest.raises(InvalidValueError, match=r"outside of the 4 classes; .* ignore_index"):
            P.cross_entropy(logits, np.array(labels), **options)
    with pytest.raises(InvalidValueError, match="every entry is left out"):
        P.cross_entropy(logits, np.full(3, -1), ignore_index=-1)
    with pytest.raises(InvalidValueError, match="negative"):
        P.cross_entropy(logits, np.array([0, 1, 2]), weights=np.array([1.0, -1, 1]))
