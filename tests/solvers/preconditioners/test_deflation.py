"""Deflation: the spectrum that is left, the textbook's deflated iteration, and vectors that are no use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from poisson_operators import OPERATORS
from scipy import sparse
from scipy.linalg import eigh

from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.solvers import (
    Deflation,
    IncompleteCholesky,
    Jacobi,
    PoissonOperator,
    SparseOperator,
    block_cg,
    cg,
    lowest_eigenvectors,
    minres,
    subdomain_vectors,
)

RNG = np.random.default_rng(2)


def dense(D: Any, n: int) -> np.ndarray:
    return np.stack([D @ e for e in np.eye(n)], axis=1)


@pytest.mark.parametrize("A", OPERATORS, ids=range(len(OPERATORS)))
def test_exact_eigenvectors_leave_the_rest_of_the_spectrum(A: PoissonOperator) -> None:
    """The eigenvalues of D A are 1 and those of M A that are left; zeros of a singular A stay."""
    matrix, k = A.to_scipy().toarray(), 5
    M = np.diag(1 / np.diag(matrix))
    values, vectors = eigh(matrix, np.diag(np.diag(matrix)))
    zeros = int((values < 1e-12).sum())
    D = Deflation(A, vectors[:, zeros : zeros + k])
    assert D.count == k
    whole = dense(D, A.size)
    np.testing.assert_allclose(whole, whole.T, atol=1e-13 * np.abs(whole).max())
    assert np.linalg.eigvalsh(whole)[0] > 0
    found = np.sort(np.linalg.eigvals(whole @ matrix).real)
    expected = np.sort([*values[:zeros], *values[zeros + k :], *[1.0] * k])
    np.testing.assert_allclose(found, expected, atol=1e-10)
    if not zeros:
        of_matrix = Deflation(matrix, vectors[:, :k], M)
        np.testing.assert_allclose(whole, dense(of_matrix, A.size), atol=1e-11)


def textbook(A: np.ndarray, b: np.ndarray, W: np.ndarray, rtol: float) -> int:
    """Deflated conjugate gradients of Saad et al. (2000), algorithm 3.5, with Jacobi: the number of iterations."""
    AW, M = A @ W, 1 / np.diag(A)
    E = W.T @ AW
    x = W @ np.linalg.solve(E, W.T @ b)
    r = b - A @ x
    z = M * r
    p = z - W @ np.linalg.solve(E, AW.T @ z)
    rho, count = r @ z, 0
    while np.linalg.norm(r) > rtol * np.linalg.norm(b):
        Ap = A @ p
        step = rho / (p @ Ap)
        x, r = x + step * p, r - step * Ap
        z = M * r
        rho, old = r @ z, rho
        p = z + rho / old * p - W @ np.linalg.solve(E, AW.T @ z)
        count += 1
    return count


@pytest.mark.parametrize("kind", ["lowest", "subdomains", "random"])
def test_it_takes_the_iterations_of_deflated_conjugate_gradients(kind: str) -> None:
    mask = RNG.random((12, 11, 10)) > 0.1
    A = PoissonOperator(mask, 1.0, ["neumann", "neumann", ("neumann", "dirichlet")])
    b = RNG.normal(size=mask.shape) * mask
    W = {
        "lowest": lambda: lowest_eigenvectors(A, 8)[1],
        "subdomains": lambda: subdomain_vectors(A, (2, 2, 2)),
        "random": lambda: RNG.normal(size=(A.size, 8)),
    }[kind]()
    found = cg(A, b, M=Deflation(A, W), rtol=1e-8)
    expected = textbook(A.to_scipy().toarray(), b[mask], W, 1e-8)
    plain = cg(A, b, M=Jacobi(A), rtol=1e-8).iterations
    assert found.converged
    assert abs(found.iterations - expected) <= 2
    assert found.iterations < {"lowest": 0.7 * plain, "subdomains": plain, "random": plain + 2}[kind]
    rest = b[mask] - A.to_scipy() @ found.x[mask]
    assert np.linalg.norm(rest) <= 1.01e-8 * np.linalg.norm(b)


def test_the_iterations_fall_as_the_root_of_the_condition_that_is_left() -> None:
    A = PoissonOperator(np.ones((24, 30), dtype=bool), 1.0, ["neumann", ("neumann", "dirichlet")])
    b = RNG.normal(size=(24, 30))
    values, vectors = np.linalg.eigh(A.to_scipy().toarray())
    plain = cg(A, b, rtol=1e-8).iterations
    for k in (4, 16, 64):
        its = cg(A, b, M=Deflation(A, vectors[:, :k]), rtol=1e-8).iterations
        assert its / plain == pytest.approx(np.sqrt(values[0] / values[k] * 4), abs=0.35)
        assert its <= 0.5 * np.sqrt(values[-1] / values[k]) * np.log(2e8) + 2


def test_it_goes_round_other_preconditioners_and_into_other_methods() -> None:
    A = OPERATORS[0]
    matrix, b = A.to_scipy(), RNG.normal(size=A.size)
    M = IncompleteCholesky(A)
    W = lowest_eigenvectors(A, 6, M=M)[1]
    exact = np.linalg.solve(matrix.toarray(), b)
    D = Deflation(A, W, M)
    assert "6 vectors" in repr(D)
    assert "IncompleteCholesky" in repr(D)
    assert D.nbytes == 2 * W.nbytes
    assert cg(A, b, M=D, rtol=1e-10).iterations <= cg(A, b, M=M, rtol=1e-10).iterations
    for method in (cg, minres):
        for operator in (A, matrix, SparseOperator(matrix)):
            np.testing.assert_allclose(method(operator, b, M=D, rtol=1e-12).x, exact, atol=1e-9 * np.abs(exact).max())
    columns = block_cg(matrix, np.stack([b, b[::-1]], axis=1), M=D, rtol=1e-12).x
    np.testing.assert_allclose(columns[:, 0], exact, atol=1e-9 * np.abs(exact).max())
    grid = A.expand(b)
    np.testing.assert_array_equal(D @ grid, A.expand(D @ b))
    both = np.stack([b, 2 * b], axis=1)
    np.testing.assert_allclose(D @ both, np.stack([D @ b, 2 * (D @ b)], axis=1), atol=1e-14)


def test_vectors_that_are_no_use_are_left_out() -> None:
    A = PoissonOperator(np.ones((8, 8), dtype=bool), 1.0, "neumann")
    boxes = subdomain_vectors(A, (2, 4))
    assert Deflation(A, boxes).count == 7  # their sum is in the null space
    assert Deflation(A.to_scipy(), boxes).count == 7
    b = A.project(RNG.normal(size=(8, 8)))
    assert cg(A, b, M=Deflation(A, boxes), rtol=1e-10).converged
    more = np.concatenate([boxes, 1e-6 * boxes[:, :3] + 1e6 * boxes[:, 1:4], np.zeros((64, 1))], axis=1)
    np.testing.assert_allclose(dense(Deflation(A, more), 64), dense(Deflation(A, boxes), 64), atol=1e-9)
    for nothing in (np.zeros((64, 2)), np.ones((64, 1))):
        with pytest.raises(InvalidValueError, match="zero"):
            Deflation(A, nothing)


def test_boxes_of_a_grid() -> None:
    mask = np.ones((5, 4), dtype=bool)
    mask[:3] = False
    found = subdomain_vectors(PoissonOperator(mask), (2, 2))
    assert found.shape == (8, 4)
    np.testing.assert_array_equal(found.sum(axis=0), [0, 0, 4, 4])
    for parts in ((2,), (0, 1), (6, 1)):
        with pytest.raises(InvalidValueError, match="parts"):
            subdomain_vectors(PoissonOperator(mask), parts)


def test_wrong_arguments_are_refused() -> None:
    A = OPERATORS[0]
    with pytest.raises(ShapeError, match="columns"):
        Deflation(A, np.ones(A.size))
    with pytest.raises(ShapeError):
        Deflation(A, np.ones((A.size + 1, 2)))
    with pytest.raises(ShapeError, match="vector"):
        Deflation(A, np.ones((A.size, 1))).matvec(np.ones(3))
    with pytest.raises(InvalidValueError, match="M is needed"):
        Deflation(lambda v: 2 * v, np.ones((4, 1)))
    with pytest.raises(InvalidValueError, match="symmetric"):
        Deflation(np.array([[2.0, 1.0], [0.0, 2.0]]), np.eye(2))
    with pytest.raises(ConvergenceError, match="positive definite"):
        Deflation(sparse.diags_array([1.0, -1.0]).tocsr(), np.eye(2), np.eye(2))
    with pytest.raises(InvalidValueError, match="NaN"):
        Deflation(A, np.full((A.size, 1), np.nan))
