"""Hard media: what each of them is made of."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from sci.problems import media


def test_coefficients_have_their_contrast():
    assert set(np.unique(media.balls(16, 1, 1e6))) == {1.0, 1e6}
    assert media.balls(16, 60, 1e-3).min() == 1e-3
    assert (np.diff(media.layers(20, 7.0)[:, 0, 0]) != 0).sum() == 3
    field = np.log(media.lognormal(16, 5.0))
    assert abs(field.std() - 5.0) < 0.1
    assert set(np.unique(media.cracks(64, 1e4))) == {1.0, 1e4}


def test_passages_are_connected():
    for mask in (media.serpentine((33, 17, 9)), media.comb(16), media.pinhole_plates(17), media.gyroid_sheet(32)):
        assert 0 < mask.sum() < mask.size
        assert ndimage.label(mask)[1] == 1
    assert abs(media.rock(16).mean() - 0.35) < 0.01


def test_a_labyrinth_is_a_tree():
    for width in (1, 2):
        mask = media.labyrinth(4, width)
        assert mask.shape == (7 * width,) * 3
        assert ndimage.label(mask)[1] == 1
    tree = media.labyrinth(5)
    links = sum((np.diff(tree.astype(int), axis=a) == 0)[_both(tree, a)].sum() for a in range(3))
    assert links == tree.sum() - 1


def _both(mask, axis):
    low, high = np.delete(mask, -1, axis), np.delete(mask, 0, axis)
    return low & high
