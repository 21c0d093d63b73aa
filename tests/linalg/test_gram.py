"""Gram matrices and damped solves against rational arithmetic, over ranks and devices, and what they refuse."""

from __future__ import annotations

import sys
from fractions import Fraction
from operator import mul
from typing import Any

import fake_cupy
import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import ConvergenceError, DeviceMismatchError, DTypeError, InvalidValueError, SciError, ShapeError
from sci.linalg import WoodburySolver, gram, gram_matrix

M, N = 6, 60


def _vectors(dtype: Any = np.float64, decay: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(4)
    return (decay ** np.arange(M)[:, None] * rng.normal(size=(M, N))).astype(dtype)


def _exact(S: np.ndarray, damping: float, v: np.ndarray) -> np.ndarray:
    """Return the solution for exactly these numbers, by rational arithmetic."""
    rows, right = [[Fraction(float(x)) for x in row] for row in S], [Fraction(float(x)) for x in v]
    lam, m = Fraction(damping), len(S)
    K = [[sum(map(mul, a, b)) + (j == k) * m * lam for k, b in enumerate(rows)] for j, a in enumerate(rows)]
    a = _eliminated(K, [sum(map(mul, row, right)) for row in rows])
    x = [(right[i] - sum(a[j] * rows[j][i] for j in range(m))) / lam for i in range(len(right))]
    return np.array([float(value) for value in x])


def _eliminated(K: list[list[Fraction]], b: list[Fraction]) -> list[Fraction]:
    """Solve K a = b by Gauss's elimination; every pivot of a positive definite matrix serves."""
    rows = [[*row, value] for row, value in zip(K, b, strict=True)]
    for k, pivot in enumerate(rows):
        for j, row in enumerate(rows):
            if j != k:
                factor = row[k] / pivot[k]
                rows[j] = [x - factor * y for x, y in zip(row, pivot, strict=True)]
    return [row[-1] / row[k] for k, row in enumerate(rows)]


def _error(found: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(found - exact) / np.linalg.norm(exact))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_products_are_summed_in_float64(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    S, T = _vectors(dtype), _vectors(dtype)[::-1][:4]
    exact, mixed = (S.astype(np.longdouble) @ other.astype(np.longdouble).T for other in (S, T))
    for block in (64, 2**21):  # several blocks, and one
        monkeypatch.setattr(gram, "_BLOCK", block)
        G = gram_matrix(S)
        np.testing.assert_array_equal(G, G.T)
        np.testing.assert_allclose(G, exact.astype(float), rtol=1e-13, atol=1e-13 * N)
        np.testing.assert_allclose(gram_matrix(S, T), mixed.astype(float), rtol=1e-13, atol=1e-13 * N)


@pytest.mark.parametrize("damping", [1e-8, 1e-2, 10.0])
def test_solutions_are_those_of_the_dense_matrix(damping: float) -> None:
    S, rng = _vectors(decay=0.5), np.random.default_rng(1)
    solver = WoodburySolver(S, damping)
    v = rng.normal(size=(3, N))
    found = solver.solve(v)
    for x, right in zip(found, v, strict=True):
        assert _error(x, _exact(S, damping, right)) < 1e-13
    np.testing.assert_array_equal(solver.solve(v[1]), solver.solve(v[1:2])[0])
    inverse = np.stack([_exact(S, damping, e) for e in np.eye(N)])
    np.testing.assert_allclose(solver.diagonal(), np.diagonal(inverse), rtol=1e-12, atol=1e-14 / damping)


@pytest.mark.parametrize("damping", [1e-3, 1e-6, 1e-9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_vector_of_the_span_is_solved_without_cancellation(damping: float, dtype: Any) -> None:
    """The plain formula is off by eps / damping relative to x; this one by the rounding of its dtype."""
    S = _vectors(dtype)
    solver = WoodburySolver(S, damping)
    bound = 1.5e-7 if dtype == np.float32 else 1e-12
    for k in (0, M - 1):
        exact = _exact(S, damping, S[k])
        found = solver.solve(S[k])
        assert found.dtype == dtype
        assert _error(found, exact) < bound
        unit = np.eye(M, dtype=dtype)[k]
        assert _error(solver.solve_combination(unit), exact) < bound
        if damping < 1e-5:
            a = np.linalg.solve(S @ S.T + M * damping * np.eye(M, dtype=dtype), S @ S[k])
            assert _error((S[k] - S.T @ a) / dtype(damping), exact) > 100 * bound


def test_part_in_the_span_and_part_outside() -> None:
    S, damping = _vectors(decay=0.3), 1e-6
    outside = np.random.default_rng(2).normal(size=N)
    solver = WoodburySolver(S, damping)
    for size in (1.0, 1e-6, 1e-11):
        v = S[0] + size * outside
        # The rounding of v itself lies outside of the span too, and counts as a part of v.
        assert _error(solver.solve(v), _exact(S, damping, v)) < 1e-14 + 1e-14 / size


def test_weak_vectors_near_the_damping() -> None:
    """Vectors whose squares are far above, near and below the damping: what the docstring states."""
    S, damping = _vectors(decay=0.05), 1e-9
    solver = WoodburySolver(S, damping)
    for k in range(M):
        exact = _exact(S, damping, S[k])
        assert _error(solver.solve_combination(np.eye(M)[k]), exact) < 1e-14
        error = np.linalg.norm(solver.solve(S[k]) - exact)
        assert error < 4 * np.finfo(float).eps * np.linalg.norm(S[k]) / damping


def test_the_condition_is_that_of_the_small_matrix() -> None:
    S = _vectors(decay=0.5)
    expected = np.linalg.cond(S @ S.T + M * 1e-3 * np.eye(M))
    assert WoodburySolver(S, 1e-3).condition == pytest.approx(expected, rel=1e-9)


def test_zero_and_equal_rows_are_fine_with_damping() -> None:
    S = np.zeros((M, N))
    S[:3] = _vectors()[:3]
    S[3] = S[2]
    v = np.random.default_rng(3).normal(size=N)
    assert _error(WoodburySolver(S, 1e-4).solve(v), _exact(S, 1e-4, v)) < 1e-12
    assert _error(WoodburySolver(S, 1e-4).solve(S[2]), _exact(S, 1e-4, S[2])) < 1e-9
    np.testing.assert_allclose(WoodburySolver(0 * S, 0.5).solve(v), 2 * v, rtol=1e-15)


def test_one_column_of_a_gram_matrix_can_be_replaced() -> None:
    S = _vectors()
    G = gram_matrix(S)
    S[4] = np.random.default_rng(8).normal(size=N)
    G[4] = G[:, 4] = gram_matrix(S, S[4:5])[:, 0]
    v = np.ones(N)
    np.testing.assert_allclose(WoodburySolver(S, 1e-3, gram=G).solve(v), WoodburySolver(S, 1e-3).solve(v), rtol=1e-12)


@pytest.mark.parametrize("unit", [1e-130, 1e130])
def test_units_do_not_matter(unit: float) -> None:
    S, v = _vectors(), np.ones(N)
    plain = WoodburySolver(S, 1e-3).solve(v)
    np.testing.assert_allclose(WoodburySolver(S * unit, 1e-3 * unit**2).solve(v * unit**2), plain, rtol=1e-12)
    np.testing.assert_allclose(WoodburySolver(S, 1e-3).solve(v * 1e290), plain * 1e290, rtol=1e-12)


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ranks_give_the_serial_answer(size: int, dtype: Any) -> None:
    S, v = _vectors(dtype), np.random.default_rng(5).normal(size=(2, N))
    v[1] = S[1]
    serial = WoodburySolver(S, 1e-6)
    expected, diagonal = serial.solve(v), serial.diagonal()

    def body(comm: ThreadComm) -> Any:
        bounds = [0, 37, N] if size == 2 else [0, 37, 37, N]  # one rank holds nothing
        own = slice(bounds[comm.rank], bounds[comm.rank + 1])
        solver = WoodburySolver(np.ascontiguousarray(S[:, own]), 1e-6, comm=comm)
        unit = np.eye(M)[2]
        return solver.solve(v[:, own]), solver.gram, solver.diagonal(), solver.solve_combination(unit), solver.condition

    found = on_ranks(size, body)
    whole, diagonals, combined = (np.concatenate([f[k] for f in found], axis=-1) for k in (0, 2, 3))
    for x, exact in zip(whole, expected, strict=True):
        assert _error(x, exact) < 1e-12
    np.testing.assert_allclose(diagonals, diagonal, rtol=1e-9)
    np.testing.assert_allclose(combined, serial.solve_combination(np.eye(M)[2]), rtol=1e-9)
    for rank in found:
        np.testing.assert_array_equal(rank[1], found[0][1])
        assert rank[4] == pytest.approx(serial.condition, rel=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_device_arrays_stay_on_their_device(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cupy = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    S, v = _vectors(dtype), np.ones((2, N), dtype)
    host, device = WoodburySolver(S, 1e-3), WoodburySolver(cupy.asarray(S), 1e-3)
    np.testing.assert_allclose(cupy.asnumpy(device.solve(cupy.asarray(v))), host.solve(v), rtol=1e-6)
    np.testing.assert_allclose(cupy.asnumpy(device.diagonal()), host.diagonal(), rtol=1e-12)
    assert device.condition == pytest.approx(host.condition)
    unit = np.eye(M)[0]
    np.testing.assert_allclose(
        cupy.asnumpy(device.solve_combination(cupy.asarray(unit))), host.solve_combination(unit), rtol=1e-12
    )
    with pytest.raises(DeviceMismatchError):
        device.solve(v)


def test_an_array_is_not_copied_and_is_named() -> None:
    S = _vectors()
    solver = WoodburySolver(S, 1e-3)
    assert solver.vectors is S
    assert repr(solver) == "WoodburySolver(6 vectors of 60 numbers, float64, damping 0.001)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda S: WoodburySolver(S, 0.0), InvalidValueError, "damping is 0.0; expected a positive number"),
        (lambda S: WoodburySolver(S, -1.0), InvalidValueError, "damping is -1.0"),
        (lambda S: WoodburySolver(S, float("inf")), InvalidValueError, "damping is inf"),
        (lambda S: WoodburySolver(S[:0], 1.0), ShapeError, "expected at least one vector"),
        (lambda S: WoodburySolver(S[0], 1.0), ShapeError, "vectors has shape"),
        (lambda S: WoodburySolver(S, 1.0, gram=np.eye(3)), ShapeError, "gram has shape"),
        (lambda S: WoodburySolver(np.vstack([S, S[:1]]), 1e-18), ConvergenceError, "depend on each other"),
        (lambda S: WoodburySolver(S, 1.0).solve(np.ones(N - 1)), ShapeError, "v has shape"),
        (lambda S: WoodburySolver(S, 1.0).solve(np.full(N, np.nan)), InvalidValueError, "v holds 60 values"),
        (lambda S: WoodburySolver(S, 1.0).solve(np.ones(N, complex)), DTypeError, "v has dtype complex128"),
        (lambda S: WoodburySolver(S, 1.0).solve_combination(np.ones(M + 1)), ShapeError, "coefficients has shape"),
        (lambda S: WoodburySolver(S, 1e-9).solve(np.full(N, 1e300)), InvalidValueError, "the solution holds"),
        (lambda S: gram_matrix(S, S[:, 1:]), ShapeError, "the length of vectors"),
        (lambda S: gram_matrix(S * 1e200), InvalidValueError, "leaves the range of float64; scale them"),
        (lambda S: gram_matrix(S * 1e-200), InvalidValueError, "leaves the range of float64; scale them"),
        (lambda S: gram_matrix(S, S * 1e-200), InvalidValueError, "leaves the range of float64; scale them"),
    ],
)
def test_bad_input_is_named(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call(_vectors())


def test_ranks_that_disagree_are_told() -> None:
    def body(comm: ThreadComm) -> None:
        S = _vectors()[:, :10]
        with pytest.raises(SciError, match="damping differs between ranks"):
            WoodburySolver(S, 1.0 + comm.rank, comm=comm)
        with pytest.raises(SciError, match="vectors differs between ranks"):
            gram_matrix(S[: 3 + comm.rank], comm=comm)
        solver = WoodburySolver(S, 1.0, comm=comm)
        with pytest.raises(SciError, match="v differs between ranks"):
            solver.solve(np.ones((1 + comm.rank, 10)))
        with pytest.raises(SciError, match="coefficients differs between ranks"):
            solver.solve_combination(np.full(M, 1.0 + comm.rank))

    on_ranks(2, body)
