"""The scan over the points against the loop over them."""

from __future__ import annotations

import numpy as np
import pytest
from state_space_cases import case, messages

from sci.linalg import smooth, smooth_by_scan


@pytest.mark.parametrize("smoothness", [0.0, 0.5, 1.5, 2.5])
@pytest.mark.parametrize("n", [12, 13, 64])
def test_the_scan_is_the_loop(smoothness: float, n: int) -> None:
    given = case(smoothness, n=n, seed=n)
    found, expected = smooth_by_scan(*messages(given)), smooth(*messages(given))
    np.testing.assert_allclose(found.mean, expected.mean, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.log_evidence, expected.log_evidence, rtol=1e-13, atol=1e-12)
