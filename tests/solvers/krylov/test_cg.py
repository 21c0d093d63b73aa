"""Conjugate gradients against SciPy's and against what theory says; every misuse has its own error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.problems.media import balls
from sci.solvers import (
    FastPoisson,
    IncompleteCholesky,
    Jacobi,
    LearnedMultigrid,
    Multigrid,
    PoissonOperator,
    cg,
    conjugate_directions,
    fcg,
    fgmres,
)

RNG = np.random.default_rng(5)
MASK = RNG.random((9, 8, 7)) > 0.2
A = PoissonOperator(MASK)
MATRIX = A.to_scipy()
B = RNG.normal(size=A.size)


def _residual(matrix, x, b):
    return np.linalg.norm(b - matrix @ x) / np.linalg.norm(b)


@pytest.mark.parametrize("kind", ["operator", "csr", "csc", "dia", "dense", "linear operator", "array", "function"])
def test_iterates_are_those_of_scipy(kind):
    given = {
        "operator": A,
        "csr": MATRIX,
        "csc": MATRIX.tocsc(),
        "dia": MATRIX.todia(),
        "dense": MATRIX.toarray(),
        "linear operator": linalg.aslinearoperator(MATRIX),
        "array": sparse.csr_array(MATRIX),
        "function": lambda v: MATRIX @ v,
    }[kind]
    ours, theirs = [], []
    result = cg(given, B, rtol=1e-9, callback=lambda x: ours.append(x.copy()))
    linalg.cg(MATRIX, B, rtol=1e-9, callback=lambda x: theirs.append(x.copy()))
    assert result.converged
    assert result.iterations == len(ours) == len(theirs)
    for found, expected in zip(ours, theirs):
        np.testing.assert_allclose(found, expected, atol=1e-9)
    assert _residual(MATRIX, result.x, B) <= 1e-9
    assert len(result.residual_norms) == result.iterations + 1
    assert result.residual_norms[0] == pytest.approx(np.linalg.norm(B))
    assert result.residual_norms[-1] == pytest.approx(np.linalg.norm(B - MATRIX @ result.x), rel=1e-3)
    assert result.seconds > 0


def test_grids_and_vectors_are_one():
    flat, grid = cg(A, B, rtol=1e-8), cg(A, A.expand(B), rtol=1e-8)
    assert flat.iterations == grid.iterations
    np.testing.assert_allclose(A.compress(grid.x), flat.x, atol=1e-12)
    column = cg(A, B[:, None], rtol=1e-8)
    assert column.x.shape == (A.size, 1)
    np.testing.assert_allclose(column.x[:, 0], flat.x, atol=1e-12)


def test_preconditioners_of_others_plug_in():
    jacobi = sparse.diags(1 / MATRIX.diagonal())
    seen = []

    def scaled(r):
        seen.append(r.shape)
        return r / 6

    plain = cg(A, B, rtol=1e-8)
    for M in (jacobi, linalg.aslinearoperator(jacobi), jacobi.toarray(), scaled):
        for b in (B, A.expand(B)):
            assert abs(cg(A, b, rtol=1e-8, M=M).iterations - plain.iterations) <= 1
    assert set(seen) == {(A.size,)}


def test_the_exact_inverse_needs_one_step():
    inverse = np.linalg.inv(MATRIX.toarray())
    assert cg(A, B, rtol=1e-9, M=inverse).iterations == 1


def test_start_tolerances_and_limits():
    exact = linalg.spsolve(MATRIX.tocsc(), B)
    assert cg(A, B, x0=exact, rtol=1e-9).iterations == 0
    assert cg(A, 0 * B).iterations == 0
    limited = cg(A, B, rtol=1e-9, maxiter=3)
    assert not limited.converged
    assert limited.iterations == 3
    assert cg(A, B, maxiter=0).iterations == 0
    loose = cg(A, B, rtol=0.0, atol=0.1)
    assert np.linalg.norm(B - MATRIX @ loose.x) <= 0.1 < loose.residual_norms[-2]
    assert not cg(A, B, rtol=0.0, maxiter=300).converged


@pytest.mark.parametrize("neumann_body", [False, True])
def test_singular_systems_are_projected(neumann_body):
    mask = np.ones((8, 9), dtype=bool)
    mask[:, 4] = False  # two parts, each closed when the body insulates
    operator = PoissonOperator(mask, 1.0, "neumann", neumann_body=neumann_body)
    assert operator.component_sizes.size == (2 if neumann_body else 0)
    b = operator.project(np.random.default_rng(0).normal(size=operator.size))
    result = cg(operator, b, x0=np.ones(operator.size), rtol=1e-10)
    assert result.converged
    matrix = operator.to_scipy()
    assert _residual(matrix, result.x, b) <= 1e-10
    if operator.singular:
        expected = np.linalg.pinv(matrix.toarray()) @ b
        np.testing.assert_allclose(result.x, expected, atol=1e-8)
        with pytest.raises(ConvergenceError, match="singular"):
            cg(operator, b + 1)


def test_an_inconsistent_singular_matrix_breaks_down():
    matrix = PoissonOperator(np.ones((6, 6), bool), 1.0, "neumann").to_scipy()
    with pytest.raises(ConvergenceError, match="positive definite"):
        cg(matrix, np.ones(36))


def test_indefiniteness_and_nan_are_errors():
    with pytest.raises(ConvergenceError, match="p'A p is -"):
        cg(-MATRIX, B)
    with pytest.raises(ConvergenceError, match="r'M r"):
        cg(A, B, M=lambda r: -r)
    with pytest.raises(ConvergenceError, match="NaN"):
        cg(A, B, M=lambda r: np.nan * r)
    with pytest.raises(ConvergenceError, match="r'M r is 0"):
        cg(A, B, M=lambda r: 0 * r)
    saddle = np.diag([1.0, -1.0])
    with pytest.raises(ConvergenceError, match="positive definite"):
        cg(saddle, np.array([1.0, 1.0]))
    for bad in (np.nan, np.inf):
        wrong = B.copy()
        wrong[3] = bad
        with pytest.raises(InvalidValueError, match="b holds 1"):
            cg(A, wrong)
        with pytest.raises(InvalidValueError, match="x0 holds 1"):
            cg(A, B, x0=wrong)


def test_shapes_types_and_limits_are_checked():
    with pytest.raises(ShapeError, match="expected the grid"):
        cg(A, B[:-1])
    with pytest.raises(ShapeError, match="square"):
        cg(MATRIX[:-1], B)
    with pytest.raises(ShapeError, match="rows"):
        cg(MATRIX, B[:-1])
    with pytest.raises(ShapeError, match="x0"):
        cg(A, B, x0=B[:-1])
    with pytest.raises(ShapeError, match="M has shape"):
        cg(A, B, M=MATRIX[:-1])
    with pytest.raises(ShapeError, match="same shape"):
        cg(A, B, M=lambda r: r[:-1])
    with pytest.raises(ShapeError, match="single number"):
        cg(A, np.float64(1))
    with pytest.raises(DTypeError, match="real"):
        cg(MATRIX.astype(complex), B)
    with pytest.raises(DTypeError, match="real"):
        cg(A, B.astype(complex))
    with pytest.raises(DTypeError, match="expected a matrix"):
        cg("matrix", B)
    with pytest.raises(InvalidValueError, match="rtol"):
        cg(A, B, rtol=-1)
    with pytest.raises(InvalidValueError, match="maxiter"):
        cg(A, B, maxiter=-1)
    with pytest.raises(InvalidValueError, match="outside of the fluid"):
        cg(A, np.ones(MASK.shape))


UNITS = {
    "none": lambda A: None,
    "multigrid": Multigrid,
    "multigrid in float64": lambda A: Multigrid(A, dtype=np.float64),
    "learned": LearnedMultigrid,
    "incomplete Cholesky": IncompleteCholesky,
    "fast Poisson": FastPoisson,
    "Jacobi": Jacobi,
    "function": lambda A: lambda r: r * A.spacing[0] ** 2,
}


def _true_residual(A, x, b) -> float:
    return float(np.linalg.norm((A @ x - b)[A.mask]) / np.linalg.norm(b))


@pytest.mark.parametrize("name", UNITS)
def test_units_change_nothing(name):
    """The same iterations at every cell width and every unit of b, from 1e-30 to 1e30."""
    b = A.expand(B)
    expected = cg(A, b, M=UNITS[name](A), rtol=1e-8).iterations
    for h in (1e-30, 1e-12, 1e-8, 1e-3, 1e11, 1e30):
        scaled = PoissonOperator(MASK, h)
        M = UNITS[name](scaled)
        for unit in (1e-30, 1.0, 1e30):
            result = cg(scaled, unit * b, M=M, rtol=1e-8)
            assert (result.converged, result.iterations) == (True, expected), (h, unit)
            assert _true_residual(scaled, result.x / unit, b) <= 1.01e-8
    for unit in (1e-300, 1e300):
        result = cg(A, unit * b, M=UNITS[name](A), rtol=1e-8)
        assert (result.converged, result.iterations) == (True, expected), unit
        assert _true_residual(A, result.x / unit, b) <= 1.01e-8


@pytest.mark.parametrize("name", [name for name in UNITS if name not in ("none", "fast Poisson", "function")])
def test_units_of_the_coefficient_change_nothing(name):
    coefficient, b = np.exp(np.random.default_rng(1).normal(size=MASK.shape)), A.expand(B)
    plain = PoissonOperator(MASK, coefficient=coefficient)
    expected = cg(plain, b, M=UNITS[name](plain), rtol=1e-8).iterations
    for unit in (1e-30, 1e-12, 1e12, 1e30):
        scaled = PoissonOperator(MASK, coefficient=unit * coefficient)
        for size in (1e-30, 1e30):
            result = cg(scaled, size * b, M=UNITS[name](scaled), rtol=1e-8)
            assert (result.converged, result.iterations) == (True, expected), (unit, size)
            assert _true_residual(plain, result.x * (unit / size), b) <= 1.01e-8


def test_matrices_take_any_unit():
    expected = cg(MATRIX, B, rtol=1e-8)
    for unit in (1e-300, 1e-30, 1e30, 1e300):
        result = cg(MATRIX, unit * B, rtol=1e-8)
        assert (result.converged, result.iterations) == (True, expected.iterations)
        np.testing.assert_allclose(result.x / unit, expected.x, rtol=1e-8)


def test_what_float64_cannot_hold_is_refused():
    huge = 1e300 * A.expand(B)
    with pytest.raises(InvalidValueError, match="leaves the range"):
        cg(PoissonOperator(MASK, 1e12), huge)
    with pytest.raises(InvalidValueError, match="leaves the range"):
        cg(PoissonOperator(MASK, 1e-12), 1e-300 * A.expand(B))
    with pytest.raises(InvalidValueError, match="norm of b overflows"):
        cg(MATRIX, np.full(A.size, 1.7e308))


def test_nan_is_never_converged():
    for M in (None, Multigrid(A), lambda r: r / 6):
        calls = []

        def callback(x, calls=calls):
            calls.append(x)
            x[...] = np.nan

        assert cg(A, B, M=M, rtol=1e-8, callback=callback).converged  # x of the callback is a copy
    with pytest.raises(ConvergenceError, match="NaN"):
        cg(lambda v: v * np.nan, B)
    with pytest.raises(ConvergenceError, match="NaN"):
        cg(lambda v: v * np.nan, B, x0=B, atol=1e300)


@pytest.mark.parametrize("name", UNITS)
def test_a_start_in_body_cells_counts_as_zero(name):
    result = cg(A, A.expand(B), np.ones(MASK.shape), M=UNITS[name](A), rtol=1e-8)
    assert result.converged
    assert not result.x[~MASK].any()
    assert _residual(MATRIX, A.compress(result.x), B) <= 1.01e-8


def test_columns_are_solved_one_by_one():
    rng = np.random.default_rng(3)
    right, start = rng.normal(size=(A.size, 3)), rng.normal(size=(A.size, 3))
    for given, M in ((A, Multigrid(A)), (A, None), (MATRIX, None), (MATRIX, Jacobi(MATRIX))):
        result = cg(given, right, start, M=M, rtol=1e-9)
        assert result.converged
        assert result.residual_norms.shape == (result.iterations + 1, 3)
        assert np.linalg.norm(right - MATRIX @ result.x, axis=0).max() <= 1.01e-9 * np.linalg.norm(right, axis=0).max()
        single = cg(given, right[:, 1], start[:, 1], M=M, rtol=1e-9)
        np.testing.assert_array_equal(result.x[:, 1], single.x)
    assert not cg(A, right, maxiter=1).converged


def test_results_are_readable():
    result = cg(A, B, rtol=1e-8)
    assert repr(result).startswith(f"SolveResult(converged after {result.iterations} iterations")
    assert len(repr(result)) < 200


def test_a_class_in_place_of_an_object_is_named():
    A = PoissonOperator(np.ones((4, 4), bool))
    with pytest.raises(DTypeError, match=r"M is the class Multigrid; expected an object of it, as Multigrid\(A\)"):
        cg(A, np.ones((4, 4)), M=Multigrid)


def test_what_no_iteration_reaches_is_refused_at_once():
    """A residual below the rounding of b - A x was iterated for, up to the limit."""
    A, b = PoissonOperator(np.ones((6, 6), dtype=bool)), np.ones((6, 6))
    for rtol in (0.0, 1e-17, 1e-300):
        with pytest.raises(InvalidValueError, match=r"below the rounding of b - A x .* at least 2\.2e-16"):
            cg(A, b, rtol=rtol)
        with pytest.raises(InvalidValueError, match=r"below the rounding of b - A x"):
            conjugate_directions(A, b, lambda r: r, rtol=rtol)
    with pytest.raises(InvalidValueError, match="rounding"):
        cg(A, b, rtol=1e-17, maxiter=3)
    with pytest.raises(InvalidValueError, match="expected rtol from 0 to below 1"):
        cg(A, b, rtol=1.0)
    assert cg(A, b, rtol=0.0, maxiter=2).iterations == 2
    assert cg(A, b, rtol=0.0, atol=1e-3).converged
    assert cg(A, b, rtol=3e-16, maxiter=200).residual_norms[-1] < 1e-14


@pytest.mark.parametrize("solve", [cg, fcg, fgmres])
def test_the_rounding_of_x_ends_an_iteration_and_is_told(solve):
    A = PoissonOperator(np.ones((12, 12, 12), dtype=bool), coefficient=balls(12, 1, 1e6))
    matrix, b = A.to_scipy(), np.ones(A.size)
    M = linalg.splu(matrix.tocsc()).solve
    result = solve(A, b, M=M, rtol=1e-10)
    assert not result.converged
    assert result.iterations <= 12
    assert result.residual_norms[-1] <= result.rounding <= 30 * result.residual_norms[-1]
    assert result.rounding == pytest.approx(2.2e-16 * np.linalg.norm(abs(matrix) @ abs(result.x)), rel=0.9)
    assert "at the rounding of x" in repr(result)
    assert solve(A, b, M=M, rtol=1e-5).rounding == 0
