"""Cases of the kernels of the particle mesh, and periodic cells that stress it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import sci
from sci.potentials.mesh.spread import gather_fields, spread_charges

Pair = tuple[np.ndarray, np.ndarray]
CELL = np.array([[9.0, 0.5, -0.3], [-3.0, 10.0, 0.4], [2.0, 3.5, 8.0]])


def _both(run: Callable[[], np.ndarray]) -> Pair:
    with sci.options(kernels="compiled"):
        found = run()
    with sci.options(kernels="reference"):
        return found, run()


def _places(rng: np.random.Generator, n: int) -> np.ndarray:
    """Places in and around the cell: on its corners and faces, just below a face, and on points of the grid."""
    fractions = 3 * rng.random((n, 3)) - 1
    special = np.array([[0.0, 0.0, 0.0], [1.0, -1.0, 2.0], [0.5, 0.25, 0.0], [-1e-17, 0.3, 1 - 1e-16]])[:n]
    fractions[: len(special)] = special
    return fractions @ CELL


def _spread(rng: np.random.Generator, dtype: str, order: int) -> Iterator[Pair]:
    shapes = (
        (1, (8, 8, 8)),
        (2, (16, 8, 9)),
        (7, (9, 8, 15)),
        (40, (8, 9, 10)),
        (300, (12, 10, 16)),
        (20_000, (24, 27, 30)),
    )
    for n, shape in shapes:
        if n > 1000 and (order, dtype) != (5, "f4"):
            continue  # the sum over several grids
        positions, charges = _places(rng, n), rng.normal(size=n)
        yield _both(partial(spread_charges, positions, charges, np.linalg.inv(CELL), shape, order, np.dtype(dtype)))


def _gather(rng: np.random.Generator, dtype: str, order: int) -> Iterator[Pair]:
    for n, shape in ((0, (8, 8, 8)), (1, (8, 8, 8)), (5, (16, 8, 9)), (17, (9, 8, 15)), (300, (12, 10, 16))):
        values = rng.normal(size=shape).astype(dtype)
        yield _both(partial(gather_fields, _places(rng, n), np.linalg.inv(CELL), values, order))


BY_DTYPE: dict[str, Callable[..., Iterator[Pair]]] = {"spread_charges": _spread, "gather_fields": _gather}


def ionic(n: int, cell: Any, seed: int = 0, charge: float = 0.0) -> Any:
    """Return n random charges at random places around a cell, of the total `charge`."""
    from sci.potentials import Particles

    rng = np.random.default_rng(seed)
    charges = rng.normal(size=n)
    charges += (charge - charges.sum()) / n
    return Particles((3 * rng.random((n, 3)) - 1) @ np.asarray(cell, dtype=float), charges, cell=cell)
