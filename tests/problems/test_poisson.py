"""Test problems with bodies: their volume, their place at every resolution, and right-hand sides."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.problems import divergence_source, noise_source, right_hand_side, sphere_and_blob


def test_the_bodies_are_the_same_at_every_resolution():
    coarse, fine = sphere_and_blob(24), sphere_and_blob(72)
    assert (~fine).mean() == pytest.approx(0.072, abs=0.001)
    assert (fine[1::3, 1::3, 1::3] != coarse).mean() < 1e-3
    assert not coarse[12, 12, 12]  # the sphere's center
    with pytest.raises(InvalidValueError, match="n is 3"):
        sphere_and_blob(3)


def test_a_divergence_lies_on_surfaces_and_sums_to_the_flow_out():
    mask = sphere_and_blob(16)
    b = divergence_source(mask)
    assert np.linalg.norm(b) == pytest.approx(1)
    assert not b[~mask].any()
    inner = mask.copy()
    for axis in range(3):
        for shift in (-1, 1):
            inner &= np.roll(mask, shift, axis)
    deep = inner[1:-1, 1:-1, 1:-1]
    assert abs(b[1:-1, 1:-1, 1:-1][deep]).max() < 1e-12  # a shear flow has no divergence where all is fluid
    assert abs(b[mask & ~inner]).max() > 1e-3


def test_noise_and_kinds():
    mask = sphere_and_blob(8)
    b = noise_source(mask, seed=3)
    assert np.linalg.norm(b) == pytest.approx(1)
    assert not b[~mask].any()
    np.testing.assert_array_equal(right_hand_side(mask, "noise", seed=3), b)
    np.testing.assert_array_equal(right_hand_side(mask), divergence_source(mask))
    assert not noise_source(np.zeros((4, 4), bool)).any()
    with pytest.raises(InvalidValueError, match="'sine'"):
        right_hand_side(mask, "sine")
