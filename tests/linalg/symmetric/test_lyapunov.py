"""Lyapunov's equation: the residual, SciPy's solver, central differences, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scipy.linalg import solve_continuous_lyapunov
from symmetric_cases import SPECTRA, symmetric, with_spectrum

import sci
from sci.errors import InvalidValueError
from sci.linalg import lyapunov, symmetric_eigen
from sci.linalg.symmetric.lyapunov import lyapunov_vjp

A = np.array([with_spectrum(s) for s in SPECTRA.values()])
B = np.random.default_rng(7).normal(size=A.shape)


@pytest.fixture(params=["compiled", "reference"], autouse=True)
def _either_path(request: pytest.FixtureRequest) -> Iterator[None]:
    with sci.options(kernels=request.param):
        yield


def test_it_is_the_solution() -> None:
    x = lyapunov(A, B)
    np.testing.assert_allclose(A @ x + x @ A, B, rtol=0, atol=1e-10)  # condition 1e6
    for a, b, ours in zip(A, B, x):
        np.testing.assert_allclose(ours, solve_continuous_lyapunov(a, b), rtol=1e-9, atol=1e-9 * abs(ours).max())
    np.testing.assert_allclose(lyapunov(symmetric_eigen(A), B), x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("unit", [2.0**-660, 2.0**660])
def test_units_change_nothing(unit: float) -> None:
    np.testing.assert_array_equal(lyapunov(A * unit, B * unit), lyapunov(A, B))


def test_an_indefinite_matrix_is_right_where_no_eigenvalues_cancel() -> None:
    a = with_spectrum((-1.0, 2.0, 3.0, -5.0))
    x = lyapunov(a, B[0])
    np.testing.assert_allclose(a @ x + x @ a, B[0], rtol=0, atol=1e-13)
    with pytest.raises(InvalidValueError, match=r"lyapunov: matrix 1 is singular to rounding: .* sum of two"):
        lyapunov(np.array([a, with_spectrum((-1.0, 1.0, 3.0, 4.0))]), B[:2])


def test_gradients_are_those_of_central_differences() -> None:
    a, b = A[:-1], B[:-1]
    rng = np.random.default_rng(3)
    dx, e, f = rng.normal(size=a.shape), symmetric(a.shape, 4), rng.normal(size=a.shape)
    h = 1e-5
    da, db = lyapunov_vjp(a, b, dx)
    up, down = (lyapunov(a + s * h * e, b + s * h * f) for s in (1, -1))
    change = ((up - down) * dx).sum(axis=(1, 2)) / (2 * h)
    size = np.sqrt((da**2).sum(axis=(1, 2)) + (db**2).sum(axis=(1, 2)))
    assert (abs(change - (da * e + db * f).sum(axis=(1, 2))) < 1e-7 * size).all()
    np.testing.assert_array_equal(da, da.swapaxes(-1, -2))


def test_empty_batches() -> None:
    empty = np.empty((0, 3, 3))
    assert [r.shape for r in (lyapunov(empty, empty), *lyapunov_vjp(empty, empty, empty))] == [(0, 3, 3)] * 3
