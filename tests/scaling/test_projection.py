"""The projected problem: coefficients from 0 as by SciPy, Kaufman's derivative, and the best exponents of a scan."""

from __future__ import annotations

import numpy as np
from scipy.optimize import nnls

from sci.scaling.projection import Projection

RNG = np.random.default_rng(0)
U = np.log(np.geomspace(0.01, 100, 12))[:, None]
LOSS = np.array([0.4 + np.exp(-0.3 * U[:, 0]), np.exp(-0.2 * U[:, 0]), 0.5 + np.exp(0.4 * U[:, 0])])
LOSS = LOSS * (1 + 0.05 * RNG.standard_normal(LOSS.shape))
LOGS = np.log([[0.25], [0.5], [0.4]])
WEIGHTS = RNG.uniform(0.5, 1, LOSS.shape)
PROBLEM = Projection(U, np.ptp(U, axis=0))


def test_coefficients_are_the_best_ones_from_zero() -> None:
    found, basis, residuals, _ = PROBLEM.projected(LOGS, LOSS, WEIGHTS)
    for k in range(3):
        scale = np.sqrt(WEIGHTS[k]) / LOSS[k]
        best, left = nnls(basis[k] * scale[:, None], np.sqrt(WEIGHTS[k]))
        np.testing.assert_allclose(found[k], best, atol=1e-12)
        np.testing.assert_allclose(np.linalg.norm(residuals[k]), left, rtol=1e-10)
    assert found[2, 1] == 0  # a rising loss has no falling part


def test_the_derivative_of_the_cost_is_that_of_differences() -> None:
    _, _, residuals, slopes = PROBLEM.projected(LOGS, LOSS, WEIGHTS)
    gradient = 2 * np.einsum("bnk,bn->bk", slopes, residuals)
    h = 1e-5
    ends = [(PROBLEM.projected(LOGS + s * h, LOSS, WEIGHTS)[2] ** 2).sum(axis=1) for s in (1, -1)]
    np.testing.assert_allclose(gradient[:, 0], (ends[0] - ends[1]) / (2 * h), rtol=1e-6, atol=1e-9)


def test_the_exponents_are_those_of_a_scan() -> None:
    exact = LOSS[:1]
    found, _, relative = PROBLEM.fitted(exact, PROBLEM.starts(exact[0]), 1e-13)
    scan = np.log(np.linspace(0.5 * found[0, 2], 2 * found[0, 2], 2001))[:, None]
    same = np.repeat(exact, len(scan), axis=0)
    delta = max(1e-3, 1.345 * 1.4826 * float(np.median(np.abs(relative[0]))) * np.sqrt(12 / 9))
    weights = np.minimum(1, delta / np.abs(relative))
    cost = (PROBLEM.projected(scan, same, np.repeat(weights, len(scan), axis=0))[2] ** 2).sum(axis=1)
    assert abs(np.exp(scan[cost.argmin(), 0]) / found[0, 2] - 1) < 1e-3
