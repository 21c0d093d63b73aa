"""The numbers of a network: their bounds, and plain ones from zeros."""

from __future__ import annotations

import numpy as np
import pytest

from sci.solvers.network.numbers import PLAIN, SHAPES, numbers_of


def test_zeros_are_plain():
    found = numbers_of({name: np.zeros(shape) for name, shape in SHAPES.items()})
    assert (found.strong, found.own, found.root) == pytest.approx((PLAIN.strong, PLAIN.own, PLAIN.root), rel=1e-15)
    np.testing.assert_array_equal(found.resistances, PLAIN.resistances)


@pytest.mark.parametrize("size", [-1e300, -3.0, 3.0, 1e300])
def test_bounds(size):
    found = numbers_of({name: np.full(shape, size) for name, shape in SHAPES.items()})
    assert 0.1 < found.strong < 0.62
    assert 0.05 < found.own < 0.8
    assert 0.49 < found.root < 2.02
