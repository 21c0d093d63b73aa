"""The training set of deep conjugate directions: random right-hand sides from the Ritz vectors of a Lanczos run."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.arguments import Real, entry
from sci.backend import Array, namespace, to_device
from sci.errors import InvalidValueError

__all__ = ["RitzSamples", "ritz_right_hand_sides"]

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
    _check(count, lower)
    coefficients = _unit(np.random.default_rng(seed).normal(size=(count, len(vectors))), lower)
    return np.asarray(coefficients @ vectors, dtype=dtype)


@entry
class RitzSamples:
    """A training set of `ritz_right_hand_sides` of which only the Ritz vectors are held, not the samples.

    Sample k is a function of the seed and of k. `len(samples)` is its size and `samples[indices]` a batch, as
    `sci.nn.train` and `DeepConjugateDirection.train` read it.

    Parameters
    ----------
    vectors : (m, n) array
        Orthonormal Ritz vectors, their values ascending; on the device of the training.
    count : int
        Number of samples; 20,000 in the paper.
    lower : float
        Part of the vectors that counts as lower.
    seed : int

    Raises
    ------
    InvalidValueError

    Notes
    -----
    A batch of B costs B m n multiplications and reads the vectors once. 20,000 samples at 32^3 would take 2.6 GB;
    1,000 vectors take 0.13 GB in float32.

    References
    ----------
    Kaneda et al. 2023, section 5.2.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import RitzSamples
    >>> samples = RitzSamples(np.eye(4, 6), 20_000)
    >>> samples
    RitzSamples(20000 right-hand sides of 6 unknowns from 4 vectors)
    >>> samples[np.array([7, 19_999])].shape
    (2, 6)
    """

    def __init__(self, vectors: Real, count: int, *, lower: float = 0.55, seed: int = 0) -> None:
        _check(count, lower)
        self.vectors, self.count, self.lower, self.seed = vectors, int(count), lower, int(seed)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, indices: Any) -> Array:
        numbers, xp = np.atleast_1d(indices), namespace(self.vectors)
        m = len(self.vectors)
        random = [np.random.default_rng([self.seed, k]).normal(size=m) for k in numbers.tolist()]
        coefficients = _unit(np.array(random).reshape(-1, m), self.lower)
        return to_device(coefficients.astype(self.vectors.dtype), xp) @ self.vectors

    def __repr__(self) -> str:
        m, n = self.vectors.shape
        return f"RitzSamples({self.count} right-hand sides of {n} unknowns from {m} vectors)"


def _check(count: int, lower: float) -> None:
    if count < 1 or not 0 <= lower <= 1:
        raise InvalidValueError(f"count {count} and lower {lower}; expected a positive number and a part from 0 to 1")


def _unit(coefficients: np.ndarray, lower: float) -> np.ndarray:
    """Return rows of unit length with weight on their first part."""
    coefficients[:, : round(lower * coefficients.shape[1])] *= WEIGHT
    coefficients /= np.linalg.norm(coefficients, axis=1, keepdims=True)
    return coefficients
