"""Values of cells and faces: what fits, and what is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.solvers import PoissonOperator
from sci.solvers.poisson.cells import FaceParts, both_ends, cell_values, checked_mask, joined, padded_factors
from sci.solvers.poisson.grid import Layout

MASK = np.ones((3, 4), dtype=bool)


def test_one_number_is_that_of_all_cells():
    np.testing.assert_array_equal(cell_values(2, "reaction", MASK), np.full((3, 4), 2.0))
    with pytest.raises(InvalidValueError, match="reaction"):
        cell_values(np.nan, "reaction", MASK)
    with pytest.raises(ShapeError, match="coefficient"):
        cell_values(np.ones(3), "coefficient", MASK)
    assert checked_mask([[1, 0]]).shape == (1, 2)
    with pytest.raises(DTypeError, match="mask"):
        checked_mask(np.ones((2, 2)))


def test_factors_of_faces_come_back():
    rng, layout = np.random.default_rng(1), Layout((3, 4), (False, True))
    given = [rng.random((4, 4)), rng.random((3, 5))]
    given[1][:, -1] = given[1][:, 0]
    padded = padded_factors(given, MASK, layout, FaceParts((3, 4), (slice(0, 3), slice(0, 4)), layout.periodic))
    for axis, values in enumerate(given):
        low, high = both_ends(layout, padded[axis], axis)
        np.testing.assert_array_equal(joined(low, high, axis), values)


@pytest.mark.parametrize(
    ("factors", "error", "text"),
    [
        (1.0, ShapeError, "face_factors"),
        ([np.ones((4, 4))], ShapeError, "face_factors"),
        ([np.ones((4, 4)), np.ones((3, 4))], ShapeError, r"face_factors\[1\]"),
        ([np.ones((4, 4)), np.full((3, 5), np.inf)], InvalidValueError, r"face_factors\[1\]"),
        ([-np.ones((4, 4)), np.ones((3, 5))], InvalidValueError, r"face_factors\[0\] .* negative"),
        ([np.arange(16.0).reshape(4, 4), np.ones((3, 5))], InvalidValueError, "both ends"),
    ],
)
def test_factors_that_do_not_fit(factors, error, text):
    with pytest.raises(error, match=text):
        PoissonOperator(MASK, boundary=["periodic", "dirichlet"], face_factors=factors)
