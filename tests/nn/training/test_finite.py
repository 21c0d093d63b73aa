"""NaN and infinity are named."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ConvergenceError
from sci.nn import Adam, ParameterLayout
from sci.nn.training.finite import checked, require_good

WHOLE = ParameterLayout.whole({})


def test_what_is_not_finite_is_named_with_its_step():
    good = {"w": np.ones(2), "v": np.full(2, 1e200)}
    assert checked(1.0, good, 3, None, Adam(), WHOLE) is good
    assert np.linalg.norm(checked(1.0, {"w": np.array([3.0, 4.0])}, 3, 1.0, Adam(), WHOLE)["w"]) == pytest.approx(1)
    for value, gradients, message in (
        (np.nan, good, "the loss is nan in step 3"),
        (1.0, {**good, "v": np.array([1.0, np.inf])}, "the gradient 'v' has 1 of 2 entries NaN or infinite in step 3"),
        (1.0, {"w": np.full(4, 1e308)}, "the norm of the gradient overflows in step 3"),
    ):
        with pytest.raises(ConvergenceError, match=message):
            checked(value, gradients, 3, None, Adam(), WHOLE)
    with pytest.raises(ConvergenceError, match=r"the parameter 'w' .* a learning rate below 0\.1"):
        require_good({"w": np.array([np.nan])}, 0, "parameter", Adam(0.1))
