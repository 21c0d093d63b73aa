"""Which wavenumbers are kept, and what fields and counts are refused."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.operators.spectral.modes import (
    check_field,
    check_modes,
    column_weights,
    kept_modes,
    stored_modes,
    wavenumbers,
    weight_window,
)


def test_modes_follow_the_smallest_grid():
    assert kept_modes((16, 16), (64, 64)) == (16, 9)
    assert kept_modes((16, 16), (8, 8)) == (8, 5)
    assert kept_modes((16, 16), (64, 64), (10, 6)) == (10, 4)
    assert kept_modes((7,), (64,)) == (4,)
    assert weight_window((16, 9), (7, 4)) == (slice(5, 12), slice(0, 4))


def test_bad_input_is_refused():
    for n_modes in ((), (1, 2, 3, 4), (0,), (2.5,), "ab"):
        with pytest.raises(InvalidValueError, match="n_modes"):
            check_modes(n_modes)
    with pytest.raises(DTypeError, match="int64"):
        check_field(np.zeros((1, 1, 4), int), 1, 1)
    for shape in ((1, 2, 4), (1, 4), (0, 1, 4)):
        with pytest.raises(ShapeError, match="expected"):
            check_field(np.zeros(shape), 1, 1)


def test_wavenumbers_and_how_often_columns_count():
    assert [k.tolist() for k in wavenumbers((4, 3))] == [[-2, -1, 0, 1], [0, 1, 2]]
    assert stored_modes((4, 6)) == (4, 4)
    assert stored_modes((7,)) == (4,)
    assert column_weights((8,), (5,), float).tolist() == [1, 2, 2, 2, 1]
    assert column_weights((9,), (5,), float).tolist() == [1, 2, 2, 2, 2]
