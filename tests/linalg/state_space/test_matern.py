"""Transitions and noises of Matern processes against 60 digits."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.linalg import expm

from sci.errors import InvalidValueError
from sci.linalg import matern_chain

DISTANCES = np.array([1e-9, 1e-6, 1e-3, 0.01, 0.1, 0.5, 1.0, 1.9, 1.999, 2.0, 2.5, 5.0, 20.0, 700.0, 1e9])


def _exact(x: float, smoothness: float) -> tuple[np.ndarray, np.ndarray]:
    """Return A and Q = P - A P A^T to 60 digits."""
    with mpmath.workdps(60):
        d = round(smoothness + 0.5)
        drift = {1: [[-1]], 2: [[0, 1], [-1, -2]], 3: [[0, 1, 0], [0, 0, 1], [-1, -3, -3]]}[d]
        third = mpmath.mpf(1) / 3
        stationary = {1: [[1]], 2: [[1, 0], [0, 1]], 3: [[1, 0, -third], [0, third, 0], [-third, 0, 1]]}[d]
        f, p = mpmath.matrix(drift), mpmath.matrix(stationary)
        # F + I is nilpotent: exp(F x) = exp(-x) (I + (F + I) x + ...).
        nilpotent, x = f + mpmath.eye(d), mpmath.mpf(x)
        a = mpmath.exp(-x) * (mpmath.eye(d) + nilpotent * x + nilpotent * nilpotent * (x * x / 2))
        q = p - a * p * a.T
        return tuple(np.array(m.tolist(), dtype=float) for m in (a, q))  # type: ignore[return-value]


@pytest.mark.parametrize("smoothness", [0.5, 1.5, 2.5])
def test_transition_and_noise_are_right_to_rounding(smoothness: float) -> None:
    points = np.concatenate([[0.0], DISTANCES]) / (2 * smoothness) ** 0.5
    for k, x in enumerate(DISTANCES):
        chain = matern_chain(points[[0, k + 1]], np.ones((1, 1)), smoothness)
        transition, noise = _exact(float(chain.step[1, 0, 0]) if x < 800 else 800.0, smoothness)
        np.testing.assert_allclose(chain.transition[1, 0, 0], transition, rtol=0, atol=5e-16)
        np.testing.assert_allclose(chain.noise[1, 0, 0], noise, rtol=0, atol=2e-15)
        if x < 2:
            np.testing.assert_allclose(np.diag(chain.noise[1, 0, 0]), np.diag(noise), rtol=2e-14)
        if x >= 1e-3:  # below, the smallest eigenvalue is less than the rounding of the largest
            assert np.linalg.eigvalsh(chain.noise[1, 0, 0]).min() > 0


@pytest.mark.parametrize("smoothness", [0.5, 1.5, 2.5])
def test_drift_and_growth_are_the_derivatives(smoothness: float) -> None:
    chain = matern_chain(np.array([0.0, 0.7]), np.full((1, 1), 0.9), smoothness)
    x = chain.step[1, 0, 0]
    np.testing.assert_allclose(chain.transition[1, 0, 0], expm(chain.drift * x), atol=1e-14)
    h = 1e-6
    near = [_exact(x * (1 + sign * h), smoothness)[1] for sign in (1, -1)]
    np.testing.assert_allclose(chain.noise_growth[1, 0, 0], (near[0] - near[1]) / (2 * h), atol=1e-9)
    assert not chain.noise_growth[0].any()


def test_the_chain_starts_from_the_stationary_process_and_keeps_it() -> None:
    chain = matern_chain(np.array([0.0, 0.0, 0.3, 4.0]), np.full((1, 2), 0.5), 2.5)
    covariance = np.zeros((1, 2, 3, 3))
    for a, q in zip(chain.transition, chain.noise):
        covariance = a @ covariance @ np.swapaxes(a, -1, -2) + q
        np.testing.assert_allclose(covariance, np.broadcast_to(chain.noise[0], covariance.shape), atol=1e-15)


@pytest.mark.parametrize(
    ("points", "lengths", "smoothness", "text"),
    [
        ([0.0, 1.0], [[1.0]], 1.0, "smoothness is 1.0; expected 0, 0.5, 1.5 or 2.5"),
        ([1.0, 0.0], [[1.0]], 1.5, "points do not ascend"),
        ([0.0, 1.0], [[0.0]], 1.5, "length_scales go down to 0"),
        ([0.0, np.nan], [[1.0]], 1.5, "points holds 1 values"),
    ],
)
def test_wrong_arguments_are_refused(points: list, lengths: list, smoothness: float, text: str) -> None:
    with pytest.raises(InvalidValueError, match=text):
        matern_chain(np.array(points), np.array(lengths), smoothness)
