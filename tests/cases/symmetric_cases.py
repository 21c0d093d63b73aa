"""Matrices with chosen eigenvalues, and derivatives of functions of matrices in many digits."""

from __future__ import annotations

from typing import Any

import mpmath as mp
import numpy as np

FUNCTIONS: tuple[tuple[str, dict[str, float]], ...] = (
    ("sqrt", {}),
    ("inverse_sqrt", {}),
    ("log", {}),
    ("exp", {}),
    ("inverse", {}),
    ("power", {"exponent": 0.3}),
    ("power", {"exponent": -1.7}),
    ("power", {"exponent": 3.0}),
    ("rectify", {"threshold": 1.9}),
)
"""Every function, with the parameters that tests use."""

SPECTRA = {
    "apart": (0.5, 1.1, 2.0, 3.7),
    "pair": (0.5, 2.0, 2.0, 3.7),
    "triple": (2.0, 2.0, 2.0, 0.7),
    "identity": (1.5, 1.5, 1.5, 1.5),
    "near 1e-3": (1.5, 1.5015, 0.4, 3.0),
    "near 1e-6": (1.5, 1.5 + 1.5e-6, 0.4, 3.0),
    "near 1e-9": (1.5, 1.5 + 1.5e-9, 0.4, 3.0),
    "near 1e-12": (1.5, 1.5 + 1.5e-12, 0.4, 3.0),
    "near 1e-15": (1.5, 1.5 + 1.5e-15, 0.4, 3.0),
    "wide": (1e-3, 1.0, 1.0 + 1e-7, 1e3),
}


def rotation(n: int, seed: int = 0) -> np.ndarray:
    """Return an orthogonal matrix."""
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(n, n)))[0]


def with_spectrum(values: Any, seed: int = 0) -> np.ndarray:
    """Return a symmetric matrix with chosen eigenvalues, to rounding."""
    u = rotation(len(values), seed)
    matrix = (u * np.asarray(values)) @ u.T
    return (matrix + matrix.T) / 2


def symmetric(shape: tuple[int, ...], seed: int, dtype: Any = np.float64) -> np.ndarray:
    """Return random symmetric matrices."""
    x = np.random.default_rng(seed).normal(size=shape).astype(dtype)
    return (x + x.swapaxes(-1, -2)) / 2


def _exact_pair(name: str, p: float) -> tuple[Any, Any]:
    """Return a function of a number and its derivative."""
    if name == "exp":
        return mp.exp, mp.exp
    if name == "log":
        return mp.log, lambda x: 1 / x
    p = mp.mpf({"sqrt": 0.5, "inverse_sqrt": -0.5, "inverse": -1}.get(name, p))
    return lambda x: x**p, lambda x: p * x ** (p - 1)


def exact(matrix: np.ndarray, change: np.ndarray, name: str, exponent: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return f(A) and its derivative at A in the direction E, by plain quotients of differences in 80 digits."""
    with mp.workdps(80):
        f, slope = _exact_pair(name, exponent)
        x, u = mp.eigsy(mp.matrix(matrix.tolist()))
        n, inner = len(matrix), u.T * mp.matrix(change.tolist()) * u
        for i in range(n):
            for j in range(n):
                gap = x[i] - x[j]
                inner[i, j] *= (f(x[i]) - f(x[j])) / gap if abs(gap) > mp.mpf(10) ** -40 * abs(x[i]) else slope(x[i])
        values = u * mp.diag([f(v) for v in x]) * u.T
        both = (values, u * inner * u.T)
        return tuple(np.array([[float(v) for v in row] for row in m.tolist()]) for m in both)  # type: ignore[return-value]
