"""The truncated transform and its inverse against the fast transform, on even and odd grids in 1, 2, 3 dimensions."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ShapeError
from sci.operators.spectral.modes import (
    column_weights,
    kept_modes,
    wavenumbers,
)
from sci.operators.spectral.transform import synthesize, transform

CASES = [
    ((16,), (5,)),
    ((15,), (20,)),
    ((1,), (4,)),
    ((16, 16), (6, 8)),
    ((15, 17), (7, 5)),
    ((8, 8), (16, 16)),
    ((9, 8), (16, 16)),
    ((2, 3), (1, 1)),
    ((6, 7, 8), (4, 3, 5)),
    ((5, 4, 6), (5, 4, 6)),
]


def places(grid, kept):
    """Where the kept wavenumbers lie in a half spectrum, by definition."""
    return np.ix_(*[k % n for k, n in zip(wavenumbers(kept), grid)])


def field_of(spectrum, grid):
    """The complex inverse over the leading axes, then the real one without the imaginary part of its end planes."""
    kept = spectrum.shape[-len(grid) :]
    half = np.zeros((*spectrum.shape[: -len(grid)], *grid[:-1], grid[-1] // 2 + 1), complex)
    half[(..., *places(grid, kept))] = spectrum
    if len(grid) > 1:
        half = np.fft.ifftn(half, axes=range(-len(grid), -1), norm="forward")
    half[..., 0] = half[..., 0].real
    if grid[-1] % 2 == 0:
        half[..., -1] = half[..., -1].real
    return np.fft.irfft(half, n=grid[-1], axis=-1, norm="forward")


@pytest.mark.parametrize(("grid", "n_modes"), CASES)
def test_transform_and_inverse_are_those_of_the_fast_transform(grid, n_modes):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 3, *grid))
    kept = kept_modes(n_modes, grid)
    spectrum = transform(x, kept)
    full = np.fft.fftn(x, axes=range(-len(grid), 0), norm="forward")
    np.testing.assert_allclose(spectrum, full[(..., *places(grid, kept))], rtol=0, atol=1e-14)
    other = rng.normal(size=spectrum.shape) + 1j * rng.normal(size=spectrum.shape)
    np.testing.assert_allclose(synthesize(other, grid), field_of(other, grid), rtol=0, atol=1e-12)
    single = transform(x.astype(np.float32), kept)
    assert single.dtype == np.complex64
    assert synthesize(single, grid).dtype == np.float32
    np.testing.assert_allclose(single, spectrum, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("grid", "n_modes"), CASES)
def test_each_is_the_adjoint_of_the_other_up_to_the_weights_of_columns(grid, n_modes):
    rng = np.random.default_rng(1)
    kept = kept_modes(n_modes, grid)
    x = rng.normal(size=grid)
    y = rng.normal(size=kept) + 1j * rng.normal(size=kept)
    c = column_weights(grid, kept, float)
    left = (synthesize(y, grid) * x).sum()
    right = x.size * (y.conj() * c * transform(x, kept)).sum().real
    assert abs(left - right) < 1e-12 * x.size


def test_even_counts_keep_the_negative_end():
    assert [k.tolist() for k in wavenumbers((4, 3))] == [[-2, -1, 0, 1], [0, 1, 2]]
    assert wavenumbers((5, 1))[0].tolist() == [-2, -1, 0, 1, 2]
    i, j = np.meshgrid(np.arange(12), np.arange(10), indexing="ij")
    kept = kept_modes((4, 4), (12, 10))

    def low_pass(k1):
        wave = np.cos(2 * np.pi * (k1 * i / 12 + j / 10))
        return wave, synthesize(transform(wave, kept), (12, 10))

    for k1 in (-2, -1, 0, 1):
        wave, passed = low_pass(k1)
        np.testing.assert_allclose(passed, wave, atol=1e-14)
    assert np.abs(low_pass(2)[1]).max() < 1e-14


def test_resampling_a_band_limited_field_is_exact():
    def wave(n1, n2):
        i, j = np.meshgrid(np.arange(n1) / n1, np.arange(n2) / n2, indexing="ij")
        return 1 + np.cos(2 * np.pi * (i - 2 * j)) + np.sin(2 * np.pi * (2 * i + j))

    kept = kept_modes((6, 6), (9, 11), (15, 20))
    np.testing.assert_allclose(synthesize(transform(wave(9, 11), kept), (15, 20)), wave(15, 20), atol=1e-13)


def test_coefficients_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="do not fit"):
        synthesize(np.zeros((4, 3), complex), (3, 8))
