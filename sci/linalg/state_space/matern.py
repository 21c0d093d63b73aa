"""Matern processes as state space: exact transitions between points at any distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sci.arguments import entry
from sci.backend import as_finite
from sci.errors import InvalidValueError

__all__ = ["MaternChain", "matern_chain"]

_DIMENSIONS = {0.0: 0, 0.5: 1, 1.5: 2, 2.5: 3}
_STATIONARY = {1: [[1.0]], 2: [[1.0, 0.0], [0.0, 1.0]], 3: [[1, 0, -1 / 3], [0, 1 / 3, 0], [-1 / 3, 0, 1]]}
_DRIFT = {1: [[-1.0]], 2: [[0.0, 1.0], [-1.0, -2.0]], 3: [[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, -3.0, -3.0]]}
_DIFFUSION = {1: 2.0, 2: 4.0, 3: 16 / 3}
_FAR = 800.0
"""Scaled distance beyond which exp(-x) is 0."""
_NEAR = 2.0
"""Scaled distance below which P - A P A^T cancels."""
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)


@dataclass(frozen=True, eq=False)
class MaternChain:
    """Values of Matern processes of unit variance at ascending points. Made by `matern_chain`.

    The state of a process f of length scale l is (f, f'/lambda, f''/lambda^2), lambda = sqrt(2 smoothness) / l, cut to
    D entries. From point to point s_t = transition_t s_{t-1} + w, w ~ N(0, noise_t).

    Parameters
    ----------
    transition, noise : (n, B, R, D, D) float64 arrays
        Of B groups of R processes. The first transition is 0 and the first noise the stationary covariance.
    step : (n, B, R) float64 array
        Distance to the point before times lambda; 0 for the first point.
    is_independent : bool
        Whether values at different points are independent.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import matern_chain
    >>> matern_chain(np.linspace(0.0, 1.0, 5), np.full((1, 2), 0.3), 2.5)
    MaternChain(5 points, 1 x 2 processes, states of 3)
    """

    transition: np.ndarray
    noise: np.ndarray
    step: np.ndarray
    is_independent: bool

    def __repr__(self) -> str:
        n, groups, processes, dimension, _ = self.transition.shape
        return f"MaternChain({n} points, {groups} x {processes} processes, states of {dimension})"

    @property
    def drift(self) -> np.ndarray:
        """(D, D) derivative of the state by the scaled distance without noise: transition = expm(drift x)."""
        return np.array(_DRIFT[self.transition.shape[-1]])

    @property
    def noise_growth(self) -> np.ndarray:
        """(n, B, R, D, D) derivative of the noise by the logarithm of the distance."""
        dimension = self.transition.shape[-1]
        b = _impulse(self.step, dimension)
        growth = _DIFFUSION[dimension] * self.step * np.exp(-2 * self.step)
        return np.asarray(growth[..., None, None] * b[..., :, None] * b[..., None, :])


@entry
def matern_chain(points: np.ndarray, length_scales: np.ndarray, smoothness: float) -> MaternChain:
    """Return transitions and noises of Matern processes between ascending points.

    Parameters
    ----------
    points : (n,) float64
        Ascending; equal ones are allowed.
    length_scales : (B, R) float64
        Positive: l of each process, in the unit of the points.
    smoothness : {0, 0.5, 1.5, 2.5}
        nu of the Matern covariance; the process has ceil(nu) - 1 derivatives. With 0, values at different points are
        independent.

    Returns
    -------
    MaternChain

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Notes
    -----
    With x = lambda times the distance, A(x) = exp(F x) in closed form. Q(x) = P - A P A^T cancels for small x: there it
    is its integral, q int_0^x exp(-2 s) b(s) b(s)^T ds, by 12 Gauss-Legendre points: positive definite, and right to
    rounding.

    References
    ----------
    Hartikainen and Sarkka, MLSP 2010. The scaling of the states by lambda and the quadrature are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import matern_chain
    >>> chain = matern_chain(np.array([0.0, 2.0]), np.ones((1, 1)), 0.5)
    >>> bool(np.isclose(chain.transition[1, 0, 0, 0, 0], np.exp(-2.0)))
    True
    """
    if smoothness not in _DIMENSIONS:
        raise InvalidValueError(f"smoothness is {smoothness}; expected 0, 0.5, 1.5 or 2.5")
    points = as_finite(points, "points", shape=(None,))
    lengths = as_finite(length_scales, "length_scales", shape=(None, None))
    if lengths.size and lengths.min() <= 0:
        raise InvalidValueError(f"length_scales go down to {lengths.min():g}; expected positive numbers")
    if (np.diff(points) < 0).any():
        raise InvalidValueError("points do not ascend; sort them first")
    independent = smoothness == 0
    dimension = max(1, _DIMENSIONS[float(smoothness)])
    step: np.ndarray = np.zeros((len(points), *lengths.shape))
    if not independent:
        with np.errstate(over="ignore"):
            step[1:] = np.diff(points)[:, None, None] * ((2 * smoothness) ** 0.5 / lengths)
        step = np.minimum(step, _FAR)
    transition, noise = _transition(step, dimension), _noise(step, dimension)
    stop = len(points) if independent else 1
    transition[:stop], noise[:stop] = 0.0, _STATIONARY[dimension]
    return MaternChain(transition, noise, step, independent)


def _transition(x: np.ndarray, dimension: int) -> np.ndarray:
    """Return exp(F x)."""
    a: np.ndarray = np.empty((*x.shape, dimension, dimension))
    if dimension == 1:
        a[..., 0, 0] = 1.0
    elif dimension == 2:
        a[..., 0, 0], a[..., 0, 1] = 1 + x, x
        a[..., 1, 0], a[..., 1, 1] = -x, 1 - x
    else:
        half = x * x / 2
        a[..., 0, 0], a[..., 0, 1], a[..., 0, 2] = 1 + x + half, x + x * x, half
        a[..., 1, 0], a[..., 1, 1], a[..., 1, 2] = -half, 1 + x - x * x, x - half
        a[..., 2, 0], a[..., 2, 1], a[..., 2, 2] = half - x, x * x - 3 * x, 1 - 2 * x + half
    return np.asarray(a * np.exp(-x)[..., None, None])


def _impulse(s: np.ndarray, dimension: int) -> np.ndarray:
    """Return b(s), with exp(-s) b(s) the response of the state to an impulse at distance s."""
    one = np.ones_like(s)
    rows = {1: (one,), 2: (s, 1 - s), 3: (s * s / 2, s - s * s / 2, 1 - 2 * s + s * s / 2)}[dimension]
    return np.stack(rows, axis=-1)


def _noise(x: np.ndarray, dimension: int) -> np.ndarray:
    """Return the covariance of what is new after a scaled distance."""
    if dimension == 1:
        return np.asarray(-np.expm1(-2 * x)[..., None, None])
    a, stationary = _transition(x, dimension), np.array(_STATIONARY[dimension])
    noise: np.ndarray = stationary - a @ stationary @ np.swapaxes(a, -1, -2)
    near = x < _NEAR
    half = x[near][:, None] / 2
    s = half * (1 + _NODES)
    b = _impulse(s, dimension) * np.sqrt(_DIFFUSION[dimension] * half * _WEIGHTS * np.exp(-2 * s))[..., None]
    noise[near] = np.swapaxes(b, -1, -2) @ b
    return noise
