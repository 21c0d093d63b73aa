"""Flexible conjugate gradients are those of `cg` with a fixed M, and converge with one that changes."""

from __future__ import annotations

import numpy as np
import pytest
from krylov_systems import system
from sparse_systems import rotated

from sci.errors import ConvergenceError, InvalidValueError
from sci.solvers import AlgebraicMultigrid, cg, fcg

A = rotated(24)
B = np.random.default_rng(7).normal(size=576)


@pytest.mark.parametrize("directions", [1, 3])
def test_a_fixed_preconditioner(directions):
    M = AlgebraicMultigrid(A, dtype=np.float64)
    fixed, flexible = cg(A, B, M=M, rtol=1e-9), fcg(A, B, M=M, rtol=1e-9, directions=directions)
    assert fixed.iterations == flexible.iterations
    np.testing.assert_allclose(fixed.residual_norms[:-1], flexible.residual_norms[:-1], rtol=1e-4)
    assert np.isnan(flexible.extremes.condition)


def test_a_changing_preconditioner():
    def inner(r):
        return cg(A, r, rtol=0.3).x

    flexible = fcg(A, B, M=inner, rtol=1e-9)
    assert flexible.converged
    assert flexible.iterations < 60
    more = fcg(A, B, M=inner, rtol=1e-9, directions=4)
    assert more.iterations <= flexible.iterations
    assert cg(A, B, M=inner, rtol=1e-9, maxiter=60).residual_norms[-1] > flexible.residual_norms[-1]


def test_what_is_not_positive():
    with pytest.raises(ConvergenceError, match="positive definite M"):
        fcg(A, B, M=lambda r: -r)
    with pytest.raises(ConvergenceError, match="minres"):
        fcg(system("indefinite", 30, 1), np.ones(30))
    with pytest.raises(InvalidValueError, match="directions"):
        fcg(A, B, directions=0)
