"""Block conjugate gradients take fewer iterations than columns do, and bear columns that depend on each other."""

from __future__ import annotations

import numpy as np
import pytest
from krylov_systems import system
from scipy import sparse
from sparse_systems import rotated

from sci.errors import ConvergenceError, ShapeError
from sci.solvers import AlgebraicMultigrid, Multigrid, PoissonOperator, block_cg, cg

A = rotated(20)
B = np.random.default_rng(9).normal(size=(400, 6))


def _check(A, b, result, rtol, unit=1.0):
    norms, of_b = (np.linalg.norm(v / unit, axis=0) for v in (b - A @ result.x, b))
    assert result.converged
    assert (norms <= 1.01 * rtol * of_b).all()
    np.testing.assert_allclose(result.residual_norms[-1] / unit, norms, rtol=1e-2, atol=1e-300)
    assert result.residual_norms.shape == (result.iterations + 1, b.shape[1])


def test_columns_share_their_space():
    seen = []
    result = block_cg(A, B, rtol=1e-10, callback=seen.append)
    _check(A, B, result, 1e-10)
    assert result.iterations * 1.5 < cg(A, B, rtol=1e-10).iterations
    assert len(seen) == result.iterations
    np.testing.assert_allclose(seen[-1], result.x, rtol=1e-12)


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
def test_columns_that_depend_on_each_other(scale):
    b = B * scale
    b[:, 3], b[:, 4], b[:, 5] = b[:, 0], 0.0, (b[:, 0] + b[:, 1]) * 1e-30
    result = block_cg(A, b, rtol=1e-8)
    _check(A, b, result, 1e-8, scale)
    assert result.iterations <= block_cg(A, b[:, :3], rtol=1e-8).iterations + 3


def test_preconditioners_and_starts():
    M = AlgebraicMultigrid(A)
    one, result = cg(A, B, M=M, rtol=1e-9), block_cg(A, B, M=M, rtol=1e-9)
    _check(A, B, result, 1e-9)
    assert result.iterations < one.iterations
    assert block_cg(A, B, result.x, M=M, rtol=1e-8).iterations == 0
    start = block_cg(A, B, result.x + 1e-3, M=M, rtol=1e-9)
    _check(A, B, start, 1e-9)
    function = block_cg(lambda v: A @ v, B, M=lambda r: M @ r, rtol=1e-9)
    np.testing.assert_allclose(function.x, result.x, atol=1e-6 * abs(result.x).max())


def test_grid_operators():
    for wall in ("dirichlet", "neumann"):
        P = PoissonOperator(np.ones((8, 9), bool), 1.0, wall, neumann_body=True)
        b = np.stack([P.project(c) if P.singular else c for c in B[:72, :3].T], axis=1)
        result = block_cg(P, b, M=Multigrid(P), rtol=1e-9)
        _check(P.to_scipy(), b, result, 1e-9)


def test_too_few_iterations_and_breakdowns():
    short = block_cg(A, B, rtol=1e-10, maxiter=3)
    assert not short.converged
    np.testing.assert_allclose(short.residual_norms[-1], np.linalg.norm(B - A @ short.x, axis=0), rtol=1e-9)
    with pytest.raises(ConvergenceError, match="minres"):
        block_cg(system("indefinite", 400, 1), B)
    with pytest.raises(ConvergenceError, match="definite M"):
        block_cg(A, B, M=lambda r: -r)
    with pytest.raises(ConvergenceError, match="NaN"):
        block_cg(sparse.csr_array(A) * np.nan, B)
    with pytest.raises(ShapeError, match="columns"):
        block_cg(A, B[:, 0])
