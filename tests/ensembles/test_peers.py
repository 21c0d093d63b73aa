"""Ensembles beside the libraries of their fields: the same dimensions, clusters and plans."""

from __future__ import annotations

import numpy as np
import pytest

from sci.ensembles import intrinsic_dimension, k_means, sinkhorn

pytestmark = pytest.mark.peers
RNG = np.random.default_rng(3)


def test_dimensions_are_those_of_scikit_dimension() -> None:
    skdim = pytest.importorskip("skdim")
    x = np.tanh(RNG.normal(size=(2000, 4)) @ RNG.normal(size=(4, 15)))
    np.testing.assert_allclose(intrinsic_dimension(x, "mle").value, skdim.id.MLE(K=20).fit(x).dimension_, rtol=1e-8)
    np.testing.assert_allclose(intrinsic_dimension(x).value, skdim.id.TwoNN().fit(x).dimension_, rtol=2e-2)


def test_clusters_are_those_of_scikit_learn_from_the_same_start() -> None:
    cluster = pytest.importorskip("sklearn.cluster")
    x = RNG.normal(size=(1000, 6))
    theirs = cluster.KMeans(12, init=x[:12], n_init=1, max_iter=300, tol=0, algorithm="lloyd").fit(x)
    ours = k_means(x, 12, start=x[:12], maxiter=300)
    np.testing.assert_array_equal(ours.labels, theirs.labels_)
    np.testing.assert_allclose(ours.centers, theirs.cluster_centers_, atol=1e-12)


def test_transport_is_that_of_pot() -> None:
    ot = pytest.importorskip("ot")
    x, y = RNG.random((40, 3)), RNG.random((50, 3))
    cost = ((x[:, None] - y) ** 2).sum(axis=2)
    plan = ot.sinkhorn(np.full(40, 1 / 40), np.full(50, 1 / 50), cost, 0.05, method="sinkhorn_log", stopThr=1e-12)
    found = sinkhorn(x, y, 0.05, tol=1e-10)
    np.testing.assert_allclose(found.barycenters, 40 * plan @ y, atol=1e-8)
