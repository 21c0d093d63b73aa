"""Steps of conjugate gradients on padded arrays: x that lags, float32 residuals, and steps inside of a cycle."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.solvers import LearnedMultigrid, Multigrid, PoissonOperator, cg

RNG = np.random.default_rng(11)
MASK = RNG.random((21, 18, 24)) > 0.1
OPERATORS = {
    "Dirichlet": PoissonOperator(MASK, 0.3),
    "singular": PoissonOperator(MASK, 0.3, "neumann", neumann_body=True),
    "varying": PoissonOperator(MASK, coefficient=np.exp(RNG.normal(size=MASK.shape))),
    "plane": PoissonOperator(RNG.random((31, 44)) > 0.1, boundary=["neumann", "dirichlet"]),
}
CYCLES = {
    "none": lambda A: None,
    "multigrid": Multigrid,
    "multigrid in float64": lambda A: Multigrid(A, dtype=np.float64),
    "learned": LearnedMultigrid,
}


def _right(A: PoissonOperator) -> np.ndarray:
    return A.project(np.random.default_rng(2).normal(size=A.grid_shape) * A.mask)


@pytest.mark.parametrize(
    ("name", "cycle", "threads"),
    [*((name, cycle, 1) for name in OPERATORS for cycle in CYCLES), ("singular", "learned", 2)],
)
def test_norms_are_those_of_each_x(name, cycle, threads):
    A, left = OPERATORS[name], []
    b, matrix = _right(A), A.to_scipy()
    with sci.options(threads=threads):
        M = CYCLES[cycle](A)
        seen = cg(A, b, M=M, rtol=1e-9, callback=lambda x: left.append(b[A.mask] - matrix @ x[A.mask]))
        result = cg(A, b, M=M, rtol=1e-9)
        again = cg(A, b, result.x * (1 + 1e-4), M=M, rtol=1e-9)
    assert result.converged
    assert len(left) == seen.iterations == result.iterations > again.iterations > 0
    np.testing.assert_allclose(np.linalg.norm(left, axis=1), seen.residual_norms[1:], rtol=2e-4)
    for x in (result.x, again.x):
        assert np.linalg.norm(b[A.mask] - matrix @ x[A.mask]) <= 1.0001e-9 * np.linalg.norm(b)


@pytest.mark.parametrize("cycle", ["multigrid", "learned"])
@pytest.mark.parametrize("size", [1e-150, 1e-60, 1e60, 1e150])
def test_float32_residuals_take_numbers_beyond_its_range(cycle, size):
    A = OPERATORS["Dirichlet"]
    b, M = _right(A), CYCLES[cycle](A)
    plain, scaled = cg(A, b, M=M, rtol=1e-8), cg(A, size * b, M=M, rtol=1e-8)
    assert scaled.iterations == plain.iterations
    np.testing.assert_allclose(scaled.x / size, plain.x, rtol=0, atol=1e-10 * abs(plain.x).max())


@pytest.mark.parametrize("cycle", CYCLES)
def test_a_tolerance_out_of_reach_ends_at_rounding(cycle):
    A = OPERATORS["Dirichlet"]
    result = cg(A, _right(A), M=CYCLES[cycle](A), rtol=0.0, maxiter=150)
    assert not result.converged
    assert result.iterations == 150
    assert result.residual_norms[-1] < 1e-13 * result.residual_norms[0]
