"""Predictions of a fitted Tucker model against their definition."""

from __future__ import annotations

import numpy as np
import pytest
from completion_cases import sinusoids

from sci.completion import functional_tucker, observe
from sci.completion.functional import tucker as module
from sci.completion.functional.tucker import folded
from sci.errors import ShapeError

RNG = np.random.default_rng(4)
TRUTH = sinusoids((6, 7, 5), 0.6, 0.1)


def test_folded_pairs_give_the_same_sums() -> None:
    root = RNG.normal(size=(12, 12))
    second, ranks = root @ root.T, (2, 3, 2)
    symmetric = [RNG.normal(size=(r, r)) for r in ranks]
    symmetric = [s + s.T for s in symmetric]
    packed = [s[np.triu_indices(len(s))] for s in symmetric]
    whole = (second * np.kron(np.kron(*symmetric[:2]), symmetric[2])).sum()
    np.testing.assert_allclose(np.einsum("abc,a,b,c", folded(second, ranks, range(3)), *packed), whole, rtol=1e-12)
    part = folded(second, ranks, [0, 2])
    assert part.shape == (3, 9, 3)
    np.testing.assert_allclose(np.einsum("abc,a,b,c", part, packed[0], symmetric[1].ravel(), packed[2]), whole)


def test_mean_and_variance_are_those_of_the_products(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BLOCK", 1)
    model = functional_tucker(observe(TRUTH.index, TRUTH.values, shape=TRUTH.full.shape), (2, 2, 1), maxiter=4)
    asked = np.array([[0.5, 3.0, 2.0], [9.0, 1.0, 0.25]])
    found = model.predict(asked)
    tables = [factor.at(asked[:, k]) for k, factor in enumerate(model.factors)]
    for m in range(2):
        means, variances = [], []
        for b in range(len(model.noise)):
            u = [mean[m, b] for mean, _ in tables]
            s = [np.outer(mean[m, b], mean[m, b]) + cov[m, b] for mean, cov in tables]
            w = model.core[b].ravel()
            z, zz = np.kron(np.kron(*u[:2]), u[2]), np.kron(np.kron(*s[:2]), s[2])
            means.append(w @ z)
            variances.append(((np.outer(w, w) + model.core_covariance[b]) * zz).sum() - means[-1] ** 2)
        np.testing.assert_allclose(found.mean[m], model.offset + model.scale * np.mean(means), rtol=1e-10)
        want = model.scale**2 * (np.mean(variances) + np.var(means))
        np.testing.assert_allclose(found.deviation[m] ** 2, want, rtol=1e-8)
    with pytest.raises(ShapeError, match="core has shape"):
        type(model)(**{**vars(model), "core": model.core[:, :1]})
