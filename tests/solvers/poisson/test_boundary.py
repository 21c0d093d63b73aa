"""Conditions on walls and bodies, as users give them."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.solvers import PoissonOperator
from sci.solvers.poisson.boundary import as_spacing, beyond_face, neumann_cells, parse_boundary


def test_boundaries_have_three_forms():
    pair = ("dirichlet", "neumann")
    assert parse_boundary("periodic", 2) == (("periodic", "periodic"),) * 2
    assert parse_boundary(["neumann", pair], 2) == (("neumann", "neumann"), pair)
    for wrong, text in (("wall", "axis 0"), (["neumann"], "2 axes"), ([("periodic", "neumann"), pair], "both sides")):
        with pytest.raises(InvalidValueError, match=text):
            parse_boundary(wrong, 2)


def test_bodies_are_booleans():
    mask = np.array([[True, False], [False, True]])
    assert not neumann_cells(False, mask).any()
    np.testing.assert_array_equal(neumann_cells(True, mask), ~mask)
    np.testing.assert_array_equal(neumann_cells([[1, 1], [0, 1]], mask), [[False, True], [False, False]])
    with pytest.raises(DTypeError, match="True, False"):
        neumann_cells("neumann", mask)
    with pytest.raises(ShapeError, match="that of the mask"):
        neumann_cells(np.ones((3, 2), bool), mask)


def test_spacing_and_faces():
    assert as_spacing(2, 3) == (2.0, 2.0, 2.0)
    assert as_spacing([1, 0.5], 2) == (1.0, 0.5)
    for wrong in (0.0, -1.0, np.inf, np.nan, [1.0, 1.0, 1.0]):
        with pytest.raises(InvalidValueError, match="spacing"):
            as_spacing(wrong, 2)
    padded = np.arange(16).reshape(4, 4)
    assert beyond_face(padded, 0, 1).tolist() == [[9, 10], [13, 14]]
    assert beyond_face(padded, 1, -1).tolist() == [[4, 5], [8, 9]]


@pytest.mark.parametrize("given", [{"spacing": 1e-200}, {"spacing": 1e200}, {"spacing": 1e-10, "coefficient": 1e300}])
def test_entries_beyond_float64_are_refused(given):
    with pytest.raises(InvalidValueError, match="float64"):
        PoissonOperator(np.ones((4, 4), bool), **given)
