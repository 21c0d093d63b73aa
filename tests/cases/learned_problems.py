"""Small random problems for the learned cycle on arrays, and its matrices."""

from __future__ import annotations

import numpy as np

from sci.solvers.learned.levels import BatchLevel, first_level, hierarchy
from sci.solvers.learned.parameters import initial_parameters
from sci.solvers.learned.reference import cycle_of, vcycle

WALLS = [(True, True), (True, False), (False, True)]


def problem(shape, seed=0, batch=(), neumann_body=0.5, walls=WALLS) -> list[BatchLevel]:
    rng = np.random.default_rng(seed)
    fluid = rng.random((*batch, *shape)) > 0.25
    return hierarchy(first_level(fluid, ~fluid & (rng.random(fluid.shape) < neumann_body), walls, np.float64))


def random_parameters(seed: int, scale: float):
    rng = np.random.default_rng(seed)
    return {name: np.array(v + scale * rng.normal(size=v.shape)) for name, v in initial_parameters().items()}


def matrices(levels, parameters):
    """M and A over the unknowns, dense."""
    cycle, inside = cycle_of(levels, parameters), levels[0].fraction.reshape(-1) > 0
    units = np.eye(inside.size)[inside].reshape(-1, *levels[0].shape)
    both = (vcycle(cycle, units)[0], cycle.stages[0].apply(units))
    m, a = (columns.reshape(len(units), -1)[:, inside] for columns in both)
    return m, a
