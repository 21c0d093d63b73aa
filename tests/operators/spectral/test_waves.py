"""Cached matrices of cosines and sines against their definition."""

from __future__ import annotations

import numpy as np
import pytest

from sci.operators.spectral.modes import wavenumbers
from sci.operators.spectral.waves import wave_matrix


@pytest.mark.parametrize("n", [1, 4, 5, 12])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_matrices_are_their_definition(n, dtype):
    like, columns, modes = np.zeros(1, dtype), n // 2 + 1, n
    j, k = np.arange(n), np.arange(columns)
    angle = 2 * np.pi * np.outer(k, j) / n
    tol = 20 * np.finfo(dtype).eps
    analysis = wave_matrix("analysis", n, columns, like)
    assert analysis.dtype == dtype
    np.testing.assert_allclose(analysis[:, ::2], np.cos(angle).T / n, atol=tol)
    np.testing.assert_allclose(analysis[:, 1::2], -np.sin(angle).T / n, atol=tol)
    weights = np.where((k == 0) | (2 * k == n), 1, 2)[:, None]
    np.testing.assert_allclose(wave_matrix("synthesis", n, columns, like)[::2], weights * np.cos(angle), atol=tol)
    waves = wave_matrix("waves", n, modes, like)
    expected = np.exp(2j * np.pi * np.outer(j, wavenumbers((modes, 1))[0]) / n)
    np.testing.assert_allclose(waves, expected, atol=2 * tol)
    np.testing.assert_allclose(wave_matrix("counted waves", n, modes, like), expected / n, atol=2 * tol)
    fold, unfold = (wave_matrix(kind, n, modes, like) for kind in ("fold", "unfold"))
    np.testing.assert_allclose(unfold, fold.T * n, atol=4 * tol)
    assert fold.shape == (2 * (modes // 2) + 1, n)


def test_quarter_turns_are_exact_and_matrices_are_kept():
    like = np.zeros(1)
    assert set(wave_matrix("unfold", 4, 2, like).ravel().tolist()) <= {-1.0, 0.0, 1.0}
    assert wave_matrix("fold", 8, 4, like) is wave_matrix("fold", 8, 4, like)
