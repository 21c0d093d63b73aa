"""Theory of data pruning: the error of a perceptron that is taught only the hardest part of its data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy
from scipy.special import ndtr, ndtri

from sci.arguments import entry
from sci.errors import ConvergenceError, InvalidValueError

__all__ = ["PerceptronError", "perceptron_error"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(400)
_LOWEST = -9.0
"""Where the Gaussian measure is cut: 1e-19 of it lies below."""


@entry
@dataclass(frozen=True)
class PerceptronError:
    """Generalization of the max-margin perceptron.

    Parameters
    ----------
    error : float
        Probability of a wrong label, arccos(overlap) / pi.
    overlap : float
        Cosine between student and teacher.
    margin : float
        Smallest distance of a training point to the decision plane, in units of the data's deviation.

    Examples
    --------
    >>> from sci.scaling import PerceptronError
    >>> PerceptronError(0.25, 0.7071, 0.3).error
    0.25
    """

    error: float
    overlap: float
    margin: float

    def __repr__(self) -> str:
        return f"PerceptronError({self.error:.5g}, overlap {self.overlap:.5g}, margin {self.margin:.4g})"


@entry
def perceptron_error(alpha: float, fraction: float = 1.0) -> PerceptronError:
    """Return the error of a student that is taught the hardest `fraction` of Gaussian data, alpha kept points a weight.

    A teacher labels points x ~ N(0, 1) of N dimensions by the sign of T x; of all points those with the smallest |T x|
    are kept, alpha N of them, and the student separates them with the largest margin, for N to infinity.

    Parameters
    ----------
    alpha : float
        Kept points over dimensions.
    fraction : float
        Kept points over all points, in (0, 1].

    Returns
    -------
    PerceptronError

    Raises
    ------
    ConvergenceError, InvalidValueError

    Notes
    -----
    With H the upper tail of the Gaussian measure Dt, gamma = H^-1((1 - f) / 2), s = sqrt(1 - R^2), the overlap R and
    the margin kappa solve R = 2 alpha / (f sqrt(2 pi) s) int^kappa Dt exp(-R^2 t^2 / 2 s^2)
    [1 - exp(-gamma (gamma - 2 R t) / 2 s^2)] (kappa - t) and
    1 - R^2 = (2 alpha / f) int^kappa Dt [H(-R t / s) - H((gamma - R t) / s)] (kappa - t)^2. The solution is followed
    from f = 1 down to the given fraction.

    References
    ----------
    Sorscher et al., NeurIPS 2022, arXiv:2206.14486, section 2 (the equations here are derived from the cavity field).

    Examples
    --------
    >>> from sci.scaling import perceptron_error
    >>> round(perceptron_error(2.0).error, 4), round(perceptron_error(2.0, 0.3).error, 4)
    (0.1885, 0.1123)
    """
    if not (0 < alpha < np.inf and 0 < fraction <= 1):
        raise InvalidValueError(f"alpha {alpha}, fraction {fraction}; expected alpha > 0 and 0 < fraction <= 1")
    unknowns, at = _whole(alpha), 1.0
    step = 0.8
    while at > fraction:
        towards = max(fraction, at * step)
        found = scipy.optimize.root(_residual, unknowns, args=(alpha, towards), tol=1e-12)
        if np.abs(found.fun).max() < 1e-9:
            unknowns, at = found.x, towards
        elif step > 0.999:
            raise ConvergenceError(
                f"perceptron_error: no solution at fraction {towards:.4g} for alpha {alpha:g}; the last one was found "
                f"at {at:.4g}"
            )
        else:
            step = step**0.5
    sine = float(np.sqrt(-np.expm1(2 * -np.logaddexp(0, -unknowns[0]))))
    overlap = float(1 / (1 + np.exp(-unknowns[0])))
    return PerceptronError(float(np.arctan2(sine, overlap) / np.pi), overlap, float(np.exp(unknowns[1])))


def _whole(alpha: float) -> np.ndarray:
    """Return logit R and log kappa for all data, from the first of a few starts that leads to them."""
    for start in ((0.0, 0.0), (1.0, -0.5), (3.0, -2.0), (5.0, -3.0), (-2.0, 1.0), (7.0, -5.0)):
        found = scipy.optimize.root(_residual, np.array(start), args=(alpha, 1.0), tol=1e-12)
        if np.abs(found.fun).max() < 1e-9:
            return np.asarray(found.x)
    raise ConvergenceError(f"perceptron_error: no solution found for alpha {alpha:g}")


def _residual(unknowns: np.ndarray, alpha: float, fraction: float) -> np.ndarray:
    """Return the residuals of the two equations, relative to their right sides."""
    with np.errstate(over="ignore", under="ignore"):
        overlap, margin = 1 / (1 + np.exp(-unknowns[0])), np.exp(min(unknowns[1], 50.0))
        sine = np.sqrt(max(1 - overlap**2, 1e-300))
        cut = -ndtri((1 - fraction) / 2) if fraction < 1 else np.inf
        half = (margin - _LOWEST) / 2
        t = (_NODES + 1) * half + _LOWEST
        measure = _WEIGHTS * half * np.exp(-t * t / 2) / np.sqrt(2 * np.pi)
        lost = np.exp(np.minimum(-cut * (cut - 2 * overlap * t) / (2 * sine**2), 50.0)) if np.isfinite(cut) else 0.0
        first = measure @ (np.exp(-((overlap * t / sine) ** 2) / 2) * (1 - lost) * (margin - t))
        shell = ndtr(overlap * t / sine) - (ndtr((overlap * t - cut) / sine) if np.isfinite(cut) else 0.0)
        second = measure @ (shell * (margin - t) ** 2)
    return np.array(
        [
            2 * alpha / (fraction * np.sqrt(2 * np.pi) * sine) * first / overlap - 1,
            2 * alpha / fraction * second / sine**2 - 1,
        ]
    )
