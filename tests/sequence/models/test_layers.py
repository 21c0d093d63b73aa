"""The layers of TransNormer against central differences and the published formulas."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp

from sci.errors import InvalidValueError
from sci.sequence import (
    lightning_attention,
    lrpe,
    simple_rms_norm,
    token_loss,
    transnormer_decays,
)

RNG = np.random.default_rng(2)


def test_pairs():
    assert_vjp(simple_rms_norm, [RNG.normal(size=(2, 3, 5))])
    assert_vjp(lrpe, [RNG.normal(size=(2, 3, 7, 4)), RNG.normal(size=(3, 4))], start=11)
    assert_vjp(token_loss, [RNG.normal(size=(2, 3, 5)), RNG.integers(0, 5, (2, 3))], total=9)
    assert token_loss(np.empty((2, 0, 5)), np.empty((2, 0), int), total=4) == 0.0


def test_rotation_makes_scores_depend_on_distance_alone():
    q, k, theta = RNG.normal(size=(1, 1, 4)), RNG.normal(size=(1, 1, 4)), RNG.normal(size=(1, 4))
    for t, s in ((0, 0), (5, 2), (103, 100)):
        a, b = lrpe(q, theta, start=t), lrpe(k, theta, start=s)
        np.testing.assert_allclose((a * b).sum(), (q * k * np.cos(theta * (t - s))).sum(), rtol=1e-12)


def test_rotation_and_decay_are_the_published_score():
    """q_t^T k_s lam^(t - s) exp(i theta (t - s)), real part, summed over s against values."""
    n, d, lam = 9, 4, 0.8
    q, k, v, theta = (
        RNG.normal(size=(1, n, d)),
        RNG.normal(size=(1, n, d)),
        RNG.normal(size=(1, n, 3)),
        RNG.normal(size=(1, d)),
    )
    out, _ = lightning_attention(lrpe(q, theta), lrpe(k, theta), v, np.array([-np.log(lam)]))
    for t in range(n):
        phases = [
            lam ** (t - s) * np.real(np.sum(q[0, t] * k[0, s] * np.exp(1j * theta[0] * (t - s)))) for s in range(t + 1)
        ]
        np.testing.assert_allclose(out[0, t], phases @ v[0, : t + 1], rtol=1e-11, atol=1e-12)


def test_decays_reach_further_in_later_layers():
    decays = np.array([transnormer_decays(4, layer, 6) for layer in range(6)])
    np.testing.assert_allclose(decays[0], [0.25, 0.0625, 0.015625, 0.00390625], rtol=2e-5)
    np.testing.assert_allclose(decays[3] / decays[0], 0.4, rtol=2e-5)
    np.testing.assert_allclose(transnormer_decays(2, 0, 1), [0.0625, 0.00390625])
    assert (np.diff(decays, axis=0) < 0).all()
    with pytest.raises(InvalidValueError, match="layer 6 of 6"):
        transnormer_decays(4, 6, 6)


@pytest.mark.parametrize("start", [0, 10**5, 10**7, 10**9])
def test_rotations_in_single_precision_are_right_at_any_position(start):
    rng = np.random.default_rng(0)
    x, theta = rng.normal(size=(2, 5, 8)).astype("f4"), (10000.0 ** (-np.arange(8) / 8) * np.ones((2, 1))).astype("f4")
    angle = theta.astype("f8")[:, None] * (start + np.arange(5.0))[:, None]
    expected = np.concatenate([x * np.cos(angle), x * np.sin(angle)], axis=-1)
    found, residuals = lrpe.forward(x, theta, start=start)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(lrpe.vjp(found, residuals)[0], x, rtol=0, atol=2e-6)
