"""Preconditioners: exact where theory says so, symmetric, positive, and with the iteration counts of the reference."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import sparse

import sci
from sci.errors import ConvergenceError, DTypeError, InvalidValueError
from sci.problems.poisson import right_hand_side, sphere_and_blob
from sci.solvers import FastPoisson, IncompleteCholesky, Jacobi, Multigrid, PoissonOperator, cg

RNG = np.random.default_rng(2)


def _operators():
    for shape in ((13, 11), (5, 8, 7)):
        mask = RNG.random(shape) > 0.15
        for walls, body, varying in itertools.product(
            ("dirichlet", "neumann", [("dirichlet", "neumann")] * len(shape)), (False, True), (False, True)
        ):
            coefficient = np.exp(RNG.normal(size=shape)) if varying else None
            yield PoissonOperator(mask, 0.5, walls, neumann_body=body, coefficient=coefficient)
    yield PoissonOperator(np.ones((16, 12), bool), 1.0, ["periodic", "dirichlet"])
    yield PoissonOperator(RNG.random((8, 6, 4)) > 0.1, 1.0, ["periodic", "periodic", "neumann"], neumann_body=True)


OPERATORS = list(_operators())


def _dense(M, n: int) -> np.ndarray:
    return np.stack([M @ e for e in np.eye(n)], axis=1)


def _cycles(A):
    yield Multigrid(A, dtype=np.float64)
    if A.constant:
        yield Multigrid(A, dtype=np.float64, coarse="rediscretized", smoothing=1)


@pytest.mark.parametrize("A", [*OPERATORS[::3], OPERATORS[-2], OPERATORS[-1]])
def test_multigrid_is_symmetric_and_positive(A):
    for M in _cycles(A):
        dense = _dense(M, A.size)
        assert abs(dense - dense.T).max() <= 1e-12 * abs(dense).max()
        basis = np.linalg.svd(A.to_scipy().toarray())[0][:, : A.size - A.component_sizes.size]
        inside = basis.T @ dense @ basis
        assert np.linalg.eigvalsh(inside).min() > 0
        b = A.project(RNG.normal(size=A.size))
        result = cg(A, b, M=Multigrid(A), rtol=1e-8)
        assert result.converged
        rest = b - A.to_scipy() @ result.x
        assert np.linalg.norm(rest) <= 1.01e-8 * np.linalg.norm(b)
        assert result.iterations <= cg(A, b, rtol=1e-8).iterations


@pytest.mark.parametrize("A", OPERATORS[::3])
@pytest.mark.parametrize("modified", [0.0, 0.97])
def test_incomplete_cholesky_is_its_definition(A, modified):
    matrix = A.to_scipy().toarray()
    if any(A.periodic):
        pytest.skip("links round an axis are left out")
    lower = np.tril(matrix, -1)
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


@pytest.mark.parametrize("make", [Multigrid, IncompleteCholesky, Jacobi, FastPoisson])
def test_grids_and_vectors_are_one(make):
    A = OPERATORS[0]
    M, r = make(A), A.project(RNG.normal(size=A.size))
    np.testing.assert_array_equal(A.compress(M @ A.expand(r)), M @ r)
    flat, grid = cg(A, r, M=M, rtol=1e-8), cg(A, A.expand(r), M=M, rtol=1e-8)
    assert flat.iterations == grid.iterations
    assert flat.converged


def test_jacobi_takes_matrices():
    A = OPERATORS[0]
    r = RNG.normal(size=A.size)
    expected = r / A.to_scipy().diagonal()
    for given in (A, A.to_scipy(), A.to_scipy().toarray()):
        np.testing.assert_allclose(Jacobi(given) @ r, expected, rtol=1e-14)
    with pytest.raises(ConvergenceError, match="negative"):
        Jacobi(sparse.diags([1.0, -1.0]).tocsr())


COUNTS = {
    "none": (lambda A: None, (53, 115)),
    "IC(0)": (IncompleteCholesky, (17, 37)),
    "MIC(0)": (lambda A: IncompleteCholesky(A, 0.97), (10, 20)),
    "fast": (FastPoisson, (10, 18)),
    "V(2,2)": (Multigrid, (4, 7)),
    "V(2,2) rediscretized": (lambda A: Multigrid(A, coarse="rediscretized"), (4, 7)),
    "V(1,1) rediscretized": (lambda A: Multigrid(A, coarse="rediscretized", smoothing=1), (5, 11)),
    "V(2,2) no correction": (lambda A: Multigrid(A, coarse="rediscretized", wall_corrected=False), (5, 9)),
}


@pytest.mark.parametrize("name", COUNTS)
def test_iterations_on_the_sphere_and_the_blob(name):
    """The reference's counts at 32^3, to one more or less: benchmarks/solver_counts.py prints the larger grids."""
    make, (loose, tight) = COUNTS[name]
    mask = sphere_and_blob(32)
    A = PoissonOperator(mask)
    result = cg(A, right_hand_side(mask), M=make(A), rtol=1e-8)
    assert abs(result.iterations - tight) <= 1
    assert abs(int(np.argmax(result.residual_norms <= 1e-4 * result.residual_norms[0])) - loose) <= 1


@pytest.mark.peers
def test_the_counts_of_incomplete_cholesky_are_those_of_ilupp():
    ilupp = pytest.importorskip("ilupp")
    for A in (PoissonOperator(sphere_and_blob(24)), OPERATORS[4]):
        matrix, b = A.to_scipy(), RNG.normal(size=A.size)
        theirs = cg(matrix, b, M=ilupp.IChol0Preconditioner(matrix), rtol=1e-8)
        assert cg(A, b, M=IncompleteCholesky(A), rtol=1e-8).iterations == theirs.iterations


def test_iterations_of_multigrid_do_not_grow():
    found = []
    for n in (16, 32, 64):
        mask = sphere_and_blob(n)
        A = PoissonOperator(mask)
        found.append(cg(A, right_hand_side(mask, "noise"), M=Multigrid(A), rtol=1e-8).iterations)
    assert max(found) <= 8


@pytest.mark.parametrize("body", ["plate", "salt", "comb"])
def test_thin_bodies_cost_few_iterations(body):
    n = 32
    mask = np.ones((n, n, n), bool)
    if body == "plate":
        mask[n // 2] = False
        mask[n // 2, 10:14, 10:14] = True
    elif body == "salt":
        mask = np.random.default_rng(0).random((n, n, n)) > 0.05
    else:
        mask[::4, : n - 4] = False
    for surface in (False, True):
        A = PoissonOperator(mask, neumann_body=surface)
        result = cg(A, right_hand_side(mask, "noise"), M=Multigrid(A), rtol=1e-8)
        assert result.iterations <= (15 if not surface else 40)


def test_a_float32_cycle_costs_no_iteration():
    mask = sphere_and_blob(32)
    A = PoissonOperator(mask)
    b = right_hand_side(mask)
    single, double = (cg(A, b, M=Multigrid(A, dtype=t), rtol=1e-8) for t in (np.float32, np.float64))
    assert single.iterations == double.iterations
    rest = A.compress(b) - A.to_scipy() @ A.compress(cg(A, b, M=Multigrid(A), rtol=1e-11).x)
    assert np.linalg.norm(rest) <= 1.01e-11


def test_references_give_the_iterations_of_the_kernels():
    mask = sphere_and_blob(16)
    for A in (PoissonOperator(mask), PoissonOperator(mask, coefficient=1 + mask * RNG.random(mask.shape))):
        b = right_hand_side(mask, "noise")
        for M in (None, Multigrid, IncompleteCholesky):
            answers = []
            for mode in ("compiled", "reference"):
                with sci.options(kernels=mode):
                    answers.append(cg(A, b, M=M and M(A), rtol=1e-8))
            assert answers[0].iterations == answers[1].iterations
            np.testing.assert_allclose(answers[0].x, answers[1].x, atol=1e-7 * abs(answers[0].x).max())


def test_bad_arguments():
    A = OPERATORS[0]
    for make in (Multigrid, IncompleteCholesky, FastPoisson):
        with pytest.raises(DTypeError, match="needs a PoissonOperator"):
            make(A.to_scipy())
    with pytest.raises(InvalidValueError, match="smoothing"):
        Multigrid(A, smoothing=0)
    with pytest.raises(InvalidValueError, match="coarse is"):
        Multigrid(A, coarse="galerkin")
    with pytest.raises(InvalidValueError, match="constant coefficients"):
        Multigrid(PoissonOperator(A.mask, (1.0, 2.0)), coarse="rediscretized")
    with pytest.raises(DTypeError, match="float32"):
        Multigrid(A, dtype=np.float16)
    with pytest.raises(InvalidValueError, match="modified"):
        IncompleteCholesky(A, 1.5)
    with pytest.raises(InvalidValueError, match="odd"):
        Multigrid(PoissonOperator(np.ones((17, 17, 17), bool), 1.0, "periodic"))


def test_problems_are_what_they_say():
    mask = sphere_and_blob(32)
    assert 1 - mask.mean() == pytest.approx(0.072, abs=1e-3)
    assert not mask[16, 16, 16]
    for kind in ("div", "noise"):
        b = right_hand_side(mask, kind)
        assert np.linalg.norm(b) == pytest.approx(1)
        assert not b[~mask].any()
    assert not right_hand_side(np.ones((8, 8), bool), "div").any()
    with pytest.raises(InvalidValueError, match="kind"):
        right_hand_side(mask, "waves")
