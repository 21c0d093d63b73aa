"""The model problems of the Poisson solvers."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.problems.poisson import right_hand_side, sphere_and_blob


def test_problems_are_what_they_say():
    mask = sphere_and_blob(32)
    assert 1 - mask.mean() == pytest.approx(0.072, abs=1e-3)
    assert not mask[16, 16, 16]
    for kind in ("div", "noise"):
        b = right_hand_side(mask, kind)
        assert np.linalg.norm(b) == pytest.approx(1)
        assert not b[~mask].any()
    assert not right_hand_side(np.ones((8, 8), bool), "div").any()
    with pytest.raises(InvalidValueError, match="kind"):
        right_hand_side(mask, "waves")
