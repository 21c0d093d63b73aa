"""Random problems to train networks on: every family can be solved, and repeats with its seed."""

from __future__ import annotations

import numpy as np
import pytest

from sci.solvers.network.problems import FAMILIES, LEAST, random_problem


@pytest.mark.parametrize("family", range(len(FAMILIES)))
def test_every_family_repeats(family):
    one, other = (random_problem(family, 12, np.random.default_rng(3)) for _ in range(2))
    assert one.size >= LEAST
    np.testing.assert_array_equal(one.mask, other.mask)
    np.testing.assert_array_equal(one.diagonal, other.diagonal)
    assert np.isfinite(one.diagonal).all()
    assert random_problem(family, 12, np.random.default_rng(4)).shape != (0, 0)
