"""Half-sweeps and the residual on one level; tests/kernels compares kernels with their references."""

from __future__ import annotations

import numpy as np
import pytest
from poisson_operators import OPERATORS

from sci.solvers.multigrid.smoothers import first_sweep, half_sweep, residual


def _level(A):
    d = A.stencil.d.astype(np.float64)
    u, f = (A.layout.spread(np.random.default_rng(k).normal(size=A.local_shape) * (A.diagonal > 0)) for k in (0, 1))
    return d, A.layout.wrap(u), f, A.layout.box_array(np), A.layout.whole()


def _residual(A, d, u, f):
    t = A.layout.zeros(np, float)
    residual(A.layout, A.layout.wrap(u), f, d, A.stencil.offdiag, None, t, A.layout.box_array(np), A.layout.whole())()
    return A.layout.cells(t)


@pytest.mark.parametrize("A", OPERATORS[::2])
def test_the_residual_is_that_of_the_matrix(A):
    d, u, f, _, _ = _level(A)
    matrix = A.to_scipy() / A.stencil.weight
    expected = A.compress(A.layout.cells(f)) - matrix @ A.compress(A.layout.cells(u))
    expected *= A.compress(A.diagonal) > 0
    found = A.compress(_residual(A, d, u, f))
    np.testing.assert_allclose(found, expected, atol=1e-12 * abs(expected).max())


@pytest.mark.parametrize("A", OPERATORS[:-2:2])
def test_a_half_sweep_clears_the_residual_of_its_color(A):
    d, u, f, where, box = _level(A)
    cells = np.indices(A.local_shape).sum(axis=0) % 2
    for color in (0, 1):
        half_sweep(A.layout, u, f, d, A.stencil.offdiag, color, where, box)()
        left = _residual(A, d, u, f)
        assert abs(left[cells == color]).max() <= 1e-12 * abs(left).max() + 1e-12
    u[...] = 7
    first_sweep(A.layout, u, f, d, 1, where, box)()
    inner = A.layout.cells(u)
    assert not inner[cells == 0].any()
    np.testing.assert_allclose((inner * A.layout.cells(d))[cells == 1], A.layout.cells(f)[cells == 1], atol=1e-12)
