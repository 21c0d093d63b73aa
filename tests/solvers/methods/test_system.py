"""All Krylov methods against SciPy's on the same systems, in any units, on any operator, and their refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from krylov_systems import METHODS, scipy_count, system
from scipy import sparse
from scipy.sparse import linalg

from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.solvers import LearnedMultigrid, Multigrid, PoissonOperator, block_cg, cg
from sci.solvers.krylov.guard import Guard
from sci.solvers.methods.system import System, finite

NAMES = list(METHODS)
RNG = np.random.default_rng(2)
MASK = np.random.default_rng(5).random((8, 7, 6)) > 0.2


@pytest.mark.parametrize("preconditioned", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_iterations_and_answers_are_those_of_scipy(name, preconditioned):
    kind, method, _ = METHODS[name]
    A, b = system(kind, 60, 1), RNG.normal(size=60)
    M = np.diag(1 / np.abs(np.diag(A))) if preconditioned else None
    result = method(A, b, M=M, rtol=1e-10)
    x, count = scipy_count(name, A, b, 1e-10 * np.linalg.norm(b), M=M)
    np.testing.assert_allclose(result.x, np.linalg.solve(A, b), atol=1e-9)
    np.testing.assert_allclose(result.x, x, atol=1e-8)
    assert abs(result.iterations - count) <= 2
    assert result.converged
    assert len(result.residual_norms) == result.iterations + 1
    assert result.residual_norms[-1] == pytest.approx(np.linalg.norm(b - A @ result.x), rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(NAMES), st.integers(1, 12), st.integers(0, 999), st.integers(-200, 200), st.integers(-100, 100))
def test_small_systems_in_any_units(name, n, seed, a_power, b_power):
    kind, method, _ = METHODS[name]
    A, b = system(kind, n, seed), np.random.default_rng(seed).normal(size=n)
    exact = np.linalg.solve(A, b)
    scale = 10.0**b_power / 10.0 ** (a_power / 1.0)
    x0 = None if seed % 2 else exact * 0.5 * scale
    result = method(A * 10.0**a_power, b * 10.0**b_power, x0, rtol=1e-11, M=lambda r: r * 10.0 ** -(a_power / 2))
    np.testing.assert_allclose(result.x / scale, exact, rtol=0, atol=1e-9 * np.linalg.norm(exact))


@pytest.mark.parametrize("name", NAMES)
def test_units_change_no_iteration(name):
    kind, method, _ = METHODS[name]
    A, b = system(kind, 40, 3), RNG.normal(size=40)
    counts = {
        method(A * 2.0**p, b * 2.0**q, rtol=1e-10).iterations for p, q in ((0, 0), (660, 0), (-660, 330), (0, 660))
    }
    assert len(counts) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["csr", "linear operator", "function", "float32", "array"])
def test_every_operator_is_taken(name, kind):
    A = system(METHODS[name][0], 20, 4)
    b = RNG.normal(size=20)
    given = {
        "csr": sparse.csr_array(A),
        "linear operator": linalg.aslinearoperator(A),
        "function": lambda v: A @ v,
        "float32": A.astype("f4"),
        "array": sparse.coo_array(A),
    }[kind]
    result = METHODS[name][1](given, b[:, None], rtol=1e-9)
    assert result.x.shape == (20, 1)
    np.testing.assert_allclose(result.x[:, 0], np.linalg.solve(A, b), atol=1e-5 if kind == "float32" else 1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_grid_operators_and_their_preconditioners(name):
    method = METHODS[name][1]
    for A in (PoissonOperator(MASK), PoissonOperator(MASK, 1.0, "neumann", neumann_body=True)):
        b = A.project(RNG.normal(size=MASK.shape) * MASK) if A.singular else RNG.normal(size=MASK.shape) * MASK
        for M in (None, Multigrid(A), LearnedMultigrid(A)):
            seen = []
            result = method(A, b, M=M, rtol=1e-8, callback=seen.append)
            assert np.linalg.norm(b - A.apply(result.x)) <= 1.01e-8 * np.linalg.norm(b)
            assert seen[-1].shape == MASK.shape
            assert M is None or result.iterations <= 14
            flat = method(A, A.compress(b), M=M, rtol=1e-8)
            np.testing.assert_allclose(A.compress(result.x), flat.x, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_columns_are_solved_one_after_the_other(name):
    A = system(METHODS[name][0], 20, 5)
    b = RNG.normal(size=(20, 3))
    result = METHODS[name][1](A, b, rtol=1e-9)
    np.testing.assert_allclose(result.x, np.linalg.solve(A, b), atol=1e-7)
    assert result.residual_norms.shape == (result.iterations + 1, 3)


@pytest.mark.parametrize("name", NAMES)
def test_no_iteration_and_too_few(name):
    A, b = system(METHODS[name][0], 30, 6), RNG.normal(size=30)
    method = METHODS[name][1]
    assert method(A, np.zeros(30)).iterations == 0
    assert method(A, b, np.linalg.solve(A, b)).iterations == 0
    short = method(A, b, rtol=1e-12, maxiter=1, **({"restart": 2} if "gmres" in name else {}))
    assert not short.converged
    assert short.iterations == (2 if "gmres" in name else 1)
    assert short.residual_norms[-1] == pytest.approx(np.linalg.norm(b - A @ short.x), rel=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_breakdowns_have_a_name(name):
    method = METHODS[name][1]
    for A in (np.zeros((2, 2)), np.ones((2, 2))):
        with pytest.raises(ConvergenceError, match=r"singular|breaks down"):
            method(A, np.array([1.0, 2.0]))
    with pytest.raises(ConvergenceError, match="NaN"):
        method(np.full((2, 2), np.nan), np.array([1.0, 2.0]))
    with pytest.raises(ConvergenceError, match="NaN"):
        method(np.eye(2), np.array([1.0, 2.0]), M=lambda r: r * np.nan)


@pytest.mark.parametrize("name", [*NAMES, "block_cg"])
def test_what_does_not_fit_is_refused(name):
    from sci import solvers

    method, A = getattr(solvers, name), np.eye(4)
    b = np.ones((4, 2)) if name == "block_cg" else np.ones(4)
    with pytest.raises(ShapeError):
        method(np.eye(5), b)
    with pytest.raises(ShapeError):
        method(A, b, b[:3])
    for wrong in (A * 1j, "A", Multigrid):
        with pytest.raises(DTypeError):
            method(wrong, b)
    with pytest.raises(DTypeError):
        method(A, b * 1j)
    for name, value in (("rtol", -1.0), ("rtol", 1e-20), ("atol", np.inf), ("maxiter", -1)):
        with pytest.raises(InvalidValueError, match=name):
            method(A, b, **{name: value})
    with pytest.raises(InvalidValueError, match="NaN"):
        method(A, b * np.nan)


def test_sums_products_and_units_of_a_system():
    A = np.diag([2.0, 8.0]) * 1e180
    given = System(lambda v: A @ v, lambda r: r * 1e-180, np.array([1e30, 0.0]), np.array([0.0, 1e-150]), Guard(), None)
    np.testing.assert_allclose(given.solution(given.x), [0, 1e-150])
    assert given.replace() == pytest.approx(np.hypot(1e30, 8e30))
    assert given.norm(given.precondition(given.r)) < 1e3
    assert given.dots((given.b, given.b), (given.x, given.b)) == [pytest.approx(given.b @ given.b), 0.0]
    np.testing.assert_array_equal(given.projections(np.eye(2), given.b), given.b)
    assert finite(1.0, "a number", 1) == 1.0
    with pytest.raises(ConvergenceError, match="a number is nan"):
        finite(float("nan"), "a number", 1)


@pytest.mark.parametrize("name", NAMES)
def test_a_right_hand_side_of_zeros_has_the_solution_zero(name):
    kind, method, _ = METHODS[name]
    A = system(kind, 40, 1)
    result = method(A, np.zeros(40), np.ones(40), rtol=1e-8)
    assert result.converged
    assert not result.x.any()
    kept = method(A, np.zeros(40), np.ones(40), rtol=1e-8, atol=1e-6)
    assert kept.converged
    assert np.linalg.norm(A @ kept.x) <= 1e-6


def test_only_columns_of_zeros_start_from_zero():
    A, b = np.diag(np.arange(1.0, 9.0)), np.zeros((8, 2))
    b[:, 0] = 1
    start = np.ones((8, 2))
    for method in (cg, block_cg):
        result = method(A, b, start, rtol=1e-10)
        assert result.converged
        assert not result.x[:, 1].any()
        np.testing.assert_array_equal(result.residual_norms[0] > 0, [True, False])
