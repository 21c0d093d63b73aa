"""Lanczos' iteration against dense spectra, over ranks, plain and preconditioned."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from scipy.sparse.linalg import LinearOperator
from thread_ranks import ThreadComm, on_ranks

from sci.errors import ConvergenceError, InvalidValueError, SciError
from sci.linalg import lanczos, ritz_vectors
from sci.linalg.lanczos import eigen_of_tridiagonal

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


def test_ritz_vectors_do_not_depend_on_the_unit() -> None:
    for unit in (1e-30, 1e30):
        basis, alpha, beta = lanczos(lambda v, unit=unit: unit * (A @ v), 52, 52)
        np.testing.assert_allclose(ritz_vectors(basis, alpha, beta)[0], unit * VALUES, rtol=1e-9)


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


@pytest.mark.parametrize("reorthogonalize", [True, False])
def test_a_preconditioner_gives_the_spectrum_of_m_a(reorthogonalize: bool) -> None:
    g = RNG.normal(size=(52, 52))
    M = g @ g.T / 52 + np.eye(52)
    exact = np.sort(np.linalg.eigvals(M @ A).real)
    start = RNG.normal(size=52)
    steps = 52 if reorthogonalize else 40
    basis, alpha, beta = lanczos(
        lambda v: A @ v, 52, steps, start=start, reorthogonalize=reorthogonalize, preconditioner=lambda v: M @ v
    )
    values = np.linalg.eigvalsh(_tridiagonal(alpha, beta))
    if basis is None:
        np.testing.assert_allclose(values[[0, -1]], exact[[0, -1]], rtol=1e-6)
        return
    np.testing.assert_allclose(values, exact, rtol=1e-9)
    np.testing.assert_allclose(basis @ np.linalg.inv(M) @ basis.T, np.eye(52), atol=1e-11)
    np.testing.assert_allclose(basis @ A @ basis.T, _tridiagonal(alpha, beta), atol=1e-10)
    vectors = ritz_vectors(basis, alpha, beta)[1]
    np.testing.assert_allclose(M @ A @ vectors.T, vectors.T * exact, atol=1e-8 * exact[-1])


def test_units_of_the_preconditioner_do_not_matter() -> None:
    M = np.diag(1 + RNG.random(52))
    start = RNG.normal(size=52)
    plain, scaled = (
        lanczos(lambda v: A @ v, 52, 9, start=start, preconditioner=lambda v, u=unit: u * (M @ v))[1:]
        for unit in (1.0, 1e200)
    )
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_allclose(other / 1e200, one, rtol=1e-12)


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


def test_a_preconditioner_that_is_not_definite_is_refused() -> None:
    M = np.diag(np.where(np.arange(52) % 2, 1.0, -1.0))
    with pytest.raises(ConvergenceError, match="expected a symmetric positive definite M"):
        lanczos(lambda v: A @ v, 52, 10, start=np.arange(52.0), preconditioner=lambda v: M @ v)


def test_ranks_that_disagree_are_told() -> None:
    def body(comm: ThreadComm) -> None:
        with pytest.raises(SciError, match="steps differs between ranks"):
            lanczos(lambda v: v, 4, 2 + comm.rank, start=np.ones(4), comm=comm)

    on_ranks(2, body)


def test_a_linear_operator_of_scipy_serves() -> None:
    operator = LinearOperator((52, 52), matvec=lambda v: A @ v)
    _, alpha, beta = lanczos(operator.matvec, 52, 52)
    np.testing.assert_allclose(np.linalg.eigvalsh(_tridiagonal(alpha, beta)), VALUES, rtol=1e-10)


def test_a_tridiagonal_matrix_on_which_the_fast_driver_gives_up_has_its_eigenvalues(monkeypatch) -> None:
    fast = scipy.linalg.eigh_tridiagonal

    def gives_up(a: np.ndarray, b: np.ndarray, lapack_driver: str = "auto") -> tuple[np.ndarray, np.ndarray]:
        if lapack_driver == "auto":
            raise scipy.linalg.LinAlgError("stemr did not converge")
        return fast(a, b, lapack_driver=lapack_driver)

    a, b = np.arange(1.0, 9.0), 10.0 ** -np.arange(7.0)
    expected = fast(a, b)[0]
    monkeypatch.setitem(eigen_of_tridiagonal.__globals__, "eigh_tridiagonal", gives_up)
    values, vectors = eigen_of_tridiagonal(a, b)
    np.testing.assert_allclose(values, expected, rtol=1e-14)
    matrix = np.diag(a) + np.diag(b, 1) + np.diag(b, -1)
    np.testing.assert_allclose(matrix @ vectors, vectors * values, atol=1e-13)
