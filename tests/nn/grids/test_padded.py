"""Grids with margins: phases, offsets, and the adjoint of a periodic margin."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sci.nn.grids.padded import fold_margins, pad_grid, pad_window, wrapped
from sci.nn.grids.window import window

RNG = np.random.default_rng(4)


@pytest.mark.parametrize(("before", "after"), [((0, 0), (0, 0)), ((2, 1), (1, 0)), ((9, 4), (3, 11))])
def test_margins_repeat_the_grid_and_fold_back(before, after):
    x = RNG.normal(size=(2, 3, 4, 5))
    wide = wrapped(x, before, after)
    np.testing.assert_array_equal(wide, np.pad(x, ((0, 0), (0, 0), *zip(before, after)), mode="wrap"))
    y = RNG.normal(size=wide.shape)
    assert abs(np.vdot(y, wide) - np.vdot(fold_margins(y, before, (4, 5)), x)) < 1e-11


@pytest.mark.parametrize("low", [(0, 0, 0), (2, 1, 3), (-1, 0, -2)])
def test_a_grid_is_filled_up_or_cut(low):
    x = RNG.normal(size=(1, 2, 4, 5, 6))
    padded = pad_grid(x, low, (7, 6, 5))
    whole = np.zeros((1, 2, 40, 40, 40))
    whole[:, :, 10:14, 10:15, 10:16] = x
    a, b, c = (10 - n for n in low)
    np.testing.assert_array_equal(padded.array[:, :, 0], whole[:, :, a : a + 7, b : b + 6, c : c + 5])
    assert not padded.data[padded.array.size :].any()


@pytest.mark.parametrize("periodic", [False, True])
def test_an_offset_finds_the_cell_that_a_tap_sees(periodic):
    x = RNG.normal(size=(2, 2, 5, 6, 7))
    w = window("convolve", (5, 6, 7), (2, 3, 3), (2, 1, 3), (1, 2, 2), ((1, 2), 2, 3))
    padded, offsets = pad_window(x, w, periodic)
    margins = ((0, 0), (0, 0), *zip(w.before, w.after))
    whole = np.pad(x, margins, mode="wrap" if periodic else "constant")
    for offset, tap in zip(offsets, itertools.product(range(2), range(3), range(3))):
        for at in itertools.product(*map(range, w.out)):
            cell = [i * s + t * d for i, s, t, d in zip(at, w.stride, tap, w.dilation)]
            _, l1, l2 = padded.shape[3:]
            found = padded.data[padded.channel + offset + (at[0] * l1 + at[1]) * l2 + at[2]]
            assert found == whole[(0, 1, *cell)]
