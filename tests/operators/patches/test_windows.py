"""Multi-grid patches: coordinates of the sheet, exact inverse, halos, derivatives, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.errors import InvalidValueError, ShapeError
from sci.operators import MultigridPatches
from sci.operators.patches.windows import crop_patches, stitch_patches


def test_coordinates_of_the_sheet():
    """64 x 64, one level without halo, and two levels with an eighth: traced in the reference library."""
    one = MultigridPatches(1, 0.0)
    assert one.indices(64, 0)[0].tolist() == list(range(32))
    assert one.indices(64, 1)[0].tolist() == [i % 64 for i in range(-16, 48, 2)]
    two = MultigridPatches(2, 0.125)
    assert two.window((64, 64)) == (32, 32)
    assert two.count((64, 64)) == 16
    assert two.indices(64, 2)[0].tolist() == [i % 64 for i in range(-56, 72, 4)]
    assert two.split(np.zeros((3, 2, 64, 48))).shape == (48, 12, 32, 24)
    assert two.channels(2, dim=2) == 12
    plain = MultigridPatches(2, 0.125, positional_grid=False)
    assert plain.split(np.zeros((3, 2, 64, 48))).shape == (48, 6, 32, 24)


@settings(max_examples=60, deadline=None)
@given(
    levels=st.integers(0, 3),
    cores=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    padding=st.floats(0, 0.6),
    boundary=st.sampled_from(["circular", "clamped"]),
)
def test_stitching_is_the_exact_inverse(levels, cores, padding, boundary):
    if len(cores) == 3:
        levels = min(levels, 1)
    cut = MultigridPatches(levels, padding, boundary)
    grid = tuple(c * cut.per_axis for c in cores)
    x = np.random.default_rng(0).normal(size=(2, 3, *grid))
    patches = cut.split(x)
    assert patches.shape == (2 * cut.count(grid), cut.channels(3, len(grid)), *cut.window(grid))
    inner = cut.crop(patches[:, :3], grid)
    np.testing.assert_array_equal(inner, cut.targets(x))
    np.testing.assert_array_equal(cut.stitch(inner, grid), x)


def test_halos_wrap_or_repeat_the_end():
    x = np.arange(8.0).reshape(1, 1, 8)
    circular, clamped = (MultigridPatches(1, 0.25, b).split(x)[:, 0] for b in ("circular", "clamped"))
    assert circular.tolist() == [[6, 7, 0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7, 0, 1]]
    assert clamped.tolist() == [[0, 0, 0, 1, 2, 3, 4, 5], [2, 3, 4, 5, 6, 7, 7, 7]]


@pytest.mark.parametrize("boundary", ["circular", "clamped"])
def test_every_patch_knows_where_it_lies(boundary):
    """The coordinates in a patch are those of its points in the whole field, at every level, halos included."""
    cut, grid = MultigridPatches(1, 0.125, boundary), (8, 16)
    patches = cut.split(np.zeros((2, 1, *grid)))
    for number, (row, column) in enumerate((r, c) for r in (0, 1) for c in (0, 1)):
        for level in (0, 1):
            i, j = (cut.indices(n, level)[k] for n, k in zip(grid, (row, column)))
            at = patches[number, 3 * level + 1 : 3 * level + 3]
            np.testing.assert_array_equal(at[0], np.broadcast_to((i / 8)[:, None], at[0].shape))
            np.testing.assert_array_equal(at[1], np.broadcast_to(j / 16, at[1].shape))
    np.testing.assert_array_equal(patches[:4], patches[4:])
    assert len(np.unique(patches[:4, 1:3, 1:-1, 2:-2].reshape(4, -1), axis=0)) == 4


def test_every_level_is_centered_on_its_patch():
    cut = MultigridPatches(2)
    for level in range(3):
        places = cut.indices(256, level)[1]  # the second of four patches: its core is 64..127, its center at 96
        assert places.tolist() == [(96 - 32 * 2**level + 2**level * i) % 256 for i in range(64)]


def test_patches_of_a_sample_follow_each_other():
    x = np.arange(2 * 16.0).reshape(2, 1, 4, 4)
    cores = MultigridPatches(1).targets(x)
    assert cores[1, 0].tolist() == [[2, 3], [6, 7]]
    assert cores[4, 0].tolist() == [[16, 17], [20, 21]]


def test_derivatives():
    cut, grid = MultigridPatches(1, 0.25), (8, 4)
    rng = np.random.default_rng(0)
    assert_vjp(crop_patches, [rng.normal(size=(8, 2, *cut.window(grid)))], cut=cut, grid=grid)
    assert_vjp(stitch_patches, [rng.normal(size=(8, 2, *cut.core(grid)))], cut=cut, grid=grid)


def test_bad_input_is_refused():
    for bad in ((-1,), (1.5,), (1, -0.1), (1, 2.0), (1, 0.0, "reflect")):
        with pytest.raises(InvalidValueError):
            MultigridPatches(*bad)
    cut = MultigridPatches(3)
    with pytest.raises(ShapeError, match="8 patches"):
        cut.split(np.zeros((1, 1, 12, 16)))
    with pytest.raises(ShapeError, match="expected"):
        cut.crop(np.zeros((64, 1, 3, 3)), (16, 16))
    with pytest.raises(ShapeError, match="multiple"):
        cut.stitch(np.zeros((63, 1, 2, 2)), (16, 16))
