"""Random Poisson problems whose networks are hard to coarsen, to train the numbers of the coarsening on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from sci.problems import media
from sci.problems.masks import neumann_part, random_mask
from sci.solvers.poisson.operator import PoissonOperator

__all__ = ["FAMILIES", "random_problem"]

Rng = np.random.Generator
LEAST = 500
"""Unknowns of a problem, at least: a smaller one is solved directly."""


def _walls(rng: Rng) -> Any:
    """Return random walls, one of them Dirichlet."""
    ends = [tuple(str(kind) for kind in rng.choice(["dirichlet", "neumann"], 2)) for _ in range(3)]
    return [("dirichlet", ends[0][1]), *ends[1:]]


def _seed(rng: Rng) -> int:
    return int(rng.integers(1 << 30))


def _contrast(rng: Rng) -> float:
    return float(10.0 ** rng.uniform(-6, 6))


def _coefficient(rng: Rng, c: np.ndarray) -> PoissonOperator:
    return PoissonOperator(np.ones(c.shape, bool), 1.0, _walls(rng)[: c.ndim], coefficient=c)


def _closed(fluid: np.ndarray, spacing: Any = 1.0) -> PoissonOperator:
    return PoissonOperator(fluid, spacing, "neumann", neumann_body=True)


def _bodies(n: int, rng: Rng) -> PoissonOperator:
    return _coefficient(rng, np.where(random_mask(n, rng), 1.0, _contrast(rng)))


def _balls(n: int, rng: Rng) -> PoissonOperator:
    return _coefficient(rng, media.balls(n, int(rng.integers(5, 80)), _contrast(rng), _seed(rng)))


def _layers(n: int, rng: Rng) -> PoissonOperator:
    c = media.layers(n, _contrast(rng), int(rng.integers(1, 7)))
    return _coefficient(rng, np.moveaxis(c, 0, int(rng.integers(3))))


def _lognormal(n: int, rng: Rng) -> PoissonOperator:
    return _coefficient(rng, media.lognormal(n, rng.uniform(1, 6), rng.uniform(0.7, 3), _seed(rng)))


def _stretched(n: int, rng: Rng) -> PoissonOperator:
    fluid = random_mask(n, rng) if rng.random() < 0.5 else np.ones((n, n, n), dtype=bool)
    return _closed(fluid, 2.0 ** rng.integers(0, 5, 3))


def _mixed(n: int, rng: Rng) -> PoissonOperator:
    fluid = random_mask(n, rng)
    return PoissonOperator(fluid, 1.0, _walls(rng), neumann_body=neumann_part(fluid, rng))


def _pores(n: int, rng: Rng) -> PoissonOperator:
    fluid = rng.random((n, n, n)) < rng.uniform(0.3, 0.9)
    return PoissonOperator(fluid, 1.0, _walls(rng), neumann_body=True)


def _ducts(n: int, rng: Rng) -> PoissonOperator:
    kind = int(rng.integers(3))
    if kind == 0:
        return _closed(media.comb(n, int(rng.integers(1, 5))))
    if kind == 1:
        return _closed(media.pinhole_plates(n, int(rng.integers(3, 9)), _seed(rng)))
    return _closed(media.serpentine((n + 1, n, n - 3), int(rng.integers(4, 10))))


def _sheets(n: int, rng: Rng) -> PoissonOperator:
    if rng.random() < 0.5:
        return _closed(media.gyroid_sheet(n, rng.uniform(0.2, 0.9), int(rng.integers(1, 3))))
    return _closed(media.rock(n, rng.uniform(0.2, 0.7), rng.uniform(1, 3), _seed(rng)))


def _cracks(n: int, rng: Rng) -> PoissonOperator:
    return _coefficient(rng, media.cracks(4 * n, _contrast(rng), 40, _seed(rng)))


def _periodic(n: int, rng: Rng) -> PoissonOperator:
    c = media.lognormal(n, rng.uniform(1, 4), rng.uniform(1, 3), _seed(rng)) if rng.random() < 0.5 else None
    walls, spacing = ["periodic", *_walls(rng)[1:]], (2.0 ** rng.integers(0, 5, 3)).tolist()
    box = np.ones((n, n, n), dtype=bool)
    return PoissonOperator(box, spacing, walls, coefficient=c, reaction=float(10.0 ** rng.uniform(-3, 1)))


def _dirichlet(n: int, rng: Rng) -> PoissonOperator:
    return PoissonOperator(random_mask(n, rng))


FAMILIES: tuple[Callable[[int, Rng], PoissonOperator], ...] = (
    *(_bodies, _balls, _layers, _lognormal, _stretched, _mixed),
    *(_pores, _ducts, _sheets, _cracks, _periodic, _dirichlet),
)
"""Jumps of the coefficient from 1e-6 to 1e6 in bodies, balls, layers and, in the plane, cracks; lognormal fields; cells
stretched up to 1:16; mixed walls and bodies; pores, ducts, sheets; periodic axes and a reaction; Dirichlet bodies."""


def random_problem(family: int, n: int, rng: np.random.Generator) -> PoissonOperator:
    """Return a problem of one of `FAMILIES` with about n cells along an axis, 4 n in the plane."""
    while True:
        A = FAMILIES[family](n, rng)
        if A.size >= LEAST:
            return A
