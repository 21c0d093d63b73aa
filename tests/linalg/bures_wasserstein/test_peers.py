"""Distances and means beside pyRiemann, run to convergence."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from bures_cases import definite

from sci.linalg import BuresWasserstein

pytestmark = pytest.mark.peers
PLAIN = BuresWasserstein()


@pytest.mark.parametrize("n", [2, 3, 5])
def test_means_are_those_of_pyriemann(n: int) -> None:
    mean = pytest.importorskip("pyriemann.geometry.mean")
    sets, weights = definite((4, 27, n, n), 10.0, n), np.random.default_rng(n).random(27)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its change of the mean does not fall below rounding
        theirs = [mean.mean_wasserstein(s, tol=1e-15, maxiter=300, sample_weight=weights) for s in sets]
    np.testing.assert_allclose(PLAIN.barycenter(sets, weights).mean, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_distances_and_geodesics_are_those_of_pyriemann(n: int) -> None:
    distance = pytest.importorskip("pyriemann.geometry.distance")
    geodesic = pytest.importorskip("pyriemann.geometry.geodesic")
    p, q = definite((20, n, n), 10.0, 1), definite((20, n, n), 10.0, 2)
    np.testing.assert_allclose(PLAIN.distance(p, q), distance.distance_wasserstein(p, q), rtol=1e-11)
    np.testing.assert_allclose(PLAIN.geodesic(p, q, 0.3), geodesic.geodesic_wasserstein(p, q, 0.3), rtol=0, atol=1e-12)
