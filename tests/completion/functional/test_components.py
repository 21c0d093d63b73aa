"""Masks of components: the defaults, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from sci.completion import Components, masked_components
from sci.errors import InvalidValueError, SciError


@pytest.mark.parametrize(
    ("k", "count"), [(2, 8 + 2), (3, 8 + 3 + 8), (4, 8 + 4 + 14), (5, 8 + 5 + 11), (6, 8 + 6 + 16)]
)
def test_defaults_have_components_of_all_axes_of_one_and_of_pairs(k: int, count: int) -> None:
    found = masked_components(k)
    assert found.n_components == count
    sizes = found.free.sum(axis=0)
    assert (sizes == k).sum() == 8
    for axis in range(k):
        free, fixed = found.along(axis)
        np.testing.assert_array_equal(np.sort(np.concatenate([free, fixed])), np.arange(count))
        assert found.free[axis, free].all()


def test_pairs_are_chosen_by_number_or_by_name() -> None:
    assert masked_components(3, 2, main=0, pairs=1).free.astype(int).tolist() == [
        [1, 1, 1, 1, 0],
        [1, 1, 1, 0, 1],
        [1, 1, 0, 1, 1],
    ]
    assert masked_components(3, 1, main=0, pairs={(2, 0): 2}).free.sum(axis=1).tolist() == [3, 1, 3]


@pytest.mark.parametrize(
    "call",
    [
        lambda: masked_components(1),
        lambda: masked_components(7),
        lambda: masked_components(3, -1),
        lambda: masked_components(3, 0, main=0, pairs=0),
        lambda: masked_components(3, pairs={(0, 3): 1}),
        lambda: masked_components(3, pairs={(1, 1): 1}),
        lambda: masked_components(3, 0, main=0, pairs={(0, 1): 1}),
        lambda: Components(np.zeros((2, 3), bool)),
        lambda: Components(np.ones((2, 3))),
    ],
)
def test_masks_without_sense_are_refused(call) -> None:
    with pytest.raises(SciError):
        call()
    with pytest.raises(InvalidValueError, match="expected 0 to 2"):
        masked_components(3).along(3)
