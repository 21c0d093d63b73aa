"""MINRES has the least residual of the Krylov space, definite or not, and sees what is not symmetric."""

from __future__ import annotations

import numpy as np
import pytest
from krylov_systems import system

from sci.errors import ConvergenceError
from sci.solvers import cg, gmres, minres

A = system("indefinite", 40, 8)
B = np.random.default_rng(6).normal(size=40)


def test_residuals_are_those_of_gmres():
    ours, full = minres(A, B, rtol=1e-8), gmres(A, B, rtol=1e-8, restart=40)
    count = min(ours.iterations, full.iterations, 15)
    np.testing.assert_allclose(ours.residual_norms[:count], full.residual_norms[:count], rtol=1e-7)
    assert (np.diff(ours.residual_norms) <= 1e-12 * ours.residual_norms[0]).all()


def test_where_conjugate_gradients_fail():
    with pytest.raises(ConvergenceError, match="minres"):
        cg(A, B)


def test_preconditioners_are_positive_definite():
    with pytest.raises(ConvergenceError, match="positive definite M"):
        minres(A, B, M=lambda r: -r)


def test_what_is_not_symmetric_is_seen():
    with pytest.raises(ConvergenceError, match="gmres or bicgstab"):
        minres(system("nonsymmetric", 40, 1), B)


def test_singular_but_consistent():
    np.testing.assert_allclose(
        minres(np.diag([1.0, -2.0, 0.0]), [1.0, 1.0, 0.0], rtol=1e-12).x, [1, -0.5, 0], atol=1e-12
    )
