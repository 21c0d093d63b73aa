"""Cached matrices of cosines and sines: truncated Fourier transforms as matrix products."""

from __future__ import annotations

import functools
import math
from types import ModuleType

import numpy as np

from sci.backend import Array, device_number, namespace, to_device
from sci.operators.spectral.modes import column_weights

__all__ = ["wave_matrix"]


@functools.lru_cache(maxsize=256)
def _circle(n: int, rows: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Return cos and sin of 2 pi k j / n for k < rows, j < n, exact at multiples of a quarter turn."""
    steps = np.outer(np.arange(rows), np.arange(n)) % n
    angle = 2 * math.pi * np.arange(n) / n
    cosine, sine = np.cos(angle), np.sin(angle)
    quarters = 4 * np.arange(n)
    cosine[quarters % (2 * n) == n] = 0
    sine[quarters % (2 * n) == 0] = 0
    return cosine[steps].astype(dtype), sine[steps].astype(dtype)


@functools.lru_cache(maxsize=256)
def _matrix(kind: str, n: int, modes: int, dtype: str, xp: ModuleType, device: int) -> Array:
    """Return the matrix of `wave_matrix`, made once for each size, dtype and device."""
    if kind in ("analysis", "synthesis"):
        cosine, sine = _circle(n, modes, dtype)
        rows = np.stack([cosine, -sine], axis=1).reshape(2 * modes, n)
        weights = np.repeat(column_weights((n,), (modes,), dtype), 2)
        rows = rows.T / n if kind == "analysis" else rows * weights[:, None]
    elif kind.endswith("waves"):
        cosine, sine = _circle(n, n, dtype)
        rows = (cosine + 1j * sine)[:, (np.arange(modes) - modes // 2) % n]
        rows, dtype = rows / n if kind.startswith("counted") else rows, np.result_type(dtype, np.complex64).name
    else:
        cosine, sine = _circle(n, modes // 2 + 1, dtype)
        rows = np.concatenate([cosine, sine[1:]])
        rows = rows / n if kind == "fold" else rows.T
    return to_device(np.ascontiguousarray(rows.astype(dtype)), xp)


def wave_matrix(kind: str, n: int, modes: int, like: Array) -> Array:
    """Return a matrix of cosines and sines of the dtype and on the device of `like`, cached.

    Parameters
    ----------
    kind : "analysis", "synthesis", "fold", "unfold", "waves" or "counted waves"
        "analysis" (n, 2 modes): columns cos/n, -sin/n in turn. "synthesis" (2 modes, n): rows c cos, -c sin in turn.
        "fold" (2q+1, n) with q = modes // 2: rows cos/n of 0..q, then sin/n of 1..q. "unfold" (n, 2q+1): the same,
        times n. "waves" (n, modes): exp(2 pi i k j / n) for the k of `wavenumbers`; "counted waves": the same over n.
    n, modes : int
        Points and wavenumbers.
    like : real array
    """
    xp = namespace(like)
    device = device_number(like)
    return _matrix(kind, n, modes, np.dtype(like.dtype).name, xp, device)
