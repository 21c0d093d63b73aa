"""The compiled recurrence of lightning attention and its reference."""

from __future__ import annotations

import numpy as np
import pytest

import sci
from sci.sequence.linear_attention.kernel import run_recurrence

DECAY = np.array([0.05, 0.6])


@pytest.mark.parametrize("kernels", ["compiled", "reference"])
def test_one_infinite_number_is_found_wherever_it_comes_out(kernels):
    """Whole chunks and single tokens; columns of whole vectors and the rest; at the end that nothing comes after."""
    q, k = (np.full((1, 8, 3), 0.5, "f4") for _ in range(2))
    for reverse in (False, True):
        for token in (0, 5, 7):
            for column in (0, 31, 33, 36):
                v = np.ones((1, 8, 37), "f4")
                v[0, token, column] = np.inf
                with sci.options(kernels=kernels), np.errstate(invalid="ignore"):
                    *_, finite = run_recurrence(q, k, v, DECAY[:1].astype("f4"), np.zeros((1, 3, 37), "f4"), reverse)
                assert not finite
