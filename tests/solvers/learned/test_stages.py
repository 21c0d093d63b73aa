"""When stages go in one pass, and that a fused step of conjugate gradients leaves the cycle where it should be."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.kernels import compiled_kernels_available
from sci.solvers import CycleModel, PoissonOperator
from sci.solvers.krylov.protocols import StepNumbers
from sci.solvers.learned.cycle import LearnedCycle
from sci.solvers.learned.hierarchy import Hierarchy
from sci.solvers.learned.stages import in_one_pass, planes

RNG = np.random.default_rng(6)
MASK = RNG.random((16, 15, 18)) > 0.1


def _hierarchy(**options):
    return Hierarchy(PoissonOperator(MASK, **options), CycleModel.untrained().parameters)


def test_stages_go_in_one_pass_on_one_thread_without_a_halo():
    whole, box = _hierarchy().levels[0], _hierarchy(distributed_levels=1).levels[0]
    with sci.options(threads=1):
        assert in_one_pass(whole) == compiled_kernels_available()
        assert not in_one_pass(box)
        with sci.options(kernels="reference"):
            assert not in_one_pass(whole)
    with sci.options(threads=2):
        assert not in_one_pass(whole)
    assert planes(whole).shape == (16 + 2 + 3, 18, 20)


@pytest.mark.skipif(not compiled_kernels_available(), reason="no compiler")
def test_a_step_with_the_way_down_is_a_step_and_a_cycle():
    """p = z, f -= A p, and the next cycle, as by separate calls."""
    A = PoissonOperator(MASK, 0.5)
    with sci.options(threads=1):
        fused, plain = (LearnedCycle(_hierarchy(spacing=0.5), A.weight) for _ in range(2))
    r = (RNG.normal(size=MASK.shape) * MASK).astype(np.float32)
    for cycle in (fused, plain):
        A.layout.cells(cycle.source)[...] = r
        cycle.run()
    z = A.layout.cells(plain.result).astype(float)
    x, p = A.layout.zeros(np, np.float64), A.layout.zeros(np, np.float32)
    square = fused.step(p, x, x, StepNumbers(1.0, 0.0, 0.25 / A.weight, (0.0, 2.0), False, True))
    left = r - 0.25 / A.weight * (A @ z)
    np.testing.assert_allclose(A.layout.cells(p), z, rtol=1e-6)
    np.testing.assert_allclose(A.layout.cells(x), 2 * z, rtol=1e-6)
    np.testing.assert_allclose(A.layout.cells(fused.source), left, atol=1e-5 * abs(left).max())
    assert square == pytest.approx(float((left**2).sum()), rel=1e-5)
    A.layout.cells(plain.source)[...] = left
    plain.run()
    fused.run(descended=True)
    size = abs(plain.result).max()
    np.testing.assert_allclose(A.layout.cells(fused.result), A.layout.cells(plain.result), atol=1e-5 * size)
