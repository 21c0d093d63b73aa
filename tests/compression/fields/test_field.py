"""A compressed field tells about itself, and refuses what does not fit together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from smooth_fields import smooth_field

from sci.compression import compress
from sci.compression.fields.field import check_tolerance
from sci.errors import FileFormatError, InvalidValueError, ShapeError

SMALL = compress(smooth_field((8, 9, 10)), 1e-2)


def test_it_tells_about_itself():
    assert repr(SMALL).startswith("CompressedField(8 x 9 x 10 float32, ")
    assert f"{SMALL.nbytes} bytes" in repr(SMALL)
    assert SMALL.nbytes == SMALL.data.size
    np.testing.assert_allclose(SMALL.ratio, 2880 / SMALL.nbytes)
    np.testing.assert_allclose(SMALL.relative_l2_error, SMALL.l2_error / SMALL.l2_norm)
    np.testing.assert_allclose(SMALL.relative_maximum_error, SMALL.maximum_error / SMALL.value_range)


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(FileFormatError, match="is of a field of shape"):
        replace(SMALL, shape=(9, 8, 10))
    with pytest.raises(FileFormatError, match="damaged"):
        replace(SMALL, data=SMALL.data[:-1])
    with pytest.raises(ShapeError, match="bytes"):
        replace(SMALL, data=SMALL.data.astype(float))
    for changes in ({"dtype": "float16"}, {"method": "none"}, {"l2_error": -1.0}, {"tol": 0.0}):
        with pytest.raises(InvalidValueError):
            replace(SMALL, **changes)


def test_a_tolerance_is_over_zero():
    check_tolerance(1e-300)
    for bad in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(InvalidValueError, match="tol"):
            check_tolerance(bad)
