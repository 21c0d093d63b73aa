"""Stages in one pass: when they may be, and that they are the stages in several."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.solvers import Multigrid, PoissonOperator
from sci.solvers.multigrid.fused import ascend, descend, in_one_pass
from sci.solvers.multigrid.hierarchy import Hierarchy

RNG = np.random.default_rng(4)
MASK = RNG.random((14, 19, 21)) > 0.1


def test_one_thread_without_halos_goes_in_one_pass():
    A = PoissonOperator(MASK)
    level = Hierarchy(A, True, True, np.float32).levels[0]
    u = A.layout.zeros(np, np.float32)
    with sci.options(threads=1, kernels="compiled"):
        assert in_one_pass(level, u)
        wrapping = PoissonOperator(np.ones((8, 8, 16), bool), 1.0, "periodic")
        assert not in_one_pass(Hierarchy(wrapping, True, True, np.float32).levels[0], u)
        blocks = PoissonOperator(MASK, distributed_levels=1)
        assert not in_one_pass(Hierarchy(blocks, True, True, np.float32).levels[0], u)
    with sci.options(threads=2):
        assert not in_one_pass(level, u)
    with sci.options(kernels="reference"):
        assert not in_one_pass(level, u)


@pytest.mark.parametrize("coefficient", [None, 1 + RNG.random(MASK.shape)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_one_pass_gives_what_several_do(coefficient, dtype):
    A = PoissonOperator(MASK, 0.5, ["neumann", "dirichlet", "neumann"], neumann_body=True, coefficient=coefficient)
    r = RNG.normal(size=MASK.shape) * MASK
    with sci.options(threads=1):
        found = Multigrid(A, dtype=dtype) @ r
    with sci.options(threads=2):
        expected = Multigrid(A, dtype=dtype) @ r
    np.testing.assert_allclose(found, expected, atol=(2e-6 if dtype == np.float32 else 1e-13) * abs(expected).max())


def test_products_come_with_the_way_up():
    A = PoissonOperator(MASK)
    top, below = Hierarchy(A, True, True, np.float64).levels[:2]
    u, f, below_f, e = (level.layout.zeros(np, float) for level in (top, top, below, below))
    A.layout.cells(f)[...] = RNG.normal(size=MASK.shape) * MASK
    with sci.options(threads=1, kernels="compiled"):
        descend(top, u, f, 4, below, below_f, 0.5)()
        stage, products = ascend(top, u, f, 4, below, e)
        stage()
    assert products[0] == pytest.approx((u * f).sum())
    assert products[1] == pytest.approx(A.stencil.quadratic_form(u) / A.weight)
