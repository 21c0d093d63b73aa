"""The training set of deep conjugate directions: random right-hand sides from the Ritz vectors of a Lanczos run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array
from sci.errors import InvalidValueError

__all__ = ["lanczos", "ritz_right_hand_sides", "ritz_vectors"]

SMALLEST = 1e-8
"""Ritz values below are dropped."""
WEIGHT = 9.0
"""Factor of the coefficients of the lower Ritz vectors."""


@entry
def lanczos(
    apply: Callable[[Array], Array], n: int, steps: int, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run Lanczos' iteration with full re-orthogonalization from A times a normal random vector.

    Parameters
    ----------
    apply : callable
        The product of a symmetric matrix with a vector (n,).
    n : int
    steps : int
        At most n; fewer are made where the Krylov space ends.
    seed : int

    Returns
    -------
    basis : (m, n) float64
        Orthonormal rows.
    alpha, beta : (m,), (m - 1,) float64
        Diagonal and off-diagonal of the tridiagonal matrix.

    Notes
    -----
    4 m^2 n flops, m n numbers and five vectors: 3.4 GB and 1.3e12 flops at 64^3 with 1600 steps.
    """
    if not 1 <= steps <= n:
        raise InvalidValueError(f"{steps} Lanczos steps for {n} unknowns; expected from 1 to {n}")
    basis = np.empty((steps, n))
    alpha, beta = np.empty(steps), np.empty(steps)
    v = apply(np.random.default_rng(seed).normal(size=n))
    start = np.linalg.norm(v)
    v = v / start
    for k in range(steps):
        basis[k] = v
        w = apply(v)
        alpha[k] = w @ v
        # Twice is enough: the first pass leaves errors of the size of what it removes times the rounding unit.
        for _ in range(2):
            w = w - basis[: k + 1].T @ (basis[: k + 1] @ w)
        beta[k] = np.linalg.norm(w)
        if beta[k] <= 1e-12 * abs(alpha[: k + 1]).max():
            return basis[: k + 1], alpha[: k + 1], beta[:k]
        v = w / beta[k]
    return basis, alpha, beta[:-1]


@entry
def ritz_vectors(basis: np.ndarray, alpha: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Ritz values above 1e-8, ascending, and their vectors (m, n)."""
    tridiagonal = np.diag(alpha) + np.diag(beta, 1) + np.diag(beta, -1)
    values, vectors = np.linalg.eigh(tridiagonal)
    kept = values >= SMALLEST
    return values[kept], vectors[:, kept].T @ basis


@entry
def ritz_right_hand_sides(
    vectors: Real, count: int, *, lower: float = 0.55, seed: int = 0, dtype: type = np.float32
) -> np.ndarray:
    """Return random unit vectors with weight on the lower part of the spectrum.

        b = sum over j of c_j v_j / ||.||,   c_j normal, times 9 for the lower Ritz vectors

    Parameters
    ----------
    vectors : (m, n) array
        Orthonormal Ritz vectors, their values ascending.
    count : int
    lower : float
        Part of the vectors that counts as lower: 0.55 is m / 2 + 500 of the paper's m = 10,000; 0.6 is the choice of
        later work with m = 1,600.
    seed : int
    dtype : dtype

    Returns
    -------
    (count, n) array

    References
    ----------
    Kaneda et al. 2023, section 5.2.
    """
    if count < 1 or not 0 <= lower <= 1:
        raise InvalidValueError(f"count {count} and lower {lower}; expected a positive number and a part from 0 to 1")
    coefficients = np.random.default_rng(seed).normal(size=(count, len(vectors)))
    coefficients[:, : round(lower * len(vectors))] *= WEIGHT
    coefficients /= np.linalg.norm(coefficients, axis=1, keepdims=True)
    return np.asarray(coefficients @ vectors, dtype=dtype)
