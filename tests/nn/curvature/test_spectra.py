"""Outliers, moments and bulk of matrices whose eigenvalues are known."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import curvature_spectrum

RNG = np.random.default_rng(4)


def wishart(size: int, rows: int, spikes: list[float]) -> np.ndarray:
    x = RNG.normal(size=(rows, size)) * np.sqrt(np.r_[spikes, np.ones(size - len(spikes))])
    return x.T @ x / rows


def test_outliers_moments_and_edge_of_a_sample_covariance() -> None:
    matrix = wishart(500, 1000, [40.0, 25.0, 15.0])
    found = curvature_spectrum(lambda v: matrix @ v, 500, leading=3)
    values = np.linalg.eigvalsh(matrix)[::-1]
    np.testing.assert_allclose(found.leading, values[:3], rtol=1e-8)
    assert found.residuals.max() < 1e-4 * found.leading.min()
    for estimate, exact in ((found.rest, values[3:].sum()), (found.rest_of_square, (values[3:] ** 2).sum())):
        assert abs(estimate.value - exact) < 4 * estimate.standard_error + 1e-6 * exact
        assert abs(estimate.value / exact - 1) < 0.03
    np.testing.assert_allclose(found.trace, np.trace(matrix), rtol=0.02)
    np.testing.assert_allclose(found.trace_of_square, (matrix**2).sum(), rtol=0.01)
    edge, error = found.bulk_edge()
    np.testing.assert_allclose(edge, (1 + np.sqrt(0.5)) ** 2, rtol=2e-2)
    assert 0 < error < 0.05 * edge
    assert values[2] > edge > 0.97 * values[3]


def test_the_edge_of_a_semicircle() -> None:
    a = RNG.normal(size=(600, 600))
    matrix = (a + a.T) / np.sqrt(2 * 600)
    matrix[0, 0] += 5.0
    found = curvature_spectrum(lambda v: matrix @ v, 600, leading=1)
    edge, _ = found.bulk_edge("wigner")
    np.testing.assert_allclose(edge, 2.0, rtol=2e-2)
    np.testing.assert_allclose(found.leading, 5.2, rtol=2e-2)


def test_one_probe_is_not_enough_and_the_error_says_how_far_ten_are_off() -> None:
    """Moments over many seeds: the spread of the estimates is what each of them states."""
    matrix = wishart(300, 150, [30.0])
    exact = np.trace(matrix) - np.linalg.eigvalsh(matrix)[-1]
    found = [curvature_spectrum(lambda v: matrix @ v, 300, leading=1, steps=12, seed=s).rest for s in range(12)]
    deviations = np.array([(f.value - exact) / f.standard_error for f in found])
    assert np.sqrt((deviations**2).mean()) < 2
    with pytest.raises(InvalidValueError, match="1 probes; expected 2 or more"):
        curvature_spectrum(lambda v: matrix @ v, 300, probes=1)


def test_small_matrices_of_any_unit() -> None:
    for unit in (1e-20, 1e20):
        diagonal = unit * np.array([5.0, 3.0, 1.0, 0.0])
        found = curvature_spectrum(lambda v, d=diagonal: d * v, 4, leading=1)
        np.testing.assert_allclose(found.leading, 5 * unit)
        np.testing.assert_allclose(found.trace, 9 * unit)
        np.testing.assert_allclose(found.trace_of_square, 35 * unit**2)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="9 leading eigenvalues in 4 steps"):
        curvature_spectrum(lambda v: v, 4, leading=9)
    found = curvature_spectrum(lambda v: np.array([2.0, -1.0, -1.0, -2.0]) * v, 4, leading=1)
    with pytest.raises(InvalidValueError, match="law='wigner'"):
        found.bulk_edge()
    with pytest.raises(InvalidValueError, match="law"):
        found.bulk_edge("gauss")
