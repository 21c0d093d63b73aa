"""Optimal maps and transports between a matrix and the identity: identities of the geometry, and gradients."""

from __future__ import annotations

import numpy as np
import pytest
from spd_cases import errors, spd, squared_distance, symmetric

from sci.errors import InvalidValueError, ShapeError
from sci.nn.spd.transport import lyapunov_power, map_factors, optimal_map

RNG = np.random.default_rng(5)
Y, G = spd(RNG, 6, 2, 4), spd(RNG, 2, 4)
EYE = np.zeros((2, 4, 4)) + np.eye(4)
V = symmetric(RNG.normal(size=(6, 2, 4, 4)))


@pytest.mark.parametrize("condition", [10.0, 1e6])
def test_a_map_carries_the_center_to_the_matrix(condition):
    y, g = spd(RNG, 6, 2, 4, condition=condition), spd(RNG, 2, 4, condition=condition)
    t = optimal_map(y, g)
    assert np.array_equal(t, t.swapaxes(-1, -2))
    assert np.linalg.eigvalsh(t).min() > 0
    assert abs(t @ g @ t - y).max() < 1e-13 * condition**0.5 * abs(y).max()


def test_the_root_of_the_logarithm_has_the_norm_of_the_distance():
    n = lyapunov_power(optimal_map(Y, G) - np.eye(4), G, exponent="1/2")
    np.testing.assert_allclose((n * n).sum(axis=(-2, -1)), squared_distance(Y, G), rtol=1e-12)


def test_transport_there_and_back_is_nothing_and_keeps_the_metric():
    def metric(p, v):
        """<V, V>_P = tr(L_P^-1[V] V) / 2."""
        values, vectors = np.linalg.eigh(p)
        inner = vectors.swapaxes(-1, -2) @ v @ vectors
        return (inner**2 / (values[..., :, None] + values[..., None, :])).sum(axis=(-2, -1)) / 2

    there = lyapunov_power(V, G, exponent="-1/2")
    np.testing.assert_allclose(lyapunov_power(there, G, exponent="1/2"), V, atol=1e-14)
    np.testing.assert_allclose(metric(np.eye(4), there), metric(G, V), rtol=1e-13)


@pytest.mark.parametrize(("y", "center"), [(Y, G), (Y, EYE), (EYE + 0 * Y, EYE), (4 * EYE + 0 * Y, EYE)])
def test_gradients_of_maps_at_repeated_eigenvalues_and_others(y, center):
    assert max(errors(optimal_map, (y, center))) < 1e-8


@pytest.mark.parametrize("exponent", ["1/2", "-1/2"])
@pytest.mark.parametrize("p", [G, EYE, np.diag([1.0, 1.0, 3.0, 3.0]) + 0 * EYE])
def test_gradients_of_transports(p, exponent):
    assert max(errors(lambda v, q: lyapunov_power(v, q, exponent=exponent), (V, p))) < 1e-8


def test_gradients_of_maps_of_condition_1e6():
    y, g = spd(RNG, 3, 1, 4, condition=1e6), spd(RNG, 1, 4, condition=1e6)
    assert max(errors(optimal_map, (y, g), 1e-3, relative=True)) < 1e-7


def test_single_precision_stays_single():
    y, g = Y.astype("f4"), G.astype("f4")
    t, factors = optimal_map.forward(y, g)
    assert t.dtype == "f4"
    assert [d.dtype for d in optimal_map.vjp(t, factors)] == [np.float32, np.float32]
    n, residuals = lyapunov_power.forward(t, g, exponent="1/2")
    assert n.dtype == "f4"
    assert [d.dtype for d in lyapunov_power.vjp(n, residuals)] == [np.float32, np.float32]
    np.testing.assert_allclose(t, optimal_map(Y, G), rtol=2e-5, atol=2e-5)


def test_what_has_no_map_is_refused():
    with pytest.raises(InvalidValueError, match="center: matrix 1 is not positive definite"):
        optimal_map(Y, G * np.array([1.0, 0.0])[:, None, None])
    with pytest.raises(InvalidValueError, match="not positive semidefinite"):
        optimal_map(-Y, G)
    with pytest.raises(ShapeError, match=r"expected \(batch, channel, n, n\)"):
        map_factors(Y[0], G)
    singular = np.diag([1.0, 1.0, 1.0, 0.0]) + 0 * Y
    t, factors = optimal_map.forward(singular, G)
    with pytest.raises(InvalidValueError, match="12 matrices that are singular to rounding"):
        optimal_map.vjp(t, factors)
    with pytest.raises(ShapeError, match="v "):
        lyapunov_power(V[0], G, exponent="1/2")
