"""Equiangular basis vectors: fixed class directions with small cosines, and the classification head that they make."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.linalg import eigh

from sci.arguments import Real, entry
from sci.backend import as_finite, namespace, to_host
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.nn.core.tape import value_of
from sci.nn.ops.arithmetic import divide, multiply, power
from sci.nn.ops.products import linear
from sci.nn.ops.reductions import sum as sum_over

__all__ = ["coherence", "equiangular_logits", "equiangular_vectors", "welch_bound"]

_SMALL = 32
"""Numbers of vectors up to which restarts from a descent are cheap."""


@entry
def welch_bound(n: int, d: int) -> float:
    """Return the least largest |cosine| of n vectors in d dimensions: sqrt((n - d) / (d (n - 1))), 0 for n <= d.

    Parameters
    ----------
    n, d : int

    Returns
    -------
    float
        Attained only by equiangular tight frames, which exist for few n and d.

    Raises
    ------
    InvalidValueError

    References
    ----------
    Welch, IEEE Trans. Inf. Theory 20, 397 (1974).

    Examples
    --------
    >>> from sci.nn import welch_bound
    >>> round(welch_bound(6, 3), 6)
    0.447214
    """
    if n < 1 or d < 1:
        raise InvalidValueError(f"n {n}, d {d}; expected positive numbers")
    return math.sqrt((n - d) / (d * (n - 1))) if n > d else 0.0


@entry
def coherence(vectors: Real) -> float:
    """Return the largest |cosine| between two rows.

    Parameters
    ----------
    vectors : (n, d) array
        Not zero.

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import coherence
    >>> round(coherence(np.array([[1.0, 0.0], [1.0, 1.0]])), 6)
    0.707107
    """
    rows = as_finite(to_host(vectors), "vectors", shape=(None, None)).astype(float)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if len(rows) < 2 or not lengths.all():
        raise InvalidValueError(f"vectors of shape {rows.shape}; expected at least two, none of them zero")
    return _largest(_gram(rows / lengths))


@entry
def equiangular_vectors(n: int, d: int, *, below: float | None = None, seed: int = 0, maxiter: int = 300) -> np.ndarray:
    """Return n unit vectors in d dimensions whose cosines are small in modulus.

    The Gram matrix goes back and forth between those with |entries| <= mu off the diagonal and those of rank d, from
    which the vectors are read.

    Parameters
    ----------
    n, d : int
    below : float, optional
        Largest |cosine| that is asked for; as small as found unless given.
    seed : int
    maxiter : int
        Iterations of a run.

    Returns
    -------
    (n, d) float64 array
        Exactly orthogonal to rounding for n <= d.

    Raises
    ------
    ConvergenceError
        If `below` is not reached.
    InvalidValueError
        Also for `below` under the Welch bound.

    Notes
    -----
    An eigenvalue problem of n x n an iteration. A run may end in a local minimum, so that up to 32 vectors there are
    20, every second one from a descent of the p-norm of the cosines: the equiangular tight frames of (6, 3), (10, 5),
    (16, 6) and (28, 7) vectors are found. The sum of what exceeds a threshold, as in the paper, has many more minima.

    References
    ----------
    Shen, Sun and Wei, CVPR 2023, arXiv:2303.11637 (the head); Tropp, Dhillon, Heath and Strohmer, IEEE Trans. Inf.
    Theory 51, 188 (2005) (the iteration).

    Examples
    --------
    >>> from sci.nn import coherence, equiangular_vectors
    >>> round(coherence(equiangular_vectors(6, 3)), 5)
    0.44721
    """
    bound = welch_bound(n, d)
    if maxiter < 1:
        raise InvalidValueError(f"maxiter is {maxiter}; expected a positive number")
    if below is not None and not bound <= below <= 1:
        raise InvalidValueError(f"below is {below}; expected a number from the Welch bound, {bound:.6g}, to 1")
    rng = np.random.default_rng(seed)
    if n <= d:
        return np.linalg.qr(rng.standard_normal((d, n)))[0].T
    best: np.ndarray | None = None
    for run in range(20 if n <= _SMALL else 1):
        start = rng.standard_normal((n, d))
        start /= np.linalg.norm(start, axis=1, keepdims=True)
        if n <= _SMALL and run % 2:
            start = _descended(start)
        # A little room makes the two sets meet; the smallest coherence needs none where a tight frame exists.
        mu = bound if below is None else max(bound, 0.96 * below)
        found = _alternated(start, mu, maxiter if n > _SMALL else 10 * maxiter, below)
        if best is None or _largest(_gram(found)) < _largest(_gram(best)):
            best = found
        if _largest(_gram(best)) <= (bound * (1 + 1e-6) if below is None else below):
            break
    assert best is not None
    reached = _largest(_gram(best))
    if below is not None and reached > below:
        raise ConvergenceError(
            f"equiangular_vectors: {n} vectors in {d} dimensions with cosines up to {reached:.5g}, not {below:g}; "
            f"raise maxiter (now {maxiter}) or below, or give another seed"
        )
    return best


def _gram(unit: np.ndarray) -> np.ndarray:
    found = unit @ unit.T
    np.fill_diagonal(found, 0.0)
    return np.asarray(found)


def _largest(gram: np.ndarray) -> float:
    return float(max(gram.max(), -gram.min()))


def _alternated(vectors: np.ndarray, mu: float, maxiter: int, below: float | None) -> np.ndarray:
    """Return the best vectors of alternating projections, or the first whose cosines are small enough."""
    n, d = vectors.shape
    best, least, since = vectors, np.inf, 0
    for _ in range(maxiter):
        gram = _gram(vectors)
        largest = _largest(gram)
        since = 0 if largest < least * (1 - 1e-9) else since + 1
        if largest < least:
            best, least = vectors, largest
        if least <= (mu * (1 + 1e-7) if below is None else below) or since > 50:
            break
        np.clip(gram, -mu, mu, out=gram)
        np.fill_diagonal(gram, 1.0)
        values, basis = eigh(gram, subset_by_index=[n - d, n - 1])
        vectors = basis * np.sqrt(np.maximum(values, 0))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-300)
    return best


def _descended(vectors: np.ndarray) -> np.ndarray:
    """Return vectors after a descent with momentum of the p-norm of the cosines, p from 8 to 1e5."""
    speed = np.zeros_like(vectors)
    for p in np.geomspace(8, 1e5, 1500):
        gram = _gram(vectors)
        largest = _largest(gram)
        with np.errstate(divide="ignore", under="ignore"):
            weights = np.sign(gram) * np.exp((p - 1) * np.log(np.abs(gram) / largest))
        slope = weights @ vectors
        slope -= (slope * vectors).sum(axis=1, keepdims=True) * vectors
        size = math.sqrt((slope**2).sum() / len(vectors))
        speed = 0.9 * speed - (0.3 * largest / math.sqrt(p) / max(size, 1e-300)) * slope
        speed -= (speed * vectors).sum(axis=1, keepdims=True) * vectors
        vectors = vectors + speed
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


@entry
def equiangular_logits(features: Any, vectors: Real, *, temperature: float = 0.07) -> Any:
    """Return the cosines between features and class vectors over the temperature: logits for `cross_entropy`.

    Parameters
    ----------
    features : (m, d) variable or array
        Output of a network, of any length but zero.
    vectors : (n, d) array
        Unit vectors, one a class, as `equiangular_vectors` returns them; they are not trained.
    temperature : float

    Returns
    -------
    (m, n) variable or array

    Raises
    ------
    InvalidValueError, ShapeError

    References
    ----------
    Shen, Sun and Wei, CVPR 2023, arXiv:2303.11637, eq. 6.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.nn import equiangular_logits
    >>> equiangular_logits(np.array([[3.0, 4.0]]), np.eye(2), temperature=0.1).round(6)
    array([[6., 8.]])
    """
    value = value_of(features)
    if value.ndim != 2 or vectors.ndim != 2 or value.shape[1] != vectors.shape[1]:
        raise ShapeError(f"features {tuple(value.shape)}, vectors {tuple(vectors.shape)}; expected (m, d) and (n, d)")
    if not 0 < temperature < np.inf:
        raise InvalidValueError(f"temperature is {temperature}; expected a positive number")
    squares = sum_over(multiply(features, features), axis=1, keepdims=True)
    if not bool((value_of(squares) > 0).all()):
        raise InvalidValueError(
            "features hold a row of zeros, which has no direction; expected rows that do not vanish"
        )
    matrix = namespace(value, vectors).asarray(vectors, value.dtype) / value.dtype.type(temperature)
    return linear(divide(features, power(squares, exponent=0.5)), matrix)
