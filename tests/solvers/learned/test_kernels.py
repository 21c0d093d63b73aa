"""The kernels of the learned cycle beside the cycle on arrays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import sci
from sci.solvers import CycleModel, LearnedMultigrid, PoissonOperator
from sci.solvers.learned.levels import first_level, hierarchy
from sci.solvers.learned.parameters import FEATURES, IN_A_PLANE, initial_parameters
from sci.solvers.learned.reference import cycle_of, features, vcycle

RNG = np.random.default_rng(31)


def _parameters():
    rng = np.random.default_rng(2)
    return {name: np.array(v + 0.2 * rng.normal(size=v.shape)) for name, v in initial_parameters().items()}


@pytest.mark.parametrize("kernels", ["auto", "reference"])
@pytest.mark.parametrize(
    ("shape", "walls"),
    [((24, 24, 24), "dirichlet"), ((19, 30, 9), "neumann"), ((33, 17), "dirichlet"), ((40, 1, 7), "dirichlet")],
)
def test_the_kernels_do_what_the_arrays_do(kernels, shape, walls):
    """Within the steps of the two learned numbers of a cell, 1/128 and 0.01."""
    mask = RNG.random(shape) > 0.2
    neumann_body = ~mask & (RNG.random(shape) > 0.5) & (len(shape) == 3)
    A = PoissonOperator(mask, 0.5, boundary=walls, neumann_body=neumann_body)
    r = RNG.normal(size=shape) * mask
    with sci.options(kernels=kernels):
        M = LearnedMultigrid(A, CycleModel(_parameters()))
        found = M.matvec(r)
    three = (1,) * (3 - len(shape)) + shape
    ends = [(False, False)] * (3 - len(shape)) + [(walls == "dirichlet",) * 2] * len(shape)
    level = first_level(mask.reshape(three), neumann_body.reshape(three), ends, np.float64)
    levels = hierarchy(level)
    factors = IN_A_PLANE if len(shape) == 2 else np.ones(FEATURES)
    cycle = cycle_of(levels, _parameters(), [features(level) * factors for level in levels])
    top = cycle.stages[0]
    # Steps on the given grid are done twice where there are Neumann bodies, or more Dirichlet faces than unknowns.
    twice = bool(neumann_body.any()) or 0.25 * A.dirichlet.sum() > A.size
    cycle.stages[0] = replace(top, damping=top.damping * (1 + twice))
    expected = 0.25 * vcycle(cycle, r.reshape(three))[0].reshape(shape)
    assert np.abs(found - expected).max() <= 6e-3 * np.abs(expected).max()
    assert not found[~mask].any()
