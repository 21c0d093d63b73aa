"""Functions of the vectors to neighbors, and their gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from atom_cases import crystal, potential

from sci.atomistic.network.geometry import pair_functions

NEAR = potential().neighborhood(crystal())


def test_gradients_are_derivatives_by_the_vectors():
    gradients, h = pair_functions(NEAR, 4.0, 4, 3)[1], 1e-4
    for axis in range(3):
        step = h * np.eye(3)[axis] * NEAR.present[..., None]
        values = [pair_functions(replace(NEAR, vectors=NEAR.vectors + k * step), 4.0, 4, 3)[0] for k in (-2, -1, 1, 2)]
        expected = (values[0] - 8 * values[1] + 8 * values[2] - values[3]) / (12 * h)
        np.testing.assert_allclose(gradients[:, :, axis], expected, atol=1e-8)


def test_rows_without_a_neighbor_are_zero_and_squares_add_up():
    values, gradients = pair_functions(NEAR, 4.0, 4, 3)
    assert not values[~NEAR.present].any()
    assert not gradients[~NEAR.present].any()
    squares = (values[NEAR.present][:, 4:] ** 2).sum(axis=1)
    np.testing.assert_allclose(squares, 16, rtol=1e-12)
