"""The long range of near sources, point by point."""

from __future__ import annotations

import numpy as np
import pytest
from forcefields import nearest

from sci.potentials.forcefield.near import near_long_range
from sci.potentials.radial.kernels import GaussianSum

CELL = np.array([[3.0, 0, 0], [1, 3.2, 0], [-1, 1, 4]])
SKEWED = np.array([[1, 0, 0], [40, 1, 0], [7, -30, 1]]) @ CELL


@pytest.mark.parametrize("cell", [None, CELL, SKEWED], ids=["isolated", "cell", "skewed"])
def test_sums_over_sources_within_the_distance(cell: np.ndarray | None) -> None:
    rng = np.random.default_rng(0)
    points, sources, charges = rng.random((40, 3)) * 4 - 1, rng.random((30, 3)) * 4 + 1, rng.normal(size=30)
    smooth, apart = GaussianSum(np.array([0.4, 1.1]), np.array([0.3, 0.9])), 1.0
    rows, sums = near_long_range(points, sources, charges, cell, smooth, apart)
    expected = np.zeros((40, 4))
    for i, x in enumerate(points):
        for y, q in zip(sources, charges):
            d = nearest(x - y, None if cell is None else CELL)
            if np.linalg.norm(d) <= apart:
                values = smooth.weights * np.exp(-(smooth.exponents**2) * (d @ d))
                expected[i, 0] += q * (values.sum() - smooth.at_zero)
                expected[i, 1:] += q * (-2 * values @ smooth.exponents**2) * d
    assert rows.tolist() == np.flatnonzero(np.abs(expected).any(axis=1)).tolist()
    np.testing.assert_allclose(sums, expected[rows], atol=1e-13)
