"""Conjugate gradients against SciPy's and against what theory says; every misuse has its own error."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse import linalg

from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.solvers import PoissonOperator, cg

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
