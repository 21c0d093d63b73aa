"""The bound of the scores of tensor attention."""

from __future__ import annotations

import numpy as np
import pytest
from tensor_oracle import tensor_dense

from sci.sequence import (
    tensor_attention,
)


def test_norms_of_rows_bound_scores_closer_than_entries() -> None:
    """One large entry a row, never in the same place as another's: entries allow scores of 2, norms of 1 at most."""
    rng = np.random.default_rng(4)
    given = [rng.uniform(-0.1, 0.1, (150, 2)) for _ in range(3)] + [rng.normal(size=(150, 2)) for _ in range(2)]
    for a in given[:3]:
        a[np.arange(150), rng.integers(0, 2, 150)] = 1.0
    expected = tensor_dense(*given, 1.0, np.zeros((150, 2)))[0]
    kept = {}
    for bound in (None, 1.0):
        out, residuals = tensor_attention.forward(*given, method="polynomial", tol=1e-4, scale=1.0, bound=bound)
        assert np.abs(out - expected).max() <= 2.1e-4 * np.abs(given[3]).max() * np.abs(given[4]).max()
        kept[bound] = residuals.method
    assert kept[1.0].radius == pytest.approx(2.0)
    assert 1.0 < kept[None].radius < 1.01
    assert kept[None].degree < kept[1.0].degree
