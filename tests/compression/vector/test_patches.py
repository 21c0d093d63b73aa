"""Cells of a patch become channels and come back, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression.vector.patches import from_patches, to_patches


@pytest.mark.parametrize(("grid", "patch"), [((6,), (3,)), ((4, 6), (2, 3)), ((2, 4, 6), (1, 4, 2))])
def test_patches_come_back(grid, patch):
    x = np.random.default_rng(0).normal(size=(2, 3, *grid))
    latent = to_patches(x, patch)
    assert latent.shape == (2, 3 * np.prod(patch), *(n // p for n, p in zip(grid, patch)))
    np.testing.assert_array_equal(from_patches(latent, patch), x)


def test_a_latent_cell_holds_its_patch_in_the_order_of_channels_and_cells():
    x = np.arange(2 * 4 * 6.0).reshape(1, 2, 4, 6)
    np.testing.assert_array_equal(to_patches(x, (2, 3))[0, :, 1, 0], x[0, :, 2:4, 0:3].ravel())
