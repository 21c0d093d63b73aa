"""Fractional anisotropy by the eigenvalues, in any unit."""

from __future__ import annotations

import numpy as np
import pytest
from symmetric_cases import symmetric, with_spectrum

from sci.errors import InvalidValueError
from sci.linalg import fractional_anisotropy


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_it_is_that_of_the_eigenvalues(scale: float) -> None:
    """The formula of Basser and Pierpaoli, for three eigenvalues."""
    for values in ([1.7, 0.3, 0.3], [1.0, 2.0, 3.0], [5.0, 0.0, 0.0], [2.0, 2.0, 2.0]):
        x, mean = np.array(values), np.mean(values)
        exact = np.sqrt(1.5) * np.linalg.norm(x - mean) / np.linalg.norm(x)
        found = fractional_anisotropy(scale * with_spectrum(values))
        assert float(found) == pytest.approx(exact, rel=1e-14, abs=1e-15)


def test_orders_dtypes_and_what_it_refuses() -> None:
    found = fractional_anisotropy(symmetric((4, 5, 2, 2), 1, np.float32))
    assert found.shape == (4, 5)
    assert found.dtype == np.float32
    assert fractional_anisotropy(np.zeros((3, 3))) == 0
    assert fractional_anisotropy(np.ones((1, 1))) == 0
    with pytest.raises(InvalidValueError, match="matrix 1 is not symmetric"):
        fractional_anisotropy(np.array([np.eye(2), [[1.0, 2.0], [0.0, 1.0]]]))
