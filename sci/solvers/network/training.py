"""Training of the numbers of a network on the iterations that they take, without derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from sci.backend import Array
from sci.errors import ConvergenceError
from sci.nn import Adam, clip_by_global_norm, cosine
from sci.progress import progress
from sci.solvers.krylov.cg import cg
from sci.solvers.krylov.preconditioner import PaddedPreconditioner
from sci.solvers.multigrid.trial import probe
from sci.solvers.network.cycle import NetworkCycle
from sci.solvers.network.hierarchy import NetworkHierarchy
from sci.solvers.network.numbers import PLAIN, SHAPES, NetworkNumbers, numbers_of
from sci.solvers.network.problems import FAMILIES, random_problem
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["log_iterations", "train_network"]

Parameters: TypeAlias = dict[str, Array]
Problem: TypeAlias = tuple[PoissonOperator, list[Array], float]

STEPS = 10
"""Iterations from which the number to a tolerance is extrapolated."""
PAIRS, SPREAD = 4, 0.15
"""Random directions of a generation, each taken forth and back, and their length in each number."""
FAILED = 5.0
"""Logarithm of iterations per unit of the logarithm of the residual, where a solve fails."""
WORSE = 2.0
"""Weight of what takes more iterations than plain numbers, beside the mean."""


class _Preconditioner(PaddedPreconditioner):
    """A V-cycle of a network with given numbers."""

    def __init__(self, A: PoissonOperator, numbers: NetworkNumbers) -> None:
        super().__init__(A)
        self._hierarchy = NetworkHierarchy(A, numbers=numbers)
        self.cycle_dtype = self._hierarchy.dtype

    def new_cycle(self) -> NetworkCycle:
        """Return a V-cycle with arrays of its own."""
        return NetworkCycle(self._hierarchy, 1 / self.A.unit)


def log_iterations(A: PoissonOperator, numbers: NetworkNumbers, right: list[Array]) -> float:
    """Return the logarithm of the iterations by which the residual falls to 1/e, the worst of some right-hand sides."""
    worst = 1e-3
    try:
        M: Any = _Preconditioner(A, numbers)
        for b in right:
            norms = cg(A, b, M=M, rtol=1e-9, maxiter=STEPS).residual_norms
            if norms[0] > 0:
                worst = max(worst, (len(norms) - 1) / max(1e-2, np.log(norms[0] / max(norms[-1], 1e-300))))
    except ConvergenceError:
        return FAILED
    return float(np.log(worst))


def _problems(n: int, rng: np.random.Generator) -> list[Problem]:
    """Return a problem of each family, two right-hand sides, and what plain numbers take."""
    problems = []
    for family in range(len(FAMILIES)):
        A = random_problem(family, int(rng.integers(3 * n // 4, n + 1)), rng)
        smooth = probe(A) if A.singular else np.ones(A.size)
        right = [A.project(v) for v in (rng.normal(size=A.size), smooth)]
        problems.append((A, right, log_iterations(A, PLAIN, right)))
    return problems


def _loss(parameters: Parameters, problems: list[Problem]) -> float:
    """Return the mean logarithm of the iterations over those of plain numbers, losses with a weight of their own."""
    numbers = numbers_of(parameters)
    changes = np.array([log_iterations(A, numbers, right) - plain for A, right, plain in problems])
    return float(np.mean(changes + WORSE * np.maximum(changes, 0)))


def train_network(
    generations: int = 60,
    *,
    n: int = 32,
    learning_rate: float = 0.08,
    seed: int = 0,
    callback: Callable[[int, float], object] | None = None,
) -> Parameters:
    """Train the numbers of a network by evolution: Adam on differences of the loss along random directions.

    Parameters
    ----------
    generations : int
        Each has new problems, one of each family.
    n : int
        Cells along an axis, at most; 16 at least.
    learning_rate : float
        At the start; it falls as a cosine to zero.
    seed : int
        Of everything that is random.
    callback : callable, optional
        Called with the generation and its mean loss.

    Returns
    -------
    dict of arrays
        Of `sci.solvers.network.numbers.SHAPES`.

    References
    ----------
    Salimans et al., arXiv:1703.03864 (2017).
    """
    rng = np.random.default_rng(seed)
    parameters: Parameters = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    # At zero nothing is felt of the resistances beside the middle of a group.
    parameters["network.resistances"][0] = 0.3
    optimizer, schedule = Adam(learning_rate, betas=(0.8, 0.99)), cosine(generations)
    state = optimizer.start(parameters)
    for step in progress(range(1, generations + 1), "training the network"):
        problems = _problems(max(n, 16), rng)
        gradients, total = {name: np.zeros_like(p) for name, p in parameters.items()}, 0.0
        for _ in range(PAIRS):
            noise = {name: rng.normal(size=p.shape) for name, p in parameters.items()}
            ahead, behind = (
                _loss({name: p + sign * SPREAD * noise[name] for name, p in parameters.items()}, problems)
                for sign in (1, -1)
            )
            total += (ahead + behind) / (2 * PAIRS)
            for name in gradients:
                gradients[name] = gradients[name] + noise[name] * ((ahead - behind) / (2 * SPREAD * PAIRS))
        optimizer.update(parameters, clip_by_global_norm(gradients, 1.0)[0], state, step, schedule(step))
        if callback is not None:
            callback(step, total)
    return parameters
