"""The V-cycle: what it returns on the way, and that it contracts."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.solvers import PoissonOperator
from sci.solvers.multigrid.cycle import MultigridCycle
from sci.solvers.multigrid.hierarchy import Hierarchy

RNG = np.random.default_rng(5)
MASK = RNG.random((20, 18, 23)) > 0.1


def _cycle(A, smoothing=2):
    return MultigridCycle(Hierarchy(A, True, True, np.float64), smoothing, 1 / A.unit)


@pytest.mark.parametrize("threads", [1, 2])
def test_products_are_known_where_stages_are_fused(threads):
    A = PoissonOperator(MASK, 0.5)
    with sci.options(threads=threads):
        cycle = _cycle(A)
        A.layout.cells(cycle.source)[...] = RNG.normal(size=MASK.shape) * MASK
        product = cycle.run()
    assert product == pytest.approx((cycle.source * cycle.result).sum())
    assert cycle.energy == pytest.approx(A.stencil.quadratic_form(cycle.result) * cycle.scale)
    assert cycle.step is None
    assert cycle.nbytes > 0


@pytest.mark.parametrize("smoothing", [1, 2, 3])
def test_the_iteration_contracts(smoothing):
    A = PoissonOperator(MASK, 2.0)
    cycle, b = _cycle(A, smoothing), RNG.normal(size=MASK.shape) * MASK
    x, norms = np.zeros(MASK.shape), []
    for _ in range(6):
        r = b - A.apply(x)
        norms.append(np.linalg.norm(r))
        A.layout.cells(cycle.source)[...] = r
        cycle.run()
        x += cycle.scale * A.layout.cells(cycle.result)
    rates = np.array(norms[1:]) / np.array(norms[:-1])
    assert rates.max() < (0.6, 0.35, 0.3)[smoothing - 1]
