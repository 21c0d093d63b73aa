"""Starts that are not zero in body cells: every solver treats them as zero there, and states its true residual."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.solvers import (
    DeepConjugateDirection,
    FastPoisson,
    IncompleteCholesky,
    Jacobi,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    SolveResult,
    cg,
    conjugate_directions,
)

RNG = np.random.default_rng(31)
MASK = np.ones((8, 8, 8), bool)
MASK[2:5, 3:6, 2:6] = False
B = RNG.normal(size=MASK.shape) * MASK
START = 100 * RNG.normal(size=MASK.shape)

Solver = Callable[[PoissonOperator, np.ndarray, np.ndarray], SolveResult]
PRECONDITIONERS = (Jacobi, IncompleteCholesky, FastPoisson, Multigrid, LearnedMultigrid)
SOLVERS: dict[str, Solver] = {
    "cg": lambda A, b, x0: cg(A, b, x0, rtol=1e-9),
    "cg with a function": lambda A, b, x0: cg(A, b, x0, rtol=1e-9, M=lambda r: 0.2 * r),
    **{
        f"cg with {kind.__name__}": lambda A, b, x0, kind=kind: cg(A, b, x0, rtol=1e-9, M=kind(A))
        for kind in PRECONDITIONERS
    },
}
SERIAL: dict[str, Solver] = {
    "conjugate_directions": lambda A, b, x0: conjugate_directions(A, b, lambda r: r, x0, rtol=1e-11),
    "conjugate_directions in large units": lambda A, b, x0: _in_units(A, b, x0, 1e200),
}


def _in_units(A: PoissonOperator, b: np.ndarray, x0: np.ndarray, unit: float) -> SolveResult:
    found = conjugate_directions(A, b * unit, lambda r: r, x0 * unit, rtol=1e-11)
    return SolveResult(found.x / unit, found.iterations, found.residual_norms / unit, found.converged, found.seconds)


def _require_right(A: PoissonOperator, solve: Solver, b: np.ndarray, start: np.ndarray) -> SolveResult:
    found, clean = solve(A, b, start), solve(A, b, start * A.mask)
    assert found.converged
    assert not found.x[~A.mask].any()
    assert found.iterations == clean.iterations
    np.testing.assert_array_equal(found.x, clean.x)
    return found


@pytest.mark.parametrize("name", [*SOLVERS, *SERIAL])
def test_body_cells_of_the_start_count_as_zero(name: str) -> None:
    A = PoissonOperator(MASK)
    found = _require_right(A, {**SOLVERS, **SERIAL}[name], B, START)
    residual = np.linalg.norm(B - A @ found.x)
    assert residual < 1e-6 * np.linalg.norm(B)
    np.testing.assert_allclose(residual, found.residual_norms[-1], rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("name", [name for name in SOLVERS if not name.endswith(("Cholesky", "FastPoisson"))])
def test_on_ranks(name: str) -> None:
    exact = cg(PoissonOperator(MASK), B, rtol=1e-12).x

    def body(comm: ThreadComm) -> None:
        A = PoissonOperator(MASK, comm=comm)
        found = _require_right(A, SOLVERS[name], B[A.slices], START[A.slices])
        np.testing.assert_allclose(found.x, exact[A.slices], atol=1e-7)

    for size in (2, 3):
        on_ranks(size, body)


def test_a_network_of_directions() -> None:
    A, solver = PoissonOperator(MASK), DeepConjugateDirection()
    found, clean = (solver.solve(A, B, start, maxiter=3) for start in (START, START * MASK))
    np.testing.assert_array_equal(found.x, clean.x)
    np.testing.assert_allclose(np.linalg.norm(B - A @ found.x), found.residual_norms[-1], rtol=1e-12)


def test_conjugate_directions_take_b_and_the_start_as_cg_does() -> None:
    A = PoissonOperator(MASK)
    with pytest.raises(InvalidValueError, match="b is not zero outside of the fluid"):
        conjugate_directions(A, B + 1, lambda r: r)
    with pytest.raises(ShapeError, match=r"x0 has shape .* expected that of b"):
        conjugate_directions(A, B, lambda r: r, START[:4])
    closed = PoissonOperator(MASK, boundary="neumann", neumann_body=True)
    with pytest.raises(ConvergenceError, match="singular and b sums to"):
        conjugate_directions(closed, MASK * 1.0, lambda r: r)
    found = conjugate_directions(closed, closed.project(B), lambda r: r, START, rtol=1e-11)
    assert found.converged
    assert abs(found.x.sum()) < 1e-8


def test_conjugate_directions_refuse_ranks() -> None:
    def body(comm: ThreadComm) -> None:
        A = PoissonOperator(MASK, comm=comm)
        with pytest.raises(InvalidValueError, match="A is spread over 2 ranks"):
            conjugate_directions(A, B[A.slices], lambda r: r)

    on_ranks(2, body)
