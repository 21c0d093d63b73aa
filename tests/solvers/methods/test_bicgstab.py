"""BiCGSTAB goes on after a breakdown that another shadow mends, and names one that none does."""

from __future__ import annotations

import numpy as np
import pytest
from sparse_systems import convection

from sci.errors import ConvergenceError
from sci.solvers import AlgebraicMultigrid, bicgstab

RNG = np.random.default_rng(3)


def test_convection_with_and_without_multigrid():
    A = convection(40, 300.0)
    b = RNG.normal(size=1600)
    plain, fast = bicgstab(A, b, rtol=1e-9), bicgstab(A, b, rtol=1e-9, M=AlgebraicMultigrid(A))
    for result in (plain, fast):
        assert np.linalg.norm(b - A @ result.x) <= 1.01e-9 * np.linalg.norm(b)
    assert fast.iterations * 4 < plain.iterations


def test_skew_systems_break_down_by_name():
    with pytest.raises(ConvergenceError, match="gmres"):
        bicgstab(np.array([[0.0, 1.0], [-1.0, 0.0]]), np.array([1.0, 2.0]))


def test_it_starts_again_where_the_shadow_is_orthogonal():
    A = np.array([[1.0, 0, 0, 2], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    b = np.array([1.0, 1.0, 1.0, 1e-7])
    result = bicgstab(A, b, rtol=1e-12)
    np.testing.assert_allclose(A @ result.x, b, atol=1e-11)
