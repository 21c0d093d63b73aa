"""Extreme eigenvalues from coefficients: their errors, and the condition that conjugate gradients leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.sparse.linalg import eigsh

from sci.errors import ShapeError
from sci.linalg import Extremes, extreme_eigenvalues, lanczos, tridiagonal_of
from sci.solvers import Jacobi, Multigrid, PoissonOperator, cg, spectrum

RNG = np.random.default_rng(6)
VALUES = np.concatenate([np.linspace(1, 2, 400), np.geomspace(0.01, 1, 30), [5.0, 9.0]])


@pytest.mark.parametrize("steps", [2, 3, 4, 5, 8, 20, 100])
def test_the_error_holds_at_every_stage(steps: int) -> None:
    """Each Ritz value lies inside of the spectrum, and some eigenvalue within its error."""
    _, alpha, beta = lanczos(
        lambda v: VALUES * v, len(VALUES), steps, start=RNG.normal(size=len(VALUES)), reorthogonalize=False
    )
    found = extreme_eigenvalues(alpha, beta)
    assert found.smallest >= VALUES.min() * (1 - 1e-12)
    assert found.largest <= VALUES.max() * (1 + 1e-12)
    for value, error in found.pairs:
        assert np.abs(VALUES - value).min() <= error
    if steps == 100:
        assert found.condition == pytest.approx(900, rel=1e-3)
        assert abs(found.condition - 900) <= found.condition_error < 30


def test_two_findings_are_merged_end_by_end() -> None:
    one, other = Extremes(1.0, 5.0, 0.1, 0.2), Extremes(2.0, 6.0, 0.3, 0.4)
    assert one.merged(other) == other.merged(one) == Extremes(1.0, 6.0, 0.1, 0.4)
    assert one.merged(Extremes()) == Extremes().merged(one) == one
    assert one.merged(Extremes(1.0, 5.0, 0.01, 0.3)) == Extremes(1.0, 5.0, 0.01, 0.2)


def test_conditions_that_are_not_known_or_infinite() -> None:
    assert np.isnan(Extremes().condition)
    assert np.isnan(Extremes().condition_error)
    assert Extremes(-1.0, 2.0, 0.0, 0.0).condition == np.inf
    assert extreme_eigenvalues([3.0], []).smallest_error == np.inf


def test_the_ends_can_be_read() -> None:
    assert repr(Extremes(0.5, 4.0, 0.001, 0.004)) == "Extremes(0.5 +- 0.001 to 4 +- 0.004, condition 8)"


def test_lengths_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"alpha and beta have shapes \(2,\) and \(3,\)"):
        extreme_eigenvalues([1.0, 2.0], [1.0, 1.0, 1.0])


def test_a_space_that_ended_leaves_no_error() -> None:
    found = extreme_eigenvalues([2.0, 2.0], [1.0, 0.0])
    assert (found.smallest, found.largest) == (pytest.approx(1.0), pytest.approx(3.0))
    assert max(found.smallest_error, found.largest_error) < 1e-14


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
    for (value, error), exact in zip(found.extremes.pairs, (low, high), strict=True):
        assert abs(value - exact) <= error + 1e-5 * exact


def _values(A: PoissonOperator, M: Any) -> np.ndarray:
    """Return the eigenvalues of A, or of M A with Jacobi's M, but those of the null space."""
    matrix = A.to_scipy().toarray()
    if M is not None:
        root = 1 / np.sqrt(np.diag(matrix))
        matrix = root[:, None] * matrix * root
    return np.linalg.eigvalsh(matrix)[A.component_sizes.size :]


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("boundary", ["neumann", "dirichlet"])
@pytest.mark.parametrize("made", [None, Jacobi])
def test_a_solve_at_rounding_keeps_to_its_error(seed: int, boundary: str, made: Any) -> None:
    """Residuals that are recomputed where nothing but rounding is left bring values far outside of the spectrum."""
    shape = (9, 9)
    A = PoissonOperator(
        np.ones(shape, bool), boundary=boundary, coefficient=10 ** np.random.default_rng(seed).uniform(-3, 3, shape)
    )
    M = None if made is None else made(A)
    b = A @ np.random.default_rng(1).normal(size=A.size)
    values = _values(A, M)
    found = [cg(A, b, M=M, rtol=rtol).extremes for rtol in (1e-8, 1e-12, 1e-14)]
    for ends in [*found, spectrum(A, M).extremes]:
        for (value, error), exact in zip(ends.pairs, (values[0], values[-1]), strict=True):
            assert abs(value - exact) <= error + 1e-8 * exact
    if made is not None:
        assert found[-1].condition == pytest.approx(values[-1] / values[0], rel=1e-3)


def test_many_steps_after_convergence_do_not_spoil_the_condition() -> None:
    A = PoissonOperator(np.ones((32, 32), bool), boundary="neumann")
    values = _values(A, None)
    found = cg(A, A @ np.random.default_rng(0).normal(size=A.size), rtol=0, maxiter=1000)
    assert abs(found.condition - values[-1] / values[0]) <= found.extremes.condition_error
    assert found.condition == pytest.approx(values[-1] / values[0], rel=1e-3)


def test_a_good_start_is_no_licence() -> None:
    """Rounding of b - A x is relative to b, not to the first residual."""
    A = PoissonOperator(np.ones((32, 32), bool))
    x = np.random.default_rng(0).normal(size=A.size)
    near = x + 1e-9 * np.random.default_rng(1).normal(size=A.size)
    found = cg(A, A @ x, near, rtol=0, maxiter=400).extremes
    values = _values(A, None)
    for (value, error), exact in zip(found.pairs, (values[0], values[-1]), strict=True):
        assert abs(value - exact) <= error + 1e-8 * exact


def test_the_condition_of_columns_is_the_largest() -> None:
    matrix = np.diag([1.0, 2.0, 3.0, 10.0])
    one, all_of_it = np.eye(4)[:, :1], np.ones((4, 1))
    assert cg(matrix, np.hstack([one, all_of_it]), rtol=1e-12).condition == pytest.approx(10)
    assert cg(matrix, one[:, 0], rtol=1e-12).condition == pytest.approx(1)
    assert np.isnan(cg(matrix, np.zeros(4)).condition)


def test_coefficients_of_two_steps_are_those_of_the_matrix_by_hand() -> None:
    """T = [[2.5, 1.25], [1.25, 2.625]] of lengths 0.4 and 0.5 and beta 0.25."""
    alpha, beta = tridiagonal_of([0.4, 0.5], [0.0, 0.25])
    np.testing.assert_allclose(np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1), [[2.5, 1.25], [1.25, 2.625]])
    values = np.linalg.eigvalsh([[2.5, 1.25], [1.25, 2.625]])
    np.testing.assert_allclose(extreme_eigenvalues(alpha, beta).condition, values[1] / values[0], rtol=1e-14)
    assert np.isnan(extreme_eigenvalues(*tridiagonal_of([], [])).condition)
