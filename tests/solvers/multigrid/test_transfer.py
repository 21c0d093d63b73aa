"""Interpolation and its transpose."""

from __future__ import annotations

import numpy as np
import pytest

from sci.solvers.multigrid.transfer import prolong, restrict
from sci.solvers.poisson.grid import Layout

SHAPES = [(8, 6), (5, 7), (6, 4, 8), (3, 5, 2)]


def _prolong(fine, coarse, e):
    u, ones = fine.zeros(np, float), fine.spread(np.ones(fine.grid_shape))
    prolong(fine, coarse, u, coarse.spread(e), ones, None, fine.box_array(np))()
    return fine.cells(u)


def _restrict(fine, coarse, t):
    f, ones = coarse.zeros(np, float), coarse.spread(np.ones(coarse.grid_shape))
    scratch = np.zeros((*coarse.padded_shape[:2], fine.padded_shape[2]))
    restrict(fine, coarse, fine.spread(t), scratch, ones, f, coarse.box_array(np), 1.0)()
    return coarse.cells(f)


@pytest.mark.parametrize("shape", SHAPES)
def test_restriction_is_the_transpose(shape):
    fine = Layout(shape, (False,) * len(shape))
    coarse, rng = fine.halved, np.random.default_rng(0)
    e, t = rng.normal(size=coarse.grid_shape), rng.normal(size=shape)
    assert (_prolong(fine, coarse, e) * t).sum() == pytest.approx((e * _restrict(fine, coarse, t)).sum())


def test_linear_functions_are_interpolated_exactly():
    fine = Layout((12, 16), (False, False))
    coarse = fine.halved
    x, y = np.indices(coarse.grid_shape) + 0.5
    found = _prolong(fine, coarse, 3 * x - y)
    fx, fy = (np.indices(fine.grid_shape) + 0.5) / 2
    np.testing.assert_allclose(found[1:-1, 1:-1], (3 * fx - fy)[1:-1, 1:-1])
