"""Quadratures of given coefficients: rules, traces with known moments, densities, ends, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ConvergenceError, InvalidValueError
from sci.linalg import LanczosQuadrature, SpectralDensity, TraceEstimate, lanczos_quadrature

# T = [[2, 1], [1, 2]] has the nodes 1 and 3 with weights 1/2; T = [[2]] the node 2.
PAIR = (np.array([2.0, 2.0]), np.array([1.0, 0.0]))
ONE = (np.array([2.0]), np.array([0.0]))


def test_rules_are_those_of_gauss() -> None:
    (nodes, weights), (single, whole) = LanczosQuadrature((PAIR, ONE), 10).rules()
    np.testing.assert_allclose(nodes, [1, 3])
    np.testing.assert_allclose(weights, [0.5, 0.5])
    assert (single.tolist(), whole.tolist()) == ([2.0], [1.0])


def test_weights_of_covariance_a_are_divided_by_the_nodes() -> None:
    (_, weights), _ = LanczosQuadrature((PAIR, ONE), 10, weighted=True).rules()
    np.testing.assert_allclose(weights, [0.75, 0.25])
    with pytest.raises(ConvergenceError, match="M A has the Ritz value -1"):
        LanczosQuadrature(((np.array([0.0, 0.0]), np.array([1.0])),), 10, weighted=True).rules()


def test_traces_are_means_over_the_probes() -> None:
    found = LanczosQuadrature((PAIR, ONE), 10).trace(lambda x: x**2)
    assert found.value == pytest.approx(10 * (5 + 4) / 2)
    assert found.standard_error == pytest.approx(10 * np.std([5, 4], ddof=1) / np.sqrt(2))
    assert np.isnan(LanczosQuadrature((ONE,), 10).trace(np.log).standard_error)


def test_a_known_moment_replaces_what_the_probes_say_of_it() -> None:
    found = LanczosQuadrature((PAIR, ONE), 10, moments=(23.0, 60.0)).trace(lambda x: 4 * x)
    assert found.value == pytest.approx(92.0)
    assert found.standard_error < 1e-12


def test_the_density_and_the_ends() -> None:
    found = LanczosQuadrature((PAIR, ONE), 10)
    assert repr(found) == "LanczosQuadrature(2 probes of 10 eigenvalues, 2 steps)"
    density = found.density()
    np.testing.assert_allclose(density.nodes, [1, 2, 3])
    np.testing.assert_allclose(density.weights, [0.25, 0.5, 0.25])
    np.testing.assert_allclose(density.below([0.5, 2.0, 3.5]), [0, 0.5, 1])
    ends = found.extremes()
    assert (ends.smallest, ends.largest) == (pytest.approx(1), pytest.approx(3))
    assert max(ends.smallest_error, ends.largest_error) < 1e-14


def test_the_smoothed_density_keeps_its_integral() -> None:
    density = SpectralDensity(np.array([1.0, 3.0]), np.array([0.25, 0.75]), 4)
    x = np.linspace(-3, 7, 1001)
    assert density.smoothed(x, 0.4).sum() * 0.01 == pytest.approx(1, rel=1e-6)
    assert repr(density) == "SpectralDensity(4 eigenvalues from 1 to 3)"
    with pytest.raises(InvalidValueError, match=r"width is 0\.0"):
        density.smoothed(x, 0.0)


def test_logarithms_need_positive_nodes() -> None:
    with pytest.raises(ConvergenceError, match="positive definite beyond rounding"):
        LanczosQuadrature(((np.array([0.0]), np.array([])),), 3).log_determinant()
    assert LanczosQuadrature((ONE,), 3).log_determinant().value == pytest.approx(3 * np.log(2))


def test_a_single_step_tells_nothing_of_its_truncation() -> None:
    assert LanczosQuadrature(((np.array([2.0]), np.array([])),), 3).trace(np.exp).truncation == np.inf
    assert LanczosQuadrature((ONE,), 3).trace(np.exp).truncation == 0
    two = LanczosQuadrature(((np.array([2.0, 2.0]), np.array([1.0])),), 3)
    assert two.trace(np.square).truncation == pytest.approx(3)


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9, 16, 30])
def test_a_lower_bound_of_the_eigenvalues_bounds_what_more_steps_would_change(steps: int) -> None:
    values = np.concatenate([np.geomspace(1e-3, 1, 30), np.linspace(1, 8, 400)])
    n = len(values)
    settings = {"probes": 3, "probe": lambda k: np.random.default_rng(k).normal(size=n)}
    whole = lanczos_quadrature(lambda v: values * v, n, steps=250, **settings).log_determinant()
    found = lanczos_quadrature(lambda v: values * v, n, steps=steps, **settings)
    for lower in (1e-3 * (1 - 1e-9), 1e-5):
        estimate = found.log_determinant(lower)
        assert -1e-9 <= estimate.value - whole.value <= estimate.truncation + 1e-9
        assert estimate.value == found.log_determinant().value
    with pytest.raises(InvalidValueError, match=r"lower is 0\.0"):
        found.log_determinant(0.0)


def test_an_estimate_names_its_errors() -> None:
    assert repr(TraceEstimate(3.0, 0.1, 1e-8, probes=16, steps=20)) == (
        "TraceEstimate(3 +- 0.1 by 16 probes, 1e-08 by 20 steps)"
    )
