"""What preconditioners have in common: shapes, workspaces for threads, pickling."""

from __future__ import annotations

import pickle
import sys
import threading

import numpy as np
import pytest
from poisson_operators import OPERATORS
from scipy.sparse.linalg import lobpcg

from sci.errors import ShapeError
from sci.solvers import FastPoisson, IncompleteCholesky, Jacobi, LearnedMultigrid, Multigrid, PoissonOperator, cg

RNG = np.random.default_rng(2)
MASK = RNG.random((20, 18, 22)) > 0.1
MAKE = (
    Multigrid,
    LearnedMultigrid,
    IncompleteCholesky,
    lambda A: IncompleteCholesky(A, modified=0.97),
    Jacobi,
    FastPoisson,
    LearnedMultigrid,
)


@pytest.mark.parametrize("make", [Multigrid, IncompleteCholesky, Jacobi, FastPoisson])
def test_grids_and_vectors_are_one(make):
    A = OPERATORS[0]
    M, r = make(A), A.project(RNG.normal(size=A.size))
    np.testing.assert_array_equal(A.compress(M @ A.expand(r)), M @ r)
    flat, grid = cg(A, r, M=M, rtol=1e-8), cg(A, A.expand(r), M=M, rtol=1e-8)
    assert flat.iterations == grid.iterations
    assert flat.converged


@pytest.mark.parametrize("make", [lambda A: None, *MAKE])
def test_one_instance_serves_four_threads(make):
    """Threads change places often, on a grid whose kernels release the interpreter for long."""
    mask = RNG.random((40, 40, 40)) > 0.1
    A = PoissonOperator(mask)
    M, sides = make(A), [RNG.normal(size=mask.shape) * mask for _ in range(8)]
    interval = sys.getswitchinterval()
    expected, found = [cg(A, b, M=M, rtol=1e-8).x for b in sides], [None] * len(sides)

    def work(first):
        for k in range(first, len(sides), 4):
            found[k] = cg(A, sides[k], M=M, rtol=1e-8).x

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    for x, exact in zip(found, expected):
        np.testing.assert_array_equal(x, exact)


def test_a_callback_may_apply_the_same_instance():
    A = PoissonOperator(MASK)
    M, b = Multigrid(A), RNG.normal(size=MASK.shape) * MASK
    expected = cg(A, b, M=M, rtol=1e-8)
    found = cg(A, b, M=M, rtol=1e-8, callback=lambda x: M @ x)
    assert found.iterations == expected.iterations


@pytest.mark.parametrize("make", MAKE)
def test_columns_are_solved_one_by_one(make):
    A = PoissonOperator(MASK, 0.5)
    M, X = make(A), RNG.normal(size=(A.size, 3))
    Y = M @ X
    for k in range(3):
        np.testing.assert_array_equal(Y[:, k], M @ X[:, k])
    assert (M @ X[:, :1]).shape == (A.size, 1)
    with pytest.raises((ShapeError, ValueError)):
        M @ X[:-1]


def test_lobpcg_takes_operator_and_preconditioner():
    A = PoissonOperator(np.ones((9, 8, 7), bool))
    start = RNG.normal(size=(A.size, 4))
    values, _ = lobpcg(A, start, M=Multigrid(A, dtype=np.float64), tol=1e-9, maxiter=60, largest=False)
    np.testing.assert_allclose(np.sort(values), np.linalg.eigvalsh(A.to_scipy().toarray())[:4], rtol=1e-9)


@pytest.mark.parametrize("make", MAKE)
@pytest.mark.parametrize("coefficient", [None, 1 + RNG.random(MASK.shape)])
def test_used_solvers_are_pickled(make, coefficient):
    A = PoissonOperator(MASK, 0.5, ["neumann", "dirichlet", "dirichlet"], neumann_body=True, coefficient=coefficient)
    M, b = make(A), RNG.normal(size=MASK.shape) * MASK
    expected = cg(A, b, M=M, rtol=1e-8)
    A2, M2 = pickle.loads(pickle.dumps((A, M)))
    assert M2.A is A2
    found = cg(A2, b, M=M2, rtol=1e-8)
    assert found.iterations == expected.iterations
    np.testing.assert_array_equal(found.x, expected.x)
