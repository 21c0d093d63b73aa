"""Coordinates of grid points as channels."""

from __future__ import annotations

import numpy as np

from sci.operators.coordinates import grid_coordinates


def test_coordinates_run_from_zero_along_each_axis():
    found = grid_coordinates(np.zeros((2, 5, 3, 4), np.float32))
    assert (found.shape, found.dtype) == ((2, 2, 3, 4), np.float32)
    np.testing.assert_array_equal(found[1, 0], np.broadcast_to(np.float32([0, 1 / 3, 2 / 3])[:, None], (3, 4)))
    np.testing.assert_array_equal(found[0, 1], np.broadcast_to(np.float32([0, 0.25, 0.5, 0.75]), (3, 4)))
