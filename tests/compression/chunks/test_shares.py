"""Shares of an error add up, are those of one step, and take fewer bytes than equal ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn

from sci.compression.chunks.shares import BINS, same_step, spectrum_of


def chunks() -> list[np.ndarray]:
    """Return chunks of unlike smoothness and strength."""
    rng, x = np.random.default_rng(0), np.linspace(0.0, 5.0, 24)
    return [np.sin(x[:, None] + x) * 3, rng.normal(size=(24, 24)), 1e-4 * rng.normal(size=(24, 24)), np.zeros((24, 24))]


def shares(relative: float) -> tuple[np.ndarray, float, list[np.ndarray]]:
    given = chunks()
    norms = np.array([np.linalg.norm(one) for one in given])
    total = relative**2 * float((norms**2).sum())
    return same_step(total, norms, np.array([spectrum_of(one, n) for one, n in zip(given, norms)])), total, given


def test_a_spectrum_has_all_energy() -> None:
    for one in chunks()[:3]:
        found = spectrum_of(one, float(np.linalg.norm(one)))
        assert found.shape == (2, BINS)
        assert found[1].sum() == pytest.approx(1.0)
        assert found[0].sum() <= one.size
    assert not spectrum_of(np.zeros((3, 4)), 0.0).any()


@pytest.mark.parametrize("relative", [0.3, 1e-1, 1e-2, 1e-4])
def test_shares_are_the_errors_of_one_step(relative: float) -> None:
    found, total, given = shares(relative)
    assert found.sum() == pytest.approx(total)
    sizes = [np.abs(dctn(one, norm="ortho")) for one in given]

    def errors(step: float) -> np.ndarray:
        return np.array([np.square(s - step * np.floor(s / step + 0.4)).sum() for s in sizes])

    low, high = 1e-12, 1e3
    for _ in range(100):
        middle = np.sqrt(low * high)
        low, high = (middle, high) if errors(middle).sum() <= total else (low, middle)
    np.testing.assert_allclose(found, errors(low), rtol=0.25, atol=0.02 * total)


def test_energy_that_is_less_than_the_error_is_shared_whole() -> None:
    found, total, given = shares(2.0)
    energies = np.array([float((one**2).sum()) for one in given])
    np.testing.assert_allclose(found, energies * total / energies.sum())
    assert not same_step(0.0, np.zeros(2), np.zeros((2, 2, BINS))).any()
