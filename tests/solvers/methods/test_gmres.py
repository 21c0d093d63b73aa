"""GMRES is optimal in a cycle, restarts as SciPy's does, names a stall; FGMRES takes any preconditioner."""

from __future__ import annotations

import numpy as np
import pytest
from krylov_systems import system
from scipy.sparse import linalg

from sci.errors import ConvergenceError, InvalidValueError
from sci.solvers import fgmres, gmres

A = system("nonsymmetric", 50, 7)
B = np.random.default_rng(4).normal(size=50)


def test_each_residual_is_minimal_over_the_krylov_space():
    result = gmres(A, B, restart=50, rtol=1e-12)
    space = [B]
    for k in range(1, 8):
        basis, _ = np.linalg.qr(np.column_stack([A @ v for v in space]))
        expected = np.linalg.norm(B - basis @ (basis.T @ B))
        assert result.residual_norms[k] == pytest.approx(expected, rel=1e-9)
        space.append(A @ space[-1])


@pytest.mark.parametrize("restart", [1, 3, 10, 80])
def test_restarts_are_those_of_scipy(restart):
    norms: list[float] = []
    theirs, _ = linalg.gmres(A, B, rtol=1e-9, restart=restart, callback=norms.append, callback_type="pr_norm")
    ours = gmres(A, B, rtol=1e-9, restart=restart)
    assert abs(ours.iterations - len(norms)) <= 2
    np.testing.assert_allclose(ours.x, theirs, atol=1e-7)


def test_a_stall_has_a_name():
    cyclic = np.roll(np.eye(6), 1, axis=0)
    b = np.eye(6)[0]
    with pytest.raises(ConvergenceError, match="larger restart"):
        gmres(cyclic, b, restart=3)
    np.testing.assert_allclose(gmres(cyclic, b, restart=6).x, np.linalg.solve(cyclic, b), atol=1e-14)


def test_singular_but_consistent():
    S = np.diag([1.0, 2.0, 0.0])
    np.testing.assert_allclose(gmres(S, np.array([1.0, 1.0, 0.0]), rtol=1e-12).x, [1, 0.5, 0], atol=1e-12)
    with pytest.raises(ConvergenceError, match="singular"):
        gmres(S, np.ones(3), rtol=1e-12)


def test_a_changing_preconditioner():
    calls = []

    def changing(r):
        calls.append(1)
        return np.linalg.solve(A + 0.3 * (len(calls) % 3) * np.eye(50), r) + 1e-3 * r * abs(r)

    result = fgmres(A, B, M=changing, rtol=1e-10)
    np.testing.assert_allclose(A @ result.x, B, atol=1e-8)
    assert result.iterations < 12


@pytest.mark.parametrize("restart", [0, 1.5])
def test_restarts_that_are_no_count(restart):
    with pytest.raises((InvalidValueError, TypeError)):
        gmres(A, B, restart=restart)
