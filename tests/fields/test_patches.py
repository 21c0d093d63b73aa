"""The schedule of patches: distribution, means, and coordinates that are those of the whole image."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from sci.errors import InvalidValueError
from sci.fields import expected_scale, patch_beta, patch_coordinates, sample_patches


@pytest.mark.parametrize("beta", [0.2, 0.4, 0.8, 1.0, 3.0])
def test_scales_are_drawn_from_beta(beta: float) -> None:
    scales, _ = sample_patches(20_000, beta, 0.25, seed=1)
    x = (scales - 0.25) / 0.75
    assert stats.kstest(x, stats.beta(1, beta).cdf).pvalue > 0.01
    error = scales.std() / np.sqrt(len(scales))
    assert abs(scales.mean() - expected_scale(beta, 0.25)) < 3 * error


def test_the_start_and_the_end_of_the_published_annealing() -> None:
    assert [patch_beta(part) for part in (0.0, 1.0, 7.0)] == [0.001, 0.8, 0.8]
    means = [expected_scale(patch_beta(part), 0.25) for part in (0.0, 1.0)]
    assert [round(m, 5) for m in means] == [0.99925, 0.66667]


def test_patches_lie_within_the_image() -> None:
    scales, offsets = sample_patches(5000, 0.8, 0.125, seed=2)
    assert scales.min() >= 0.125
    assert scales.max() <= 1
    assert offsets.min() >= 0
    assert (offsets + scales[:, None]).max() <= 1
    free = offsets / (1 - scales[:, None])
    assert stats.kstest(free.ravel(), "uniform").pvalue > 0.01


def test_pixels_of_a_patch_are_those_of_the_image() -> None:
    whole = patch_coordinates(17, 1.0, (0.0, 0.0))
    patch = patch_coordinates(9, 0.5, (0.25, 0.125))
    # Columns 4 to 12; the lower edge is an eighth of the side above the bottom row, 2 rows of 16.
    np.testing.assert_array_equal(patch, whole[6:15, 4:13])


@pytest.mark.parametrize(
    "bad",
    [
        lambda: patch_beta(-0.1),
        lambda: patch_beta(0.5, stop=0.0),
        lambda: expected_scale(0.0, 0.5),
        lambda: expected_scale(0.5, 1.5),
        lambda: sample_patches(-1, 0.5, 0.5),
        lambda: patch_coordinates(1, 0.5, (0.0, 0.0)),
        lambda: patch_coordinates(4, 0.5, (0.6, 0.0)),
    ],
)
def test_impossible_patches_are_refused(bad) -> None:
    with pytest.raises(InvalidValueError):
        bad()
