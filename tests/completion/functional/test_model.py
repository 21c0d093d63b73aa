"""Predictions of a fitted model against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from completion_cases import sinusoids

from sci.completion import functional_cp, masked_components, observe
from sci.completion.functional import model as module

TRUTH = sinusoids((9, 10), 0.6, 0.1, seed=3)
TABLE = {"x": TRUTH.index[:, 0] / 2, "y": TRUTH.index[:, 1].astype(float)}
MODEL = functional_cp(observe(TABLE, TRUTH.values), masked_components(2, 3), restarts=2, maxiter=15)
ASKED = {"y": np.array([0.5, 3.0, 12.0]), "x": np.array([1.5, 1.25, 0.0])}


def test_mean_and_variance_are_those_of_the_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 1)  # one entry at a time
    found = MODEL.predict(ASKED)
    factors = [f.at(ASKED[f.axis.name]) for f in MODEL.factors]
    free = MODEL.components.free
    means, variances = np.zeros((3, 2)), np.zeros((3, 2))
    for m in range(3):
        for b in range(2):
            u, s = np.ones(5), np.ones((5, 5))
            for k in range(2):
                at = np.flatnonzero(free[k])
                full, cov = np.ones(5), np.zeros((5, 5))
                full[at], cov[np.ix_(at, at)] = factors[k][0][m, b], factors[k][1][m, b]
                u, s = u * full, s * (np.outer(full, full) + cov)
            means[m, b], variances[m, b] = u.sum(), s.sum() - u.sum() ** 2
    np.testing.assert_allclose(found.mean, MODEL.offset + MODEL.scale * means.mean(axis=1), rtol=1e-10)
    variance = MODEL.scale**2 * (variances.mean(axis=1) + means.var(axis=1))
    np.testing.assert_allclose(found.deviation**2, variance, rtol=1e-8)
    assert found.deviation[2] > 2 * found.deviation[:2].max()  # outside of the range
