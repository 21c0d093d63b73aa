"""Which part of an error each chunk may have: what one step of quantization in all of them would leave.

Of all ways to share a squared error, the one with the same step in every chunk takes the fewest bits, as long as the
coefficients are finer than the step (reverse filling of water over all coefficients). A codec finds its own step for a
given error, so the shares are estimated from how the magnitudes of cosine coefficients are distributed in each chunk.

References
----------
T. M. Cover and J. A. Thomas, Elements of Information Theory, 2nd ed., 2006, section 10.3.3.
"""

from __future__ import annotations

import numpy as np

from sci.compression.transforms.separable import forward

__all__ = ["BINS", "same_step", "spectrum_of"]

BINS = 160
"""Bins of magnitudes: a quarter of an octave each, from that of the norm of the whole chunk down."""
_PER_OCTAVE = 4
_ROUNDING = 0.4
"""Part of a step that is added before the magnitude of a coefficient is rounded down, as the codecs do."""
_ROUNDS = 60


def spectrum_of(values: np.ndarray, norm: float) -> np.ndarray:
    """Return the distribution of magnitudes of the cosine coefficients of a chunk, in parts of its norm.

    Parameters
    ----------
    values : array
        One chunk.
    norm : float
        Its L2 norm.

    Returns
    -------
    (2, BINS) float64 array
        Count and energy of the coefficients by bin; energies add up to 1. Zeros for a chunk of zeros.
    """
    found = np.zeros((2, BINS))
    if norm == 0:
        return found
    size = np.abs(forward(values / values.dtype.type(norm), range(values.ndim))).ravel()
    size = size[size > 2.0 ** (-BINS / _PER_OCTAVE)].astype(np.float64)
    place = np.clip(np.floor(-_PER_OCTAVE * np.log2(size)).astype(np.int64), 0, BINS - 1)
    found[0] = np.bincount(place, minlength=BINS)
    found[1] = np.bincount(place, size * size, BINS)
    return found


def same_step(total: float, norms: np.ndarray, spectra: np.ndarray) -> np.ndarray:
    """Return squared errors of chunks that add up to `total`, as one step of quantization would leave them.

    Parameters
    ----------
    total : float
        The squared error of all.
    norms : (chunks,) float64 array
        L2 norms of the chunks.
    spectra : (chunks, 2, BINS) float64 array
        Of `spectrum_of`.

    Returns
    -------
    (chunks,) float64 array
        Where all energy together is no more than `total`, shares in parts of the energies.
    """
    energies = norms * norms
    if energies.sum() <= total:
        return np.asarray(energies * (total / energies.sum()) if energies.any() else energies)
    count, energy = spectra[:, 0], spectra[:, 1] * energies[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        size = np.where(count > 0, np.sqrt(energy / count), 0.0)
    low, high = np.sqrt(total / max(count.sum(), 1.0)) / 2, 4 * float(norms.max())
    for _ in range(_ROUNDS):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if _missed(size, count, energy, middle).sum() <= total else (low, middle)
    shares = _missed(size, count, energy, low)
    return np.asarray(shares * (total / shares.sum()) if shares.sum() > 0 else energies * (total / energies.sum()))


def _missed(size: np.ndarray, count: np.ndarray, energy: np.ndarray, step: float) -> np.ndarray:
    """Return the squared error of each chunk with a step: all of what becomes zero, else that of rounding."""
    scaled = size / step
    near = count * np.square(size - step * np.floor(scaled + _ROUNDING))
    rounded = np.where(scaled < 1.5, near, count * step * step / 12)
    return np.asarray(np.where(scaled < 1 - _ROUNDING, energy, rounded).sum(axis=1))
