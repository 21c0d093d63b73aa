"""Sizes that fit, the ticks of smoothings, and codes in range."""

from __future__ import annotations

import numpy as np
import pytest

from sci.compression.vector.layout import check_sizes, checked_codes, latent_sizes, smoothing_of, vectors_of
from sci.errors import DTypeError, InvalidValueError, ShapeError


def test_smoothings_are_those_of_the_paper():
    # four ticks at 1/12, 13/36, 23/36, 11/12 and ten scales at k / 9, of which 2 and 7 lie in the middle of two ticks
    assert [smoothing_of(k, 10, 4) for k in range(10) if k not in (2, 7)] == [0, 0, 1, 1, 2, 2, 3, 3]
    assert [smoothing_of(k, 4, 2) for k in range(4)] == [0, 0, 1, 1]
    assert smoothing_of(0, 1, 1) == 0


def test_tiny_rests_are_zero_vectors():
    assert not vectors_of(np.full((1, 2, 3), 1e-20, np.float32)).any()
    mixed = np.array([[[1.0, 1e-20]]], np.float32)
    np.testing.assert_array_equal(vectors_of(mixed), mixed[0].T)


@pytest.mark.parametrize(
    ("scales", "patch", "codebook", "error", "message"),
    [
        ((), (1,), (4, 2), ShapeError, "one to three axes"),
        (((1,), (1, 2)), (1,), (4, 2), ShapeError, "one to three axes"),
        (((0,),), (1,), (4, 2), ShapeError, "1 or more"),
        (((3,), (2,)), (1,), (4, 2), InvalidValueError, "none larger than the last"),
        (((1,), (2,)), (1,), (3, 4, 2), ShapeError, "3 codebooks for 2 scales"),
        (((1,), (2,)), (3,), (4, 2), ShapeError, "multiple of the cells"),
        (((1,), (2,)), (1, 1), (4, 2), ShapeError, "1 lengths of 1 or more"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(scales, patch, codebook, error, message):
    with pytest.raises(error, match=message):
        check_sizes(scales, patch, codebook)


def test_grids_must_hold_whole_patches():
    assert latent_sizes((8, 6), (4, 2)) == (2, 3)
    with pytest.raises(ShapeError, match="smaller than the patch"):
        latent_sizes((3, 6), (4, 2))
    with pytest.raises(ShapeError, match="no multiple of the patch"):
        latent_sizes((6, 6), (4, 2))
    with pytest.raises(ShapeError, match="expected 2 axes"):
        latent_sizes((8,), (4, 2))


def test_codes_of_no_codebook_are_refused():
    with pytest.raises(InvalidValueError, match=r"scale 1 from -1 to 2; expected 0 to 3"):
        checked_codes(np.array([[-1, 2]]), 1, (2,), 4)
    with pytest.raises(InvalidValueError, match="from 0 to 4"):
        checked_codes(np.array([[0, 4]]), 1, (2,), 4)
    with pytest.raises(DTypeError, match="expected integers"):
        checked_codes(np.zeros((1, 2)), 0, (2,), 4)
    with pytest.raises(ShapeError, match=r"expected \(batch, 2\)"):
        checked_codes(np.zeros((1, 3), int), 0, (2,), 4)
