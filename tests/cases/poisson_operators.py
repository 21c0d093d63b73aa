"""Poisson operators of every kind on small grids."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from sci.solvers import PoissonOperator

RNG = np.random.default_rng(2)


def _operators() -> Iterator[PoissonOperator]:
    for shape in ((13, 11), (5, 8, 7)):
        mask = RNG.random(shape) > 0.15
        for walls, body, varying in itertools.product(
            ("dirichlet", "neumann", [("dirichlet", "neumann")] * len(shape)), (False, True), (False, True)
        ):
            coefficient = np.exp(RNG.normal(size=shape)) if varying else None
            yield PoissonOperator(mask, 0.5, walls, neumann_body=body, coefficient=coefficient)
    yield PoissonOperator(np.ones((16, 12), bool), 1.0, ["periodic", "dirichlet"])
    yield PoissonOperator(RNG.random((8, 6, 4)) > 0.1, 1.0, ["periodic", "periodic", "neumann"], neumann_body=True)


OPERATORS = list(_operators())


def dense(M: object, n: int) -> np.ndarray:
    """Return the matrix of a linear map."""
    return np.stack([M @ e for e in np.eye(n)], axis=1)  # type: ignore[operator]
