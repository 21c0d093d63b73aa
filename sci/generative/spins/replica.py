"""Replica-symmetric theory of dense memories that learn from examples: overlaps, retrieval curves, phase diagrams."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from scipy.special import erf

from sci.arguments import Computed, entry
from sci.errors import ConvergenceError, InvalidValueError
from sci.generative.spins.memory import dataset_entropy, require_order, require_quality

__all__ = ["ReplicaSymmetric", "phase_diagram", "replica_symmetric", "retrieval_curve"]

Distribution = Literal["binomial", "gaussian"]
_MAXITER = 20_000
_FROZEN = 1e4
_LOST = 1e-3
_ENTRIES = 1 << 20
"""Values of tanh at once: cold means of many examples would fill the memory."""


@dataclass(frozen=True)
class ReplicaSymmetric:
    """A solution of the replica-symmetric equations for one retrieved archetype.

    Parameters
    ----------
    magnetization : float
        m, the overlap with the archetype.
    overlap : float
        n, with the stored psi.
    edwards_anderson : float
        q, the mean square of the local magnetizations.
    response : float
        beta (1 - q), finite at T = 0.

    Examples
    --------
    >>> from sci.generative import replica_symmetric
    >>> replica_symmetric(4, 3.0, quality=0.5, examples=12)
    ReplicaSymmetric(m 0.8020, n 0.8241, q 0.7210)
    """

    magnetization: float
    overlap: float
    edwards_anderson: float
    response: float

    def __repr__(self) -> str:
        return f"ReplicaSymmetric(m {self.magnetization:.4f}, n {self.overlap:.4f}, q {self.edwards_anderson:.4f})"

    @property
    def retrieved(self) -> bool:
        """Whether the archetype is found at all."""
        return self.overlap > _LOST


@dataclass(frozen=True)
class _Examples:
    """The stored value psi of a spin whose archetype is +1: points with weights, or a Gaussian."""

    points: np.ndarray
    weights: np.ndarray
    mean: float
    variance: float

    @classmethod
    def of(cls, quality: float, examples: int, distribution: Distribution) -> _Examples:
        rho = dataset_entropy(quality, examples)
        if distribution == "gaussian":
            return cls(np.empty(0), np.empty(0), 1 / math.sqrt(1 + rho), rho / (1 + rho))
        count = np.arange(examples + 1)
        weights = scipy.stats.binom.pmf(count, examples, (1 + quality) / 2)
        root = math.sqrt(quality**2 + (1 - quality**2) / examples)
        kept = weights > 0
        return cls((2 * count / examples - 1)[kept] / root, weights[kept], 0.0, 0.0)

    def averages(self, gain: float, noise: float, beta: float) -> tuple[float, float, float, float]:
        """Return m, n, q and the response for local fields gain psi + sqrt(noise) z."""
        if len(self.points):
            sign, square, slope = _of_field(gain * self.points, math.sqrt(noise), beta)
            m, n = float(self.weights @ sign), float(self.weights @ (self.points * sign))
            return m, n, float(self.weights @ square), float(self.weights @ slope)
        spread = math.sqrt(gain**2 * self.variance + noise)
        sign, square, slope = _of_field(np.array([gain * self.mean]), spread, beta)
        m, response = float(sign[0]), float(slope[0])
        return m, self.mean * m + gain * self.variance * response, float(square[0]), response


def _of_field(mean: np.ndarray, spread: float, beta: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the means of tanh(beta x), of its square and of its slope, for Gaussian x.

    The trapezoidal rule has an error of exp(-36) where its step is a small part of the distance of tanh's poles; as
    beta grows the means tend to erf and a density, with a relative error of 1 / (beta spread)^2.
    """
    if spread == 0 or beta == 0:
        if math.isinf(beta):
            return np.sign(mean), np.sign(mean) ** 2, np.zeros_like(mean)
        up = np.tanh(beta * mean)
        return up, up**2, beta * (1 - up**2)
    sharp = beta * spread
    if sharp > _FROZEN:
        density = np.exp(-0.5 * (mean / spread) ** 2) / (spread * math.sqrt(2 * math.pi))
        slope = 2 * density
        return erf(mean / (spread * math.sqrt(2))), 1 - slope / beta, slope
    step = min(0.25, math.pi**2 / (36 * sharp))
    z = np.arange(-8.5, 8.5 + step, step)
    weights = np.exp(-0.5 * z**2)
    weights /= weights.sum()
    few, parts = max(1, _ENTRIES // len(z)), []
    for first in range(0, len(mean), few):
        up = np.tanh(beta * (mean[first : first + few, None] + spread * z))
        parts.append((up @ weights, up**2 @ weights, beta * ((1 - up**2) @ weights)))
    sign, square, slope = (np.concatenate(part) for part in zip(*parts))
    return sign, square, slope


def _noise_of_pairs(spread: _Examples, gain: float, load: float, beta: float, near: float) -> float:
    """Return the noise v of P = 2 for a gain: the root of sqrt(v) (1 - response) = sqrt(load q).

    Steps of v itself would cross the pole at a response of 1, where v is too small and not retrieval lost. The left
    side grows with v, and is positive for large ones; without a root down to 1e-24 `load` the noise is 0.
    """

    def missing(log_v: float) -> float:
        _, _, q, response = spread.averages(gain, math.exp(log_v), beta)
        return math.exp(0.5 * log_v) * (1 - response) - math.sqrt(load * q)

    width, low, high = 0.1, math.log(near), math.log(near)
    while missing(high) < 0:
        low, high, width = high, high + width, 2 * width
    least = math.log(load) - 55
    while low > least and missing(low) >= 0:
        low, high, width = low - width, low, 2 * width
    if low <= least or low == high:
        return 0.0 if low <= least else near
    return math.exp(float(scipy.optimize.brentq(missing, low, high, xtol=1e-13, rtol=1e-13)))


def _check(order: int, beta: float, quality: float, examples: int, load: float) -> None:
    require_order(order)
    require_quality(quality, examples)
    if not beta >= 0 or not 0 <= load < math.inf:
        raise InvalidValueError(f"beta {beta}, load {load}; expected numbers of 0 or more, and a finite load")


@entry
def replica_symmetric(
    order: int,
    beta: Computed,
    *,
    quality: float = 1.0,
    examples: int = 1,
    load: float = 0.0,
    distribution: Distribution = "binomial",
    start: float = 1.0,
    tol: float = 1e-10,
) -> ReplicaSymmetric:
    """Solve the replica-symmetric equations by iteration from an overlap.

    m = E tanh(beta x), n = E psi tanh(beta x), q = E tanh^2(beta x), with the local field x = n^(P-1) psi + sqrt(v) z,
    z Gaussian, and v = alpha (P - 1)! q^(P-1) the noise of K = alpha N^(P-1) other patterns; for P = 2 it is
    alpha q / (1 - beta (1 - q))^2.

    Parameters
    ----------
    order : int
        P, 2 to 6.
    beta : float
        Inverse temperature, 0 to infinity.
    quality : float
        r in (0, 1] of the examples.
    examples : int
        M of each class.
    load : float
        alpha = K / N^(P - 1); 0 for few patterns.
    distribution : "binomial" or "gaussian"
        Of psi: of M examples exactly, or for large M.
    start : float
        The overlap n to start from: 1 for the state of retrieval, where there is one.
    tol : float
        Largest change of n and q in the last step, above 0.

    Returns
    -------
    ReplicaSymmetric
        m = n = 0 where retrieval is lost; q is then that of the spin glass, or 0.

    Raises
    ------
    InvalidValueError
    ConvergenceError
        If 20,000 steps are not enough: at a temperature where retrieval is just being lost.

    Notes
    -----
    At T = 0 means are error functions: Gauss-Hermite rules would be wrong by 1e-2 there.

    References
    ----------
    E. Agliari et al., "Dense Hebbian neural networks: a replica symmetric picture of supervised learning", Physica A
    626, 129076 (2023); E. Gardner, J. Phys. A 20, 3453 (1987), for the noise of couplings of P spins; D. J. Amit,
    H. Gutfreund and H. Sompolinsky, Ann. Phys. 173, 30 (1987), for P = 2.

    Examples
    --------
    >>> import math
    >>> from sci.generative import replica_symmetric
    >>> found = replica_symmetric(4, math.inf, quality=0.5, examples=12, distribution="gaussian")
    >>> abs(found.magnetization - math.erf(1 / math.sqrt(2 * 0.25))) < 1e-12
    True
    """
    _check(order, beta, quality, examples, load)
    if not 0 <= start <= 2 or not tol > 0:
        raise InvalidValueError(f"start {start}, tol {tol}; expected an overlap from 0 to 2 and a positive tolerance")
    if load and order % 2:
        raise InvalidValueError(f"order is {order} at a load of {load}; expected an even order, as theory has it")
    spread = _Examples.of(quality, examples, distribution)
    n, q, noise = start, 1.0, 0.0
    for _ in range(_MAXITER):
        gain = n ** (order - 1)
        if load and order == 2:
            noise = _noise_of_pairs(spread, gain, load, beta, noise or load)
        elif load:
            noise = load * math.factorial(order - 1) * q ** (order - 1)
        m, new, square, response = spread.averages(gain, noise, beta)
        change, n, q = abs(new - n) + (abs(square - q) if load else 0.0), new, square
        if n < 1e-9 and not load:
            return ReplicaSymmetric(0.0, 0.0, 0.0, beta)
        if change < tol:
            return ReplicaSymmetric(m, n, q, response) if n > 1e-9 else ReplicaSymmetric(0.0, 0.0, q, response)
    raise ConvergenceError(
        f"replica_symmetric: n changes by {change:.1e} after {_MAXITER} steps at beta {beta}; expected a temperature "
        "that is further from the loss of retrieval, or a larger tol"
    )


@entry
def retrieval_curve(
    order: int,
    betas: Sequence[float],
    *,
    quality: float = 1.0,
    examples: int = 1,
    load: float = 0.0,
    distribution: Distribution = "binomial",
) -> np.ndarray:
    """Follow the state of retrieval from the coldest temperature to the warmest, each from the one before.

    For P > 2 retrieval is lost in a jump, at a temperature where the state with m = 0 is stable too: an iteration that
    starts elsewhere finds that state. Where a colder temperature has no state of retrieval, the iteration starts from
    n = 1: near the largest load the replica-symmetric state is there at some warmth, and not at T = 0.

    Parameters
    ----------
    order, quality, examples, load, distribution
        As in `replica_symmetric`.
    betas : sequence of float
        In any order.

    Returns
    -------
    (len(betas),) float64 array
        m, in the order of `betas`; 0 beyond the loss.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.generative import retrieval_curve
    >>> retrieval_curve(4, [1.5, 2.0, 2.5, 3.0]).round(3)
    array([0.   , 0.   , 0.983, 0.995])
    """
    found, start = np.zeros(len(betas)), 1.0
    for k in np.argsort(-np.asarray(betas, dtype=float), kind="stable"):
        try:
            solved = replica_symmetric(
                order,
                float(betas[k]),
                quality=quality,
                examples=examples,
                load=load,
                distribution=distribution,
                start=start,
                tol=1e-9,
            )
        except ConvergenceError:  # at the loss itself
            start = 1.0
            continue
        found[k] = solved.magnetization if solved.retrieved else 0.0
        start = min(1.0, 1.02 * solved.overlap) if solved.retrieved else 1.0
    return found


@entry
def phase_diagram(
    order: int,
    temperatures: Sequence[float],
    loads: Sequence[float],
    *,
    quality: float = 1.0,
    examples: int = 1,
    distribution: Distribution = "binomial",
) -> np.ndarray:
    """Return the overlap of retrieval over temperature and load.

    Parameters
    ----------
    order, quality, examples, distribution
        As in `replica_symmetric`.
    temperatures, loads : sequence of float
        T of 0 or more, alpha of 0 or more.

    Returns
    -------
    (len(temperatures), len(loads)) float64 array
        m, 0 where no state of retrieval is left.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Each column is a `retrieval_curve`: where retrieval is lost in a jump, the border is that of the last state that
    retrieves, not of equal free energies.

    Examples
    --------
    >>> from sci.generative import phase_diagram
    >>> phase_diagram(2, [0.0, 0.5, 1.2], [0.01, 0.05, 0.2]).round(2)
    array([[1.  , 1.  , 0.  ],
           [0.95, 0.9 , 0.  ],
           [0.  , 0.  , 0.  ]])
    """
    given = np.asarray(temperatures, dtype=float)
    if not len(given) or not len(loads) or not (given >= 0).all():
        raise InvalidValueError(f"temperatures {temperatures}, loads {loads}; expected numbers of 0 or more")
    with np.errstate(divide="ignore"):
        betas = np.where(given > 0, 1 / given, math.inf).tolist()
    columns = [
        retrieval_curve(order, betas, quality=quality, examples=examples, load=float(load), distribution=distribution)
        for load in loads
    ]
    return np.stack(columns, axis=1)
