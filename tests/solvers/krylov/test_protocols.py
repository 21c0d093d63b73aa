"""What the library offers satisfies the protocols that `cg` asks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

from sci.solvers import (
    FastPoisson,
    IncompleteCholesky,
    Jacobi,
    LearnedMultigrid,
    LinearOperator,
    Multigrid,
    PoissonOperator,
    Preconditioner,
)
from sci.solvers.krylov.protocols import DistributedOperator, PaddedOperator, WorkspacePreconditioner

A = PoissonOperator(np.ones((6, 5, 4), bool))


def test_operators():
    for protocol in (LinearOperator, DistributedOperator, PaddedOperator):
        assert isinstance(A, protocol)
    assert isinstance(linalg.aslinearoperator(np.eye(3)), LinearOperator)
    assert not isinstance(np.eye(3), LinearOperator)


@pytest.mark.parametrize("make", [FastPoisson, IncompleteCholesky, Jacobi, LearnedMultigrid, Multigrid])
def test_preconditioners(make):
    M = make(A)
    assert isinstance(M, Preconditioner)
    assert isinstance(M, WorkspacePreconditioner)
    assert M.A is A
    r = np.random.default_rng(0).normal(size=A.grid_shape)
    with M.workspace() as cycle:
        A.layout.cells(cycle.source)[...] = r
        cycle.run()
        z = A.layout.cells(cycle.result) * cycle.scale
    np.testing.assert_allclose(z, M.matvec(r), rtol=2e-6 if cycle.source.dtype == np.float32 else 1e-12, atol=1e-6)
    assert "\n" not in repr(M)
    assert len(repr(M)) < 300


def test_others():
    assert isinstance(linalg.aslinearoperator(sparse.eye(3)), Preconditioner)
    assert not isinstance(lambda r: r, Preconditioner)
    assert isinstance(Jacobi(np.eye(3)), Preconditioner)
