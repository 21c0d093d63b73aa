"""Stages in one pass: when they may be, and that they are the stages in several."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.solvers import Multigrid, PoissonOperator
from sci.solvers.multigrid.fused import FusedStages, in_one_pass
from sci.solvers.multigrid.hierarchy import Hierarchy

RNG = np.random.default_rng(4)
MASK = RNG.random((14, 19, 21)) > 0.1


def test_one_process_without_periodic_axes_goes_in_one_pass():
    level = Hierarchy(PoissonOperator(MASK), True, True, np.float32).levels[0]
    with sci.options(kernels="compiled"):
        assert in_one_pass(level)
        wrapping = PoissonOperator(np.ones((8, 8, 16), bool), 1.0, "periodic")
        assert not in_one_pass(Hierarchy(wrapping, True, True, np.float32).levels[0])
        blocks = PoissonOperator(MASK, distributed_levels=1)
        assert not in_one_pass(Hierarchy(blocks, True, True, np.float32).levels[0])
    with sci.options(kernels="reference"):
        assert not in_one_pass(level)


def _operator(kind, mask):
    if kind == "reaction":
        return PoissonOperator(mask, coefficient=None, reaction=0.3 * mask)
    coefficient = 1 + RNG.random(mask.shape) if kind == "variable" else None
    walls = ["neumann", "dirichlet", "neumann"][: mask.ndim]
    return PoissonOperator(mask, 0.5, walls, neumann_body=True, coefficient=coefficient)


@pytest.mark.parametrize("kind", ["constant", "variable", "reaction"])
@pytest.mark.parametrize("shape", [MASK.shape, (9, 75, 41), (101, 34)])
@pytest.mark.parametrize(("dtype", "smoothing"), [(np.float32, 2), (np.float64, 1), (np.float64, 4)])
def test_one_pass_gives_what_several_do(kind, shape, dtype, smoothing, monkeypatch):
    mask = MASK if shape == MASK.shape else RNG.random(shape) > 0.1
    A, r = _operator(kind, mask), RNG.normal(size=shape) * mask
    M = Multigrid(A, dtype=dtype, smoothing=smoothing, coarse="averaged")
    M @ (r + mask)
    found = M @ r
    monkeypatch.setattr("sci.solvers.multigrid.cycle.in_one_pass", lambda level: False)
    expected = Multigrid(A, dtype=dtype, smoothing=smoothing, coarse="averaged") @ r
    np.testing.assert_allclose(found, expected, atol=(2e-6 if dtype == np.float32 else 1e-13) * abs(expected).max())


def test_tiles_and_threads_do_not_matter(monkeypatch):
    mask = RNG.random((12, 90, 33)) > 0.1
    A, r = PoissonOperator(mask), RNG.normal(size=mask.shape) * mask
    found = []
    for threads, least in ((1, 64), (2, 32), (2, 8), (1, 128)):
        monkeypatch.setattr("sci.solvers.multigrid.fused.LEAST_ROWS", least)
        monkeypatch.setattr("sci.solvers.multigrid.fused.CELLS", 1)
        with sci.options(threads=threads):
            found.append(Multigrid(A) @ r)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_products_come_with_the_way_up():
    A = PoissonOperator(MASK)
    top, below = Hierarchy(A, True, True, np.float64).levels[:2]
    u, f, below_f, e = (level.layout.zeros(np, float) for level in (top, top, below, below))
    A.layout.cells(f)[...] = RNG.normal(size=MASK.shape) * MASK
    with sci.options(threads=1, kernels="compiled"):
        stages = FusedStages(top, below, u, f, below_f, e, 4, 0.5)
        stages.descend()
        stages.ascend()
    assert stages.product == pytest.approx((u * f).sum())
    assert stages.energy == pytest.approx(A.stencil.quadratic_form(u) / A.weight)
