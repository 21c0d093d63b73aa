"""The smoother against the dense Gaussian process, its scores against central differences."""

from __future__ import annotations

import numpy as np
import pytest
from state_space_cases import case, dense, messages

from sci.errors import SciError
from sci.linalg import log_evidence, matern_chain, smooth


@pytest.mark.parametrize("smoothness", [0.0, 0.5, 1.5, 2.5])
@pytest.mark.parametrize("seed", range(3))
def test_the_posterior_is_that_of_the_dense_process(smoothness: float, seed: int) -> None:
    given = case(smoothness, seed=seed)
    found = smooth(*messages(given))
    evidence = log_evidence(*messages(given))
    np.testing.assert_array_equal(found.log_evidence, evidence)
    for group in range(2):
        mean, covariance, log_z = dense(given, group)
        np.testing.assert_allclose(found.mean[:, group], mean, rtol=0, atol=1e-13)
        np.testing.assert_allclose(found.covariance[:, group], covariance, rtol=0, atol=5e-15)
        np.testing.assert_allclose(evidence[group], log_z, rtol=0, atol=1e-12)


@pytest.mark.parametrize("smoothness", [0.0, 0.5, 1.5, 2.5])
def test_the_scores_are_derivatives_of_the_evidence(smoothness: float) -> None:
    given = case(smoothness, seed=4)
    found = smooth(*messages(given), length_score=True)
    assert found.length_score is not None
    step = 1e-4
    for k in range(3):
        # Richardson's combination of two central differences: an error of the fourth order.
        for name, score in (("variance", found.variance_score), ("lengths", found.length_score)):
            differences = []
            for h in (step, 2 * step):
                values = []
                for sign in (1, -1):
                    changed = {f: getattr(given, f).copy() for f in ("variance", "lengths")}
                    changed[name][:, k] *= np.exp(sign * h)
                    chain = matern_chain(given.points, changed["lengths"], smoothness)
                    values.append(log_evidence(chain, changed["variance"], given.precision, given.information))
                differences.append((values[0] - values[1]) / (2 * h))
            expected = (4 * differences[0] - differences[1]) / 3
            np.testing.assert_allclose(score[:, k], expected, rtol=0, atol=1e-8)


def test_a_process_without_variance_stays_zero() -> None:
    given = case(2.5)
    given.variance[:, 1] = 0.0
    found = smooth(*messages(given))
    assert not found.mean[..., 1].any()
    assert not found.covariance[..., 1].any()


def test_strong_messages_are_met() -> None:
    """Messages 1e12 times as sharp as the prior pin the values; the covariance keeps its sign."""
    given = case(2.5, duplicates=False)
    target = np.sin(given.points)[:, None, None] * np.ones((1, 2, 3))
    precision = np.full(given.precision.shape, 0.0)
    precision[..., np.arange(3), np.arange(3)] = 1e12
    found = smooth(given.chain, given.variance, precision, 1e12 * target)
    np.testing.assert_allclose(found.mean, target, atol=1e-9)
    assert np.linalg.eigvalsh(found.covariance).min() > 0


def test_wrong_messages_are_refused() -> None:
    given = case(1.5)
    wrong = [
        (-given.variance, given.precision, given.information),
        (given.variance[:1], given.precision, given.information),
        (given.variance, given.precision[1:], given.information),
        (given.variance, given.precision, given.information * np.nan),
    ]
    for arguments in wrong:
        with pytest.raises(SciError, match=r"variance|precision|information"):
            smooth(given.chain, *arguments)
    empty = matern_chain(np.zeros(0), np.ones((1, 1)), 1.5)
    with pytest.raises(SciError, match="at least one point"):
        smooth(empty, np.ones((1, 1)), np.zeros((0, 1, 1, 1)), np.zeros((0, 1, 1)))
