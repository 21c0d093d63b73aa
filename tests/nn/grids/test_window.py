"""Windows: their outputs, and integers for each axis."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn.grids.window import per_axis, window


@pytest.mark.parametrize(("value", "expected"), [(2, (2, 2)), ((1, 3), (1, 3)), (np.array([4, 5]), (4, 5))])
def test_one_number_stands_for_every_axis(value, expected):
    assert per_axis(value, 2, "stride") == expected


@pytest.mark.parametrize("value", [0, 1.0, True, (1,), (1, 2, 3), (1, -1), "ab", None])
def test_others_are_refused(value):
    with pytest.raises(InvalidValueError, match="stride="):
        per_axis(value, 2, "stride")


def test_outputs_are_the_places_at_which_the_whole_window_fits():
    w = window("convolve", (10, 7), (3, 2), (2, 1), (2, 3), ((1, 0), 2))
    assert (w.before, w.after, w.reach, w.padded, w.out) == ((1, 2), (0, 2), (4, 3), (11, 11), (4, 8))
    assert w.lifted.grid == (1, 10, 7)
    assert w.lifted.out == (1, 4, 8)
    same = window("convolve", (10,), (4,), 3, 1, "same")
    assert (same.before, same.after, same.out) == ((1,), (2,), (4,))
