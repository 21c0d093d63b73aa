"""The Fourier modes that a spectral layer keeps, and the checks of its input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.backend import Array
from sci.errors import DTypeError, InvalidValueError, ShapeError

__all__ = [
    "check_field",
    "check_modes",
    "column_weights",
    "kept_modes",
    "stored_modes",
    "wavenumbers",
    "weight_window",
]


def check_modes(n_modes: Sequence[int]) -> tuple[int, ...]:
    """Return `n_modes` as a tuple of 1 to 3 positive integers.

    Raises
    ------
    InvalidValueError
    """
    counts = tuple(n_modes) if isinstance(n_modes, Sequence) else (n_modes,)
    if not 1 <= len(counts) <= 3 or any(not isinstance(m, int | np.integer) or m < 1 for m in counts):
        raise InvalidValueError(f"n_modes is {n_modes!r}; expected 1 to 3 positive integers, one for each grid axis")
    return tuple(int(m) for m in counts)


def check_field(x: Array, channels: int, dim: int, *, complex_data: bool = False) -> None:
    """Raise unless `x` is (batch, channels, *grid) with `dim` grid axes, of float32 or float64, or of complex numbers.

    Raises
    ------
    ShapeError, DTypeError
    """
    dtype = getattr(x, "dtype", None)
    kinds = (np.complex64, np.complex128) if complex_data else (np.float32, np.float64)
    if dtype not in kinds:
        names = " or ".join(kind.__name__ for kind in kinds)
        raise DTypeError(f"the field is {dtype or type(x).__name__}; expected an array of {names}")
    if x.ndim != dim + 2 or x.shape[1] != channels or 0 in x.shape:
        raise ShapeError(
            f"the field has shape {tuple(x.shape)}; expected (batch, {channels}, *grid) with {dim} grid axes"
        )


def stored_modes(n_modes: Sequence[int]) -> tuple[int, ...]:
    """Return the modes that weights are stored for: n_modes, and n_modes // 2 + 1 columns along the last axis."""
    return (*n_modes[:-1], n_modes[-1] // 2 + 1)


def kept_modes(n_modes: Sequence[int], *grids: Sequence[int]) -> tuple[int, ...]:
    """Return the number of wavenumbers kept along each axis: total counts, and columns of the half spectrum last.

    m_j = min(n_modes_j, N_j) along the leading axes and min(n_modes_d // 2 + 1, N_d // 2 + 1) along the last, for the
    smallest of the grids.
    """
    shapes = [*zip(*grids)]
    leading = [min(m, *sizes) for m, sizes in zip(n_modes[:-1], shapes)]
    return (*leading, min(n_modes[-1] // 2 + 1, *(n // 2 + 1 for n in shapes[-1])))


def wavenumbers(kept: Sequence[int]) -> tuple[np.ndarray, ...]:
    """Return the wavenumbers along each axis: -(m // 2) ... m - m // 2 - 1, and 0 ... K - 1 along the last.

    Even m keeps -m/2 and drops +m/2; odd m is symmetric.
    """
    return (*(np.arange(m) - m // 2 for m in kept[:-1]), np.arange(kept[-1]))


def weight_window(stored: Sequence[int], kept: Sequence[int], *, centered: bool = False) -> tuple[slice, ...]:
    """Return the part of weights for `stored` modes that acts on `kept` ones: about the center, on the last from 0.

    With `centered` the last axis is as the others: its modes have both signs.
    """
    windows = [slice(s // 2 - k // 2, s // 2 - k // 2 + k) for s, k in zip(stored, kept)]
    return tuple(windows) if centered else (*windows[:-1], slice(0, kept[-1]))


def column_weights(grid: Sequence[int], kept: Sequence[int], dtype: Any) -> np.ndarray:
    """Return c_k, the weight of a column of the half spectrum in a real field: 1 for k = 0 and N/2, 2 otherwise."""
    weights = np.full(kept[-1], 2, dtype)
    weights[0] = 1
    if kept[-1] - 1 == grid[-1] / 2:
        weights[-1] = 1
    return weights
