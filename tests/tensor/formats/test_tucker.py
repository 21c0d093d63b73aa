"""The Tucker format against the dense tensor that it stands for."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sci.tensor import Tucker
from sci.tensor.formats import cp as cp


def random_tucker(shape: tuple[int, ...], ranks: tuple[int, ...], seed: int = 0) -> Tucker:
    rng = np.random.default_rng(seed)
    return Tucker(rng.normal(size=ranks), tuple(rng.normal(size=(n, r)) for n, r in zip(shape, ranks)))


@given(st.integers(2, 4), st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_tucker_agrees_with_its_dense_tensor(ndim: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    shape, ranks = tuple(rng.integers(1, 6, ndim)), tuple(rng.integers(1, 7, ndim))
    a, b = random_tucker(shape, ranks, seed), random_tucker(shape, (2,) * ndim, seed + 1)
    dense = a.core
    for axis, factor in enumerate(a.factors):
        dense = np.moveaxis(np.tensordot(factor, dense, axes=(1, axis)), 0, axis)
    assert_allclose(a.to_dense(), dense, atol=1e-11)
    assert_allclose(a.norm(), np.linalg.norm(dense), rtol=1e-12)
    assert_allclose(a.inner(b), (dense * b.to_dense()).sum(), atol=1e-9)
    straight = a.orthogonalized()
    assert_allclose(straight.to_dense(), dense, atol=1e-11)
    for factor in straight.factors:
        assert_allclose(factor.T @ factor, np.eye(factor.shape[1]), atol=1e-13)
