"""Lanczos' iteration against dense spectra, over ranks, and the condition that conjugate gradients leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, eigsh
from thread_ranks import ThreadComm, on_ranks

from sci.errors import InvalidValueError, SciError
from sci.linalg import condition_of, lanczos, ritz_vectors
from sci.solvers import Jacobi, Multigrid, PoissonOperator, cg

RNG = np.random.default_rng(6)
VALUES = np.concatenate([np.linspace(1, 2, 50), [5.0, 9.0]])
Q = np.linalg.qr(RNG.normal(size=(52, 52)))[0]
A = (Q * VALUES) @ Q.T


def _tridiagonal(alpha: np.ndarray, beta: np.ndarray) -> np.ndarray:
    return np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)


def test_the_recurrence_holds() -> None:
    basis, alpha, beta = lanczos(lambda v: A @ v, 52, 20, start=RNG.normal(size=52))
    assert basis is not None
    np.testing.assert_allclose(basis @ basis.T, np.eye(20), atol=1e-14)
    np.testing.assert_allclose(basis @ A @ basis.T, _tridiagonal(alpha, beta), atol=1e-13)


def test_all_steps_give_the_spectrum_and_its_vectors() -> None:
    basis, alpha, beta = lanczos(lambda v: A @ v, 52, 52)
    assert basis is not None
    values, vectors = ritz_vectors(basis, alpha, beta)
    np.testing.assert_allclose(values, VALUES, rtol=1e-10)
    np.testing.assert_allclose(A @ vectors.T, vectors.T * values, atol=1e-9)


def test_the_space_ends_where_it_is_exhausted() -> None:
    start = np.zeros(52)
    start[:3] = 1
    _, alpha, _ = lanczos(lambda v: np.arange(52.0) * v, 52, 40, start=start)
    assert len(alpha) == 3


def test_three_terms_find_the_same_largest_eigenvalue() -> None:
    start = RNG.normal(size=52)
    whole, short = (lanczos(lambda v: A @ v, 52, 30, start=start, reorthogonalize=r)[1:] for r in (True, False))
    expected = np.linalg.eigvalsh(_tridiagonal(*whole))[-1]
    np.testing.assert_allclose(np.linalg.eigvalsh(_tridiagonal(*short))[-1], expected, rtol=1e-12)


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_give_the_serial_coefficients(size: int) -> None:
    start = RNG.normal(size=52)
    serial = lanczos(lambda v: VALUES * v, 52, 15, start=start)[1:]

    def body(comm: ThreadComm) -> Any:
        own = slice(comm.rank * 52 // size, (comm.rank + 1) * 52 // size)
        length = own.stop - own.start
        return lanczos(lambda v: VALUES[own] * v, length, 15, start=start[own], comm=comm)[1:]

    for found in on_ranks(size, body):
        for one, other in zip(found, serial, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("preconditioner", [None, Jacobi, Multigrid])
def test_a_solve_tells_the_condition(preconditioner: Any) -> None:
    """Within 1 % of the ratio of the extreme eigenvalues of M A by SciPy."""
    mask = np.ones((9, 9, 9), bool)
    mask[3:5, 2:6, 4:6] = False
    operator = PoissonOperator(mask)
    M = None if preconditioner is None else preconditioner(operator)
    found = cg(operator, RNG.normal(size=operator.size), rtol=1e-11, M=M)
    matrix = operator.to_scipy()
    if M is None:
        low, high = (eigsh(matrix, 1, which="LM", **where)[0][0] for where in ({"sigma": 0}, {}))
    else:
        # M A has the eigenvalues of the pencil (A, M^-1); as a dense matrix here.
        dense = np.stack([M.matvec(np.asarray(column).ravel()) for column in matrix.toarray()], axis=1)
        values = np.sort(np.linalg.eigvals(dense).real)
        low, high = values[0], values[-1]
    assert 0.99 * high / low < found.condition < (1 + 1e-5) * high / low


def test_the_condition_of_columns_is_the_largest() -> None:
    matrix = np.diag([1.0, 2.0, 3.0, 10.0])
    one, all_of_it = np.eye(4)[:, :1], np.ones((4, 1))
    assert cg(matrix, np.hstack([one, all_of_it]), rtol=1e-12).condition == pytest.approx(10)
    assert cg(matrix, one[:, 0], rtol=1e-12).condition == pytest.approx(1)
    assert np.isnan(cg(matrix, np.zeros(4)).condition)


def test_coefficients_of_two_steps_are_those_of_the_matrix_by_hand() -> None:
    """T = [[2.5, 1.25], [1.25, 2.625]] of lengths 0.4 and 0.5 and beta 0.25."""
    values = np.linalg.eigvalsh([[2.5, 1.25], [1.25, 2.625]])
    np.testing.assert_allclose(condition_of([0.4, 0.5], [0.0, 0.25]), values[1] / values[0], rtol=1e-14)
    assert np.isnan(condition_of([], []))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lanczos(lambda v: v, 3, 4), "4 Lanczos steps for 3 unknowns"),
        (lambda: lanczos(lambda v: v, 3, 0), "0 Lanczos steps"),
        (lambda: lanczos(lambda v: v * np.nan, 3, 2, start=np.ones(3)), "A v holds 3 values that are NaN"),
        (lambda: lanczos(lambda v: v, 3, 2, start=np.zeros(3)), "length 0.0"),
    ],
)
def test_bad_input_is_named(call: Any, message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        call()


def test_ranks_that_disagree_are_told() -> None:
    def body(comm: ThreadComm) -> None:
        with pytest.raises(SciError, match="steps differs between ranks"):
            lanczos(lambda v: v, 4, 2 + comm.rank, start=np.ones(4), comm=comm)

    on_ranks(2, body)


def test_a_linear_operator_of_scipy_serves() -> None:
    operator = LinearOperator((52, 52), matvec=lambda v: A @ v)
    _, alpha, beta = lanczos(operator.matvec, 52, 52)
    np.testing.assert_allclose(np.linalg.eigvalsh(_tridiagonal(alpha, beta)), VALUES, rtol=1e-10)
