"""Tucker-ALS: never worse than its start, and exact where the tensor is."""

from __future__ import annotations

import numpy as np
from decaying_tensors import assert_orthonormal, decaying, error
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sci.tensor import CP, Tucker, hooi, hosvd


@given(st.lists(st.integers(3, 8), min_size=3, max_size=4), st.integers(0, 10**6), st.sampled_from([float, complex]))
@settings(max_examples=40, deadline=None)
def test_als_is_never_worse_than_its_start(shape: list[int], seed: int, dtype: type) -> None:
    tensor = decaying(tuple(shape), 0.2, seed, dtype)
    ranks = [max(1, n // 2) for n in shape]
    start = hosvd(tensor, None, ranks)
    result = hooi(tensor, start)
    assert error(result, tensor) <= error(start, tensor) * (1 + 1e-10) + 1e-14
    assert_orthonormal(result)


def test_als_of_a_cp_tensor_equals_that_of_the_dense_one() -> None:
    rng = np.random.default_rng(9)
    cp = CP(rng.normal(size=30), tuple(rng.normal(size=(n, 30)) for n in (9, 8, 10)))
    dense = cp.to_dense()
    start = hosvd(dense, None, (3, 4, 5))
    from_terms, from_dense = hooi(cp, start, n_sweeps=20), hooi(dense, start, n_sweeps=20)
    assert_allclose(error(from_terms, dense), error(from_dense, dense), rtol=1e-9)
    assert error(from_dense, dense) < error(start, dense)
    assert hooi(cp, (3, 4, 5)).tucker_ranks == (3, 4, 5)
    assert_allclose(hooi(dense, start, n_sweeps=0).to_dense(), start.to_dense(), atol=1e-12)


def test_als_recovers_an_exact_tensor_from_a_poor_start() -> None:
    rng = np.random.default_rng(4)
    exact = Tucker(rng.normal(size=(2, 2, 2)), tuple(rng.normal(size=(8, 2)) for _ in range(3))).to_dense()
    start = Tucker(np.ones((2, 2, 2)), tuple(rng.normal(size=(8, 2)) for _ in range(3)))
    assert error(hooi(exact, start, n_sweeps=50), exact) < 1e-12
