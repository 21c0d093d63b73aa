"""Masks: shapes, dtypes, and what is solid in them."""

from __future__ import annotations

import numpy as np

from sci.problems import neumann_part, random_bodies, random_mask, stress_masks


def test_random_masks():
    rng = np.random.default_rng(0)
    for _ in range(16):
        for make in (random_bodies, random_mask):
            fluid = make(16, rng)
            assert fluid.shape == (16,) * 3
            assert fluid.dtype == bool
            assert fluid.any()
            assert not (neumann_part(fluid, rng) & fluid).any()


def test_hard_masks():
    masks = stress_masks(16)
    assert len(masks) == 6
    assert 0.55 < masks["40 % random cells"].mean() < 0.65
