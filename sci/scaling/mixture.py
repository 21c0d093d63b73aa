"""Mixtures of data sources: performance from the transport between a mixture and what it is tested on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sci.arguments import Real, entry
from sci.backend import as_finite, to_host
from sci.ensembles import sinkhorn
from sci.errors import InvalidValueError, ShapeError
from sci.progress import progress

__all__ = ["MixturePredictor", "extrapolate", "fit_mixture"]


@entry
@dataclass(frozen=True, eq=False)
class MixturePredictor:
    """Performance of a model trained on a mixture of sources, as a quadratic form of the ratios and the transport.

    Parameters
    ----------
    sources : sequence of (n_k, d) arrays
        Pilot samples of each source.
    validation : (m, d) array
        What the model is tested on.
    coefficients : (2 p,) array
        Of the p monomials of degree 2 in all ratios but the last, and of the same times the transport.
    residual : float
        Root mean square of the performances that were fitted, about the fit.
    reg : float
        Regularization of the transport, in the unit of the squared distance.

    References
    ----------
    Kang et al., Performance scaling via optimal transport, NeurIPS 2023, arXiv:2307.02460, section 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.scaling import fit_mixture
    >>> rng = np.random.default_rng(0)
    >>> near, far = rng.normal(size=(40, 2)), rng.normal(size=(40, 2)) + 3
    >>> ratios = np.array([[q, 1 - q] for q in np.linspace(0.1, 0.9, 8)])
    >>> fit = fit_mixture([near, far], rng.normal(size=(50, 2)), ratios, 0.6 + 0.3 * ratios[:, 0])
    >>> round(fit.predict([0.35, 0.65]), 6)
    0.705
    """

    sources: Sequence[Real]
    validation: Real
    coefficients: Real
    residual: float
    reg: float

    def __repr__(self) -> str:
        return (
            f"MixturePredictor({len(self.sources)} sources, {len(self.validation)} validation points, residual "
            f"{self.residual:.2g})"
        )

    def transport(self, ratios: Sequence[float] | Real) -> tuple[float, np.ndarray]:
        """Return the cost of transport of the mixture to the validation points, and its derivative by the ratios.

        The derivative is up to a constant: the ratios add up to 1.
        """
        q = _ratio(ratios, len(self.sources))
        return _transport(self.sources, self.validation, q, self.reg)

    def predict(self, ratios: Sequence[float] | Real) -> float:
        """Return the performance of a mixture.

        Parameters
        ----------
        ratios : (K,) floats
            From 0, with sum 1.

        Raises
        ------
        InvalidValueError, ShapeError, ConvergenceError
        """
        q = _ratio(ratios, len(self.sources))
        return float(_features(q, self.transport(ratios)[0]) @ self.coefficients)

    def gradient(self, ratios: Sequence[float] | Real) -> np.ndarray:
        """Return the derivative of the performance by the ratios, with sum zero: along the plane of sum 1."""
        q = _ratio(ratios, len(self.sources))
        cost, by_ratio = self.transport(ratios)
        monomials, slopes = _monomials(q), _slopes(q)
        p = len(monomials)
        plain, carried = self.coefficients[:p], self.coefficients[p:]
        found = (plain + cost * carried) @ slopes + (carried @ monomials) * by_ratio
        return np.asarray(found - found.mean())

    def best(self, start: Sequence[float] | Real | None = None, *, steps: int = 100) -> np.ndarray:
        """Return ratios at which the prediction is largest, by ascent with projection on the simplex.

        Parameters
        ----------
        start : (K,) floats, optional
            Equal ratios unless given.
        steps : int

        Returns
        -------
        (K,) array
            A local maximum; it is the global one where the prediction is concave.
        """
        k = len(self.sources)
        q = np.full(k, 1 / k) if start is None else _ratio(start, k)
        value, length = self.predict(q), 0.25
        for _ in range(steps):
            slope = self.gradient(q)
            size = float(np.abs(slope).max())
            if size == 0:
                break
            trial = _on_simplex(q + length * slope / size)
            reached = self.predict(trial)
            if reached > value:
                q, value, length = trial, reached, min(0.5, 1.5 * length)
            elif length < 1e-6:
                break
            else:
                length /= 3
        return q


@entry
def fit_mixture(
    sources: Sequence[Real],
    validation: Real,
    ratios: Real,
    performance: Real,
    *,
    reg: float | None = None,
    labels: Sequence[Real] | None = None,
    validation_labels: Real | None = None,
    label_cost: float = 0.0,
) -> MixturePredictor:
    """Fit performances measured at a few ratios of sources: linear least squares in OT(q) poly_2(q) + poly_2(q).

    Parameters
    ----------
    sources : sequence of (n_k, d) arrays
        Pilot samples; a sample of source k has weight q_k / n_k.
    validation : (m, d) array
    ratios : (r, K) array
        From 0, each row with sum 1.
    performance : (r,) array
        Accuracy, or any other number of models trained on these mixtures, of one size of the training set.
    reg : float, optional
        Regularization of the transport; a fiftieth of the mean squared distance unless given.
    labels : sequence of (n_k,) integer arrays, optional
        Classes of the samples.
    validation_labels : (m,) integers, optional
    label_cost : float
        Added to the squared distance of points of different classes.

    Returns
    -------
    MixturePredictor

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError
        Also for fewer ratios than features, K (K + 1).
    ConvergenceError
        Of the transport.

    Notes
    -----
    The transport is solved anew for every ratio, in its prediction too.

    References
    ----------
    Kang et al., arXiv:2307.02460.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.scaling import fit_mixture
    >>> rng = np.random.default_rng(0)
    >>> one, two = rng.normal(size=(30, 2)), rng.normal(size=(30, 2)) + 2
    >>> ratios = np.array([[q, 1 - q] for q in np.linspace(0.1, 0.9, 7)])
    >>> fit_mixture([one, two], rng.normal(size=(30, 2)), ratios, ratios[:, 0] ** 2)
    MixturePredictor(2 sources, 30 validation points, residual ...)
    """
    points = [as_finite(to_host(s), f"sources[{k}]", shape=(None, None)).astype(float) for k, s in enumerate(sources)]
    tested = as_finite(to_host(validation), "validation", shape=(None, None)).astype(float)
    if len(points) < 2 or len({p.shape[1] for p in (*points, tested)}) != 1 or 0 in map(len, (*points, tested)):
        raise ShapeError(
            f"sources of shapes {[p.shape for p in points]} and validation of shape {tested.shape}; expected at least "
            "two sources with points, all of one dimension"
        )
    if (labels is None) != (validation_labels is None) or (labels is None and label_cost):
        raise InvalidValueError("labels, validation_labels and label_cost go together; give all three or none")
    if labels is not None and validation_labels is not None:
        points, tested = _with_labels(points, tested, labels, validation_labels, label_cost)
    mixed, values = np.asarray(ratios, dtype=float), as_finite(np.asarray(performance), "performance").astype(float)
    features = len(points) * (len(points) + 1)
    if mixed.ndim != 2 or values.shape != (len(mixed),) or len(mixed) < features:
        raise ShapeError(
            f"ratios of shape {mixed.shape}, performance of shape {values.shape}; expected (r, {len(points)}) and (r,) "
            f"with r at least {features}"
        )
    mixed = np.stack([_ratio(q, len(points)) for q in mixed])
    strength = _default_reg(points, tested) if reg is None else reg
    rows = [
        _features(q, _transport(points, tested, q, strength)[0])
        for q in progress(mixed, "transport of mixtures", total=len(mixed))
    ]
    matrix = np.stack(rows)
    scale = np.abs(matrix).max(axis=0)
    coefficients = np.linalg.lstsq(matrix / scale, values, rcond=1e-10)[0] / scale
    residual = float(np.sqrt(((matrix @ coefficients - values) ** 2).mean()))
    return MixturePredictor(points, tested, coefficients, residual, strength)


def _with_labels(
    points: list[np.ndarray], tested: np.ndarray, labels: Sequence[Real], of_tested: Real, cost: float
) -> tuple[list[np.ndarray], np.ndarray]:
    """Append coordinates of the classes, so that different classes are sqrt(cost) further apart."""
    if cost < 0:
        raise InvalidValueError(f"label_cost is {cost}; expected a number from 0")
    given = [np.asarray(v) for v in (*labels, of_tested)]
    if len(labels) != len(points) or any(v.shape != (len(p),) for v, p in zip(given, (*points, tested))):
        raise ShapeError(f"labels of shapes {[v.shape for v in given]}; expected one label a point")
    classes = np.unique(np.concatenate(given))
    extended = [
        np.concatenate([p, np.sqrt(cost / 2) * (v[:, None] == classes)], axis=1)
        for p, v in zip((*points, tested), given)
    ]
    return extended[:-1], extended[-1]


def _default_reg(points: list[np.ndarray], tested: np.ndarray) -> float:
    together = np.concatenate(points)
    distance = float(((together - tested.mean(axis=0)) ** 2).sum(axis=1).mean() + tested.var(axis=0).sum())
    if distance == 0:
        raise InvalidValueError("all points are the same; expected points that differ")
    return 0.02 * distance


def _ratio(ratios: Sequence[float] | Real, k: int) -> np.ndarray:
    q = as_finite(np.asarray(ratios, dtype=float), "ratios")
    if q.shape != (k,):
        raise ShapeError(f"ratios of shape {q.shape}; expected ({k},)")
    if q.min() < 0 or abs(q.sum() - 1) > 1e-9:
        raise InvalidValueError(f"ratios from {q.min():g} with sum {q.sum():.12g}; expected ratios from 0 with sum 1")
    return np.asarray(q)


def _transport(points: Sequence[np.ndarray], tested: np.ndarray, q: np.ndarray, reg: float) -> tuple[float, np.ndarray]:
    weights = np.concatenate([np.full(len(p), share / len(p)) for p, share in zip(points, q)])
    found = sinkhorn(np.concatenate(points), tested, reg, a=weights / weights.sum(), maxiter=50_000)
    ends = np.cumsum([len(p) for p in points])[:-1]
    return found.value, np.array([part.mean() for part in np.split(found.f, ends)])


def _monomials(q: np.ndarray) -> np.ndarray:
    """Return 1, q_i and q_i q_j of all ratios but the last."""
    free = q[:-1]
    upper = np.triu_indices(len(free))
    return np.concatenate([[1.0], free, np.outer(free, free)[upper]])


def _slopes(q: np.ndarray) -> np.ndarray:
    """Return the derivatives of the monomials by all ratios, (p, K); those by the last are zero."""
    free = len(q) - 1
    rows, columns = np.triu_indices(free)
    found = np.zeros((1 + free + len(rows), free + 1))
    found[1 : 1 + free, :free] = np.eye(free)
    products = np.arange(len(rows)) + 1 + free
    found[products, rows] += q[columns]
    found[products, columns] += q[rows]
    return found


def _features(q: np.ndarray, cost: float) -> np.ndarray:
    monomials = _monomials(q)
    return np.concatenate([monomials, cost * monomials])


def _on_simplex(q: np.ndarray) -> np.ndarray:
    """Return the nearest point with entries from 0 and sum 1."""
    descending = np.sort(q)[::-1]
    over = (np.cumsum(descending) - 1) / np.arange(1, len(q) + 1)
    count = int((descending > over).sum())
    found = np.maximum(q - over[count - 1], 0)
    return np.asarray(found / found.sum())


@entry
def extrapolate(
    sizes: tuple[float, float], performance: tuple[float, float], n: float, *, map: Literal["log", "power"] = "log"
) -> float:
    """Return the performance at n samples from that at two smaller numbers.

    "log" is exact where the performance is linear in ln n; "power" where 1 - performance is a power of n.

    Parameters
    ----------
    sizes : (float, float)
        Numbers of samples, different.
    performance : (float, float)
        Measured or predicted there; below 1 for "power".
    n : float
    map : {"log", "power"}

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError

    Notes
    -----
    "log" grows without limit: it is for a factor of two or so.

    References
    ----------
    Kang et al., arXiv:2307.02460, eq. 5 ("log"); Hestness et al., arXiv:1712.00409 ("power").

    Examples
    --------
    >>> from sci.scaling import extrapolate
    >>> round(extrapolate((100.0, 200.0), (0.8, 0.85), 400.0), 6)
    0.9
    >>> round(extrapolate((100.0, 200.0), (0.8, 0.9), 400.0, map="power"), 6)
    0.95
    """
    (n0, n1), (p0, p1) = sizes, performance
    if not (min(n0, n1, n) > 0 and n0 != n1 and max(n0, n1, n) < np.inf):
        raise InvalidValueError(f"sizes {sizes}, n {n}; expected positive numbers, two different sizes")
    share = float(np.log(n / n0) / np.log(n1 / n0))
    if map == "log":
        return p0 + share * (p1 - p0)
    if not max(p0, p1) < 1:
        raise InvalidValueError(f"performance {performance}; expected numbers below 1 for a power of the error")
    return float(1 - (1 - p0) ** (1 - share) * (1 - p1) ** share)
