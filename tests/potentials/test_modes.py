"""Matrices between Fourier modes and polynomials on boxes."""

from __future__ import annotations

import itertools
import math

import numpy as np
from numpy.polynomial.chebyshev import chebval

from sci.potentials.modes import UNIT, mode_boxes, mode_matrices, synthesis
from sci.tensor.boxes.grid import BoxGrid


def test_matrices_hold_the_waves_on_the_boxes() -> None:
    degree, n_modes = 17, (3, 2, 4)
    grid = mode_boxes(n_modes, degree, 1e-12)
    cosines, sines = mode_matrices(n_modes, grid, degree, np)
    for axis, orders in enumerate((np.arange(-3, 4), np.arange(-2, 3), np.arange(5))):
        edges = grid.edges(axis)
        table = cosines[axis].reshape(len(orders), -1, degree + 1), sines[axis].reshape(len(orders), -1, degree + 1)
        for box, (a, b) in enumerate(itertools.pairwise(edges)):
            u = np.linspace(-1, 1, 7)
            s = a + (b - a) * (u + 1) / 2
            for k, order in enumerate(orders):
                np.testing.assert_allclose(chebval(u, table[0][k, box]), np.cos(2 * math.pi * order * s), atol=1e-11)
                np.testing.assert_allclose(chebval(u, table[1][k, box]), np.sin(2 * math.pi * order * s), atol=1e-11)


def test_synthesis_is_the_sum_of_the_waves() -> None:
    rng, n_modes = np.random.default_rng(0), (1, 2, 1)
    modes = rng.normal(size=(3, 5, 2)) + 1j * rng.normal(size=(3, 5, 2))
    tables = mode_matrices(n_modes, BoxGrid(UNIT, (1, 1, 1)), 30, np)
    s = rng.random(3)
    t = [np.cos(np.arange(31) * np.arccos(2 * x - 1)) for x in s]
    found = np.einsum("ijk,i,j,k", synthesis(modes, *tables), *t)
    waves = [np.exp(2j * math.pi * n * x) for n, x in zip((np.arange(-1, 2), np.arange(-2, 3), np.arange(2)), s)]
    assert abs(found - np.einsum("ijk,i,j,k", modes, *waves).real) < 1e-12
