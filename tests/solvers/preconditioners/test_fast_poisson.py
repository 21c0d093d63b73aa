"""The fast solver inverts the box, whatever its walls."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from sci.solvers import FastPoisson, PoissonOperator, cg

RNG = np.random.default_rng(2)


@pytest.mark.parametrize(
    "walls", ["dirichlet", "neumann", "periodic", [("dirichlet", "neumann"), ("neumann", "dirichlet"), "periodic"]]
)
@pytest.mark.parametrize("shape", [(6, 5), (4, 7, 5), (1, 4, 3)])
def test_fast_poisson_inverts_the_box(walls, shape):
    boundary = walls if isinstance(walls, str) else walls[: len(shape)]
    A = PoissonOperator(np.ones(shape, bool), (0.5, 0.25, 1.0)[: len(shape)], boundary)
    b = A.project(RNG.normal(size=A.size))
    M = FastPoisson(A)
    np.testing.assert_allclose(A @ (M @ b), b, atol=1e-11)
    assert cg(A, b, M=M, rtol=1e-9).iterations <= 1


def test_a_long_axis_needs_no_matrix():
    """50,000 cells, for which a matrix over an axis has 20 GB, in a few arrays of the grid."""
    for walls in ("periodic", "dirichlet", "neumann", [("dirichlet", "neumann"), "periodic"]):
        A = PoissonOperator(np.ones((50000, 4), bool), 1.0, walls)
        b = A.project(np.random.default_rng(0).normal(size=A.grid_shape))
        tracemalloc.start()
        M = FastPoisson(A)
        x = M @ b
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 20 * b.nbytes
        assert M.nbytes == b.nbytes
        np.testing.assert_allclose(A @ x, b, atol=1e-7)
