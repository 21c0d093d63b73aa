"""The learned solvers on either side; see `device_cases`."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np

from sci.backend import to_device, to_host
from sci.nn import average_pool, convolve, resample
from sci.solvers import CycleModel, DeepConjugateDirection, LearnedMultigrid, PoissonOperator, cg
from sci.solvers.dcdm.iteration import line_search_loss
from sci.solvers.learned.levels import first_level, hierarchy
from sci.solvers.learned.parameters import initial_parameters
from sci.solvers.learned.reference import cycle_of, vcycle, vcycle_vjp

Answers = list[np.ndarray]
RNG = np.random.default_rng(9)
MASK = RNG.random((12, 9, 10)) > 0.2
BODIES = ~MASK & (RNG.random(MASK.shape) > 0.5)
RESIDUAL = RNG.normal(size=MASK.shape) * MASK


def convolutions(xp: ModuleType) -> Answers:
    rng = np.random.default_rng(1)
    x, w, b, dout = (to_device(rng.normal(size=s), xp) for s in ((2, 3, 4, 6, 8), (5, 3, 3, 3, 3), 5, (2, 5, 4, 6, 8)))
    out, kept = convolve.forward(x, w, b)
    back = resample.vjp(x, resample.forward(average_pool(x), factor=2)[1])
    return [to_host(a) for a in (out, *convolve.vjp(dout, kept), average_pool(x), *back)]


def trainable_cycle(xp: ModuleType) -> Answers:
    """In double precision, with the gradients of all that is learned."""
    fluid, bodies, r = (to_device(a, xp) for a in (MASK, BODIES, RESIDUAL))
    parameters = initial_parameters(3)
    cycle = cycle_of(hierarchy(first_level(fluid, bodies, [(True, False)] * 3, np.float64)), parameters)
    z, kept = vcycle(cycle, r)
    dr, gradients = vcycle_vjp(cycle, r * r, kept, parameters)
    return [to_host(a) for a in (z, dr, *gradients.values())]


def learned_cycle(xp: ModuleType) -> Answers:
    """In single precision; the two learned numbers of a cell are rounded alike."""
    A = PoissonOperator(to_device(MASK, xp), neumann_body=to_device(BODIES, xp))
    z = LearnedMultigrid(A, CycleModel.untrained()).matvec(to_device(RESIDUAL, xp))
    return [np.round(to_host(z), 4)]


def distributed_cycle(xp: ModuleType) -> Answers:
    """On a box of one rank, whose first level is distributed and the second gathered."""
    A = PoissonOperator(to_device(MASK, xp), neumann_body=to_device(BODIES, xp), distributed_levels=1)
    M = LearnedMultigrid(A, CycleModel.untrained())
    z = np.round(to_host(M.matvec(to_device(RESIDUAL, xp))), 4)
    return [z, np.round(to_host(cg(A, to_device(RESIDUAL, xp), M=M, rtol=1e-8).x), 4)]


def directions(xp: ModuleType) -> Answers:
    A = PoissonOperator(xp.ones((4, 4, 4), dtype=bool))
    b = to_device(RNG_B, xp)
    found = DeepConjugateDirection(64, dtype=np.float64).solve(A, b, maxiter=3)
    loss, kept = line_search_loss.forward(b[None], b[None] ** 2, apply=lambda y: A.apply(y[0])[None])
    (dy, _) = line_search_loss.vjp(xp.ones(()), kept)
    return [to_host(found.x), np.array([float(loss)]), to_host(dy)]


RNG_B = np.random.default_rng(2).normal(size=(4, 4, 4))

CASES: tuple[Callable[[ModuleType], Answers], ...] = (
    convolutions,
    trainable_cycle,
    learned_cycle,
    distributed_cycle,
    directions,
)
