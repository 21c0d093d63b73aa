"""The training set: Lanczos, Ritz vectors, right-hand sides."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.linalg import lanczos, ritz_vectors
from sci.solvers import PoissonOperator
from sci.solvers.dcdm.training_set import RitzSamples, ritz_right_hand_sides

RNG = np.random.default_rng(12)
MASK = RNG.random((8, 8, 8)) > 0.1
A = PoissonOperator(MASK)


def test_lanczos_finds_the_spectrum_of_a_box():
    box = PoissonOperator(np.ones((8, 8, 8), dtype=bool))
    basis, alpha, beta = lanczos(box.matvec, 512, 512)
    assert np.abs(basis @ basis.T - np.eye(len(basis))).max() <= 1e-10
    values, vectors = ritz_vectors(basis, alpha, beta)
    one = 2 - 2 * np.cos(np.pi * np.arange(1, 9) / 9)
    exact = np.unique(np.round(one[:, None, None] + one[None, :, None] + one[None, None, :], 9))
    # A start vector meets each eigenspace once, and then again through rounding.
    assert np.abs(values[:, None] - exact).min(axis=1).max() <= 1e-8
    assert np.abs(values[:, None] - exact).min(axis=0).max() <= 1e-8
    residual = np.stack([box.matvec(v) for v in vectors]) - values[:, None] * vectors
    assert np.abs(residual).max() <= 1e-8


def test_right_hand_sides_have_weight_on_the_lower_spectrum():
    basis, alpha, beta = lanczos(A.matvec, A.size, 60)
    _, vectors = ritz_vectors(basis, alpha, beta)
    rows = ritz_right_hand_sides(vectors, 4000, lower=0.6, dtype=np.float64)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-12)
    spread = (rows @ vectors.T).std(axis=0)
    assert spread[:36].mean() / spread[36:].mean() == pytest.approx(9, rel=0.05)
    with pytest.raises(InvalidValueError, match="count"):
        ritz_right_hand_sides(vectors, 0)
    samples = RitzSamples(vectors, 4000, lower=0.6, seed=3)
    assert len(samples) == 4000
    batch = samples[np.arange(4000)]
    np.testing.assert_allclose(np.linalg.norm(batch, axis=1), 1, rtol=1e-12)
    spread = (batch @ vectors.T).std(axis=0)
    assert spread[:36].mean() / spread[36:].mean() == pytest.approx(9, rel=0.05)
    np.testing.assert_allclose(samples[np.array([7, 3999])], batch[[7, 3999]], rtol=1e-12, atol=1e-15)
    assert abs(RitzSamples(vectors, 9, seed=4)[[7]] - batch[7]).max() > 0.01
    with pytest.raises(InvalidValueError, match="count"):
        RitzSamples(vectors, 0)
