"""Iterations of algebraic multigrid on the problems that it is for; units, kinds of matrices, threads, pickles."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sparse_cases import network
from sparse_systems import convection, elasticity, neumann, rotated, tetrahedra

import sci
from sci.errors import ConvergenceError, DTypeError, InvalidValueError, ShapeError
from sci.solvers import AlgebraicMultigrid, PoissonOperator, Preconditioner, bicgstab, cg, gmres, minres

RNG = np.random.default_rng(8)


def _most(matrix, M, solve=cg):
    """Iterations to 1e-8 for a random right-hand side and ones, the residual recomputed here."""
    counts = []
    for b in (RNG.normal(size=matrix.shape[0]), np.ones(matrix.shape[0])):
        result = solve(matrix, b, M=M, rtol=1e-8)
        assert np.linalg.norm(b - matrix @ result.x) <= 1.01e-8 * np.linalg.norm(b)
        counts.append(result.iterations)
    return max(counts)


@pytest.mark.parametrize("smoother", ["gauss-seidel", "chebyshev"])
def test_iterations(smoother):
    elastic, modes = elasticity(24)
    layers = PoissonOperator(
        np.ones((24, 24, 24), bool),
        coefficient=np.where(np.arange(24) // 4 % 2, 1e4, 1.0)[:, None, None] * np.ones((24,) * 3),
    ).to_scipy()
    for matrix, near, most in (
        (rotated(64), None, 11),
        (rotated(64, degrees=10), None, 13),
        (elastic, modes, 11),
        (tetrahedra(16), None, 8),
        (layers, None, 14),
    ):
        M = AlgebraicMultigrid(matrix, near, smoother=smoother)
        assert _most(matrix, M) <= most, (M, _most(matrix, M))
        assert M.operator_complexity < 2
        assert M.level_sizes[-1] <= 200


def test_iterations_do_not_grow():
    counts = [_most(matrix, AlgebraicMultigrid(matrix)) for matrix in (tetrahedra(8), tetrahedra(22))]
    assert counts[1] <= counts[0] + 2


def test_rigid_body_modes_are_worth_their_memory():
    matrix, modes = elasticity(24)
    assert _most(matrix, AlgebraicMultigrid(matrix, modes)) + 4 <= _most(matrix, AlgebraicMultigrid(matrix))


@pytest.mark.parametrize("speed", [1.0, 100.0, 1e5])
def test_nonsymmetric_m_matrices(speed):
    matrix = convection(48, speed)
    M = AlgebraicMultigrid(matrix)
    assert not M.symmetric
    assert _most(matrix, M, bicgstab) <= 10
    assert _most(matrix, M, gmres) <= 20
    assert "nonsymmetric" in repr(M)


def test_singular_components_and_contrast():
    matrix = sparse.block_diag([neumann(40), neumann(25) * 1e6, neumann(2), rotated(10) * 1e-6]).tocsr()
    exact = RNG.normal(size=matrix.shape[0])
    for unit in (1.0, 1e200, 1e-200):
        M = AlgebraicMultigrid(matrix * unit)
        result = cg(matrix * unit, matrix @ exact * unit, M=M, rtol=1e-8)
        assert result.converged
        assert result.iterations <= 16


def test_units_of_the_unknowns_go_with_the_near_null_space():
    matrix = rotated(32)
    scale = 10.0 ** RNG.uniform(-6, 6, matrix.shape[0])
    badly = (sparse.diags_array(scale) @ matrix @ sparse.diags_array(scale)).tocsr()
    b = RNG.normal(size=matrix.shape[0])
    plain, scaled = AlgebraicMultigrid(matrix), AlgebraicMultigrid(badly, 1 / scale)
    apart = scale * (scaled @ (scale * b)) - plain @ b
    energy = [v @ matrix @ v for v in (apart, plain @ b)]
    assert energy[0] < 0.1 * energy[1]
    assert cg(badly, scale * b, M=scaled, rtol=1e-6).converged


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 150), st.floats(0.01, 0.5), st.integers(0, 99), st.booleans())
def test_random_networks(n, density, seed, chebyshev):
    matrix = network(n, density, seed)
    M = AlgebraicMultigrid(matrix, coarsest=5, smoother="chebyshev" if chebyshev else None)
    dense = M @ np.eye(n)
    np.testing.assert_allclose(dense, dense.T, atol=1e-5 * abs(dense).max())
    exact = np.linalg.solve(matrix.toarray(), np.ones(n))
    np.testing.assert_allclose(cg(matrix, np.ones(n), M=M, rtol=1e-12).x, exact, rtol=1e-8)


def test_vectors_columns_and_protocol():
    M = AlgebraicMultigrid(rotated(20), dtype=np.float64)
    r = RNG.normal(size=(400, 3))
    assert isinstance(M, Preconditioner)
    np.testing.assert_allclose(M @ r, np.stack([M @ c for c in r.T], axis=1), atol=1e-15)
    assert M.matvec(r[:, :1]).shape == (400, 1)
    np.testing.assert_allclose(M @ (r[:, 0] * 1e-290), (M @ r[:, 0]) * 1e-290, rtol=1e-12)
    np.testing.assert_array_equal(M @ np.zeros(400), 0)
    with pytest.raises(ShapeError):
        M @ np.ones(399)
    with pytest.raises(DTypeError):
        M @ np.ones(400, complex)
    other = pickle.loads(pickle.dumps(M))
    np.testing.assert_array_equal(other @ r, M @ r)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: M @ r[:, 0], range(8)):
            np.testing.assert_array_equal(found, M @ r[:, 0])
    with sci.options(kernels="reference"):
        np.testing.assert_allclose(
            AlgebraicMultigrid(rotated(8), coarsest=9) @ np.ones(64),
            AlgebraicMultigrid(rotated(8), coarsest=9) @ np.ones(64),
        )


def test_what_it_says():
    M = AlgebraicMultigrid(rotated(32))
    assert repr(M).startswith("AlgebraicMultigrid(1024 -> ")
    assert "operator complexity 1." in repr(M)
    assert f"{M.nbytes} bytes" in repr(M)
    assert M.nbytes < 40 * rotated(32).nnz


@pytest.mark.parametrize(
    "options",
    [{"theta": 1.5}, {"degree": 5}, {"smoother": "ilu"}, {"coarsest": 0}],
)
def test_options_out_of_range(options):
    with pytest.raises((InvalidValueError, DTypeError)):
        AlgebraicMultigrid(rotated(4), **options)


def test_an_indefinite_matrix_shows_in_the_iteration():
    matrix = (rotated(20) - 0.05 * sparse.eye_array(400)).tocsr()
    M = AlgebraicMultigrid(matrix)
    with pytest.raises(ConvergenceError, match="minres"):
        cg(matrix, np.ones(400), M=M)
    result = minres(matrix, np.ones(400), M=AlgebraicMultigrid(rotated(20)), rtol=1e-8)
    assert result.converged
