"""Incomplete Cholesky against its definition and against a peer."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS

import sci
from sci.problems.poisson import sphere_and_blob
from sci.solvers import IncompleteCholesky, PoissonOperator, cg

RNG = np.random.default_rng(2)


@pytest.mark.parametrize("A", OPERATORS[::3])
@pytest.mark.parametrize("modified", [0.0, 0.97])
def test_incomplete_cholesky_is_its_definition(A, modified):
    matrix = A.to_scipy().toarray()
    closed = [("neumann", "neumann") if low == "periodic" else (low, high) for low, high in A.boundary]
    options = {"neumann_body": A.neumann_body, "coefficient": A.coefficient}
    lower = np.tril(PoissonOperator(A.mask, A.spacing, closed, **options).to_scipy().toarray(), -1)  # no links round
    pivots = np.zeros(A.size)
    for i in range(A.size):
        rest = matrix[i, i]
        for j in np.flatnonzero(lower[i]):
            others = [k for k in np.flatnonzero(lower[:, j]) if k != i]
            rest -= lower[i, j] * (lower[i, j] + modified * lower[others, j].sum()) / pivots[j]
        pivots[i] = matrix[i, i] if rest < 0.25 * matrix[i, i] else rest
    factor = np.diag(pivots) + lower
    expected = factor @ np.diag(1 / np.where(pivots > 0, pivots, 1)) @ factor.T
    r = RNG.normal(size=A.size) * (np.diag(matrix) > 0)
    found = IncompleteCholesky(A, modified) @ r
    np.testing.assert_allclose(expected @ found, r, atol=1e-10 * abs(r).max())
    with sci.options(kernels="reference"):
        np.testing.assert_allclose(IncompleteCholesky(A, modified) @ r, found, rtol=1e-11, atol=1e-13)


@pytest.mark.peers
def test_the_counts_of_incomplete_cholesky_are_those_of_ilupp():
    ilupp = pytest.importorskip("ilupp")
    for A in (PoissonOperator(sphere_and_blob(24)), OPERATORS[4]):
        matrix, b = A.to_scipy(), RNG.normal(size=A.size)
        theirs = cg(matrix, b, M=ilupp.IChol0Preconditioner(matrix), rtol=1e-8)
        assert cg(A, b, M=IncompleteCholesky(A), rtol=1e-8).iterations == theirs.iterations


@pytest.mark.parametrize("modified", [0.0, 0.97])
@pytest.mark.parametrize("boundary", ["periodic", ["periodic", "dirichlet", "periodic"]])
def test_periodic_axes_leave_the_factors_alone(boundary, modified):
    """Conjugate gradients fill the halo of M's answer, which its next sweeps must not read."""
    rng = np.random.default_rng(7)
    mask = rng.random((20, 18, 22)) > 0.1
    A = PoissonOperator(mask, 1.0, boundary)
    b = A.project(rng.normal(size=mask.shape) * mask)
    M = IncompleteCholesky(A, modified)
    fused = cg(A, b, M=M, rtol=1e-8)
    plain = cg(A.to_scipy(), A.compress(b), M=lambda r: M @ r, rtol=1e-8)
    assert fused.converged
    assert abs(fused.iterations - plain.iterations) <= 1
    assert fused.iterations < cg(A, b, rtol=1e-8).iterations
