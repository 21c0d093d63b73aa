"""A small grid of boxes and points in it, for the tests of box expansions."""

from __future__ import annotations

import numpy as np

from sci.tensor.boxes.grid import BoxGrid

GRID = BoxGrid(((-3.0, 5.0), (0.0, 6.0), (-1.0, 1.5)), (4, 3, 2))
LOW, HIGH = np.array(GRID.domain).T


def points_in_grid(n: int, seed: int = 0) -> np.ndarray:
    """n points of the domain; the first are its corners and a point on the faces between boxes."""
    points = LOW + (HIGH - LOW) * np.random.default_rng(seed).random((n, 3))
    special = np.array([LOW, HIGH, [-1.0, 2.0, 0.25]])[:n]
    points[: len(special)] = special
    return points
