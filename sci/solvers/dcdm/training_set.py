"""The training set of deep conjugate directions: random right-hand sides from the Ritz vectors of a Lanczos run."""

from __future__ import annotations

import numpy as np

from sci.arguments import Real, entry
from sci.errors import InvalidValueError

__all__ = ["ritz_right_hand_sides"]

WEIGHT = 9.0
"""Factor of the coefficients of the lower Ritz vectors."""


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
        Number of right-hand sides.
    lower : float
        Part of the vectors that counts as lower: 0.55 is m / 2 + 500 of the paper's m = 10,000; 0.6 is the choice of
        later work with m = 1,600.
    seed : int
        Of the random vectors.
    dtype : dtype

    Returns
    -------
    (count, n) array

    Raises
    ------
    InvalidValueError

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
