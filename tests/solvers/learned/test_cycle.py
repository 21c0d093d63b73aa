"""The learned V-cycle with its arrays: one pass, several passes, and boxes give one answer."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.solvers import CycleModel, PoissonOperator
from sci.solvers.learned.cycle import LearnedCycle
from sci.solvers.learned.hierarchy import Hierarchy

RNG = np.random.default_rng(4)
MASK = RNG.random((22, 19, 25)) > 0.15
PARAMETERS = CycleModel.pretrained().parameters


def _run(A, r, **options):
    with sci.options(**options):
        cycle = LearnedCycle(Hierarchy(A, PARAMETERS), A.weight)
        A.layout.cells(cycle.source)[...] = r
        product = cycle.run()
        return cycle, A.layout.cells(cycle.result).copy(), product


@pytest.mark.parametrize("coefficient", [None, np.exp(RNG.normal(size=MASK.shape))])
def test_every_way_through_memory_gives_one_answer(coefficient):
    A = PoissonOperator(MASK, 0.5, neumann_body=RNG.random(MASK.shape) > 0.5, coefficient=coefficient)
    r = RNG.normal(size=MASK.shape) * MASK
    fused, expected, product = _run(A, r, threads=1)
    size = abs(expected).max()
    for options in ({"threads": 2}, {"kernels": "reference"}):
        cycle, found, none = _run(A, r, **options)
        np.testing.assert_allclose(found, expected, atol=2e-5 * size)
        assert cycle.step is None
        assert none is None
    cut = PoissonOperator(MASK, 0.5, neumann_body=A.neumann_body, coefficient=coefficient, distributed_levels=2)
    np.testing.assert_allclose(_run(cut, r, threads=1)[1], expected, atol=2e-5 * size)
    if product is not None:  # where a compiler is
        assert product == pytest.approx(float(np.vdot(r, expected)), rel=1e-5)
        form = float(np.vdot(expected, A @ expected.astype(float))) * fused.scale
        assert fused.energy == pytest.approx(form, rel=1e-4)
        assert (fused.step is None) == (coefficient is not None)


def test_two_cycles_of_one_hierarchy_do_not_touch():
    A = PoissonOperator(MASK)
    h = Hierarchy(A, PARAMETERS)
    one, other = LearnedCycle(h, A.weight), LearnedCycle(h, A.weight)
    A.layout.cells(one.source)[...] = RNG.normal(size=MASK.shape) * MASK
    one.run()
    kept = one.result.copy()
    A.layout.cells(other.source)[...] = 1.0 * MASK
    other.run()
    np.testing.assert_array_equal(one.result, kept)
    assert one.nbytes == other.nbytes > 4 * MASK.size


def test_a_grid_as_small_as_the_coarsest_is_solved_directly():
    A = PoissonOperator(np.ones((4, 5, 6), bool))
    r = RNG.normal(size=(4, 5, 6))
    _, found, _ = _run(A, r)
    exact = np.linalg.solve(A.to_scipy().toarray(), r.ravel()).reshape(r.shape)
    np.testing.assert_allclose(found, exact, atol=1e-5 * abs(exact).max())
    assert float(np.vdot(found, r)) > 0
