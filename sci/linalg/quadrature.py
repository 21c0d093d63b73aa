"""Quadratures by Lanczos' iteration: densities of eigenvalues, traces of functions, extremes, with their errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from sci.arguments import entry
from sci.backend import ArrayLike, as_finite
from sci.distributed import Comm, agreed, allreduce_max
from sci.errors import ConvergenceError, InvalidValueError
from sci.linalg.extremes import Extremes, extreme_eigenvalues
from sci.linalg.lanczos import eigen_of_tridiagonal

__all__ = ["LanczosQuadrature", "SpectralDensity", "TraceEstimate"]

Rule = tuple[np.ndarray, np.ndarray]
"""Nodes and weights of a quadrature; the weights add up to 1."""


@dataclass(frozen=True)
class TraceEstimate:
    """An estimate of the trace of a function of a matrix.

    Parameters
    ----------
    value : float
    standard_error : float
        Of the mean over the probes.
    truncation : float
        Change of the value by the last quarter of the steps. It tells what more steps would change only once they
        resolve the spectrum, which takes about sqrt(condition) of them for functions like the logarithm or 1 / x. For a
        log-determinant with a known lower bound of the eigenvalues it is a bound of what more steps would change.
    probes, steps : int

    Examples
    --------
    >>> from sci.linalg import TraceEstimate
    >>> TraceEstimate(3.0, 0.1, 1e-8, probes=16, steps=20).standard_error
    0.1
    """

    value: float
    standard_error: float
    truncation: float
    probes: int
    steps: int

    def __repr__(self) -> str:
        return (
            f"TraceEstimate({self.value:.8g} +- {self.standard_error:.2g} by {self.probes} probes, "
            f"{self.truncation:.1g} by {self.steps} steps)"
        )


@entry
@dataclass(frozen=True, eq=False)
class SpectralDensity:
    """The eigenvalues of a matrix as a weighted sum of points.

    Parameters
    ----------
    nodes : (k,) array
        Ascending.
    weights : (k,) array
        They add up to 1.
    size : int
        Number of eigenvalues.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import SpectralDensity
    >>> SpectralDensity(np.array([1.0, 2.0]), np.array([0.5, 0.5]), 10).size
    10
    """

    nodes: np.ndarray
    weights: np.ndarray
    size: int

    def __repr__(self) -> str:
        return f"SpectralDensity({self.size} eigenvalues from {self.nodes[0]:.4g} to {self.nodes[-1]:.4g})"

    def below(self, x: ArrayLike) -> np.ndarray:
        """Return the part of the eigenvalues up to x, with half of a node at x itself.

        Parameters
        ----------
        x : array

        Returns
        -------
        array of the shape of x, from 0 to 1

        Raises
        ------
        DTypeError, InvalidValueError
            Unless x holds finite real numbers.
        """
        ends = np.concatenate([[0.0], np.cumsum(self.weights)])
        left, right = (ends[np.searchsorted(self.nodes, as_finite(x, "x"), side=side)] for side in ("left", "right"))
        return np.asarray((left + right) / 2)

    def smoothed(self, x: ArrayLike, width: float) -> np.ndarray:
        """Return the density at x, every node widened to a Gaussian of standard deviation `width`; it integrates to 1.

        Parameters
        ----------
        x : (m,) array
        width : float
            In the unit of the eigenvalues.

        Returns
        -------
        (m,) array

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
            Unless x holds finite real numbers, and the width is positive.
        """
        if not width > 0:
            raise InvalidValueError(f"width is {width}; expected a positive number")
        z = (as_finite(x, "x", shape=(None,))[:, None] - self.nodes) / width
        return np.asarray(np.exp(-0.5 * z * z) @ self.weights / (width * np.sqrt(2 * np.pi)))


@dataclass(frozen=True, eq=False)
class LanczosQuadrature:
    """What Lanczos' iteration from several random vectors tells of the eigenvalues of a matrix.

    Parameters
    ----------
    coefficients : tuple of (alpha, beta)
        Diagonal (m,) and off-diagonal (m - 1,) of each probe; (m,) where the Krylov space ended, with a
        bound of the last beta at the end, which is 0 but for rounding.
    size : int
        Number of eigenvalues.
    weighted : bool
        True for M A, whose probes have the covariance A: every eigenvalue then weighs as much as it is large, and
        weights are divided by the nodes.
    moments : tuple of float
        Exact traces of A, A^2, ..., as far as they are known.
    comm : mpi4py communicator, optional

    Notes
    -----
    Every rank holds the same numbers. `trace` and `log_determinant` are collective over `comm`.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import lanczos_quadrature
    >>> diagonal = np.repeat([1.0, 2.0, 4.0], 100)
    >>> lanczos_quadrature(lambda v: diagonal * v, 300, probes=4)
    LanczosQuadrature(4 probes of 300 eigenvalues, 3 steps)
    """

    coefficients: tuple[Rule, ...]
    size: int
    weighted: bool = False
    moments: tuple[float, ...] = ()
    comm: Comm = None

    def __repr__(self) -> str:
        return f"LanczosQuadrature({len(self.coefficients)} probes of {self.size} eigenvalues, {self.steps} steps)"

    @property
    def steps(self) -> int:
        """Steps of the longest iteration."""
        return max(len(alpha) for alpha, _ in self.coefficients)

    def rules(self, part: float = 1.0) -> list[Rule]:
        """Return nodes and weights of each probe after a part of the steps; after all where the Krylov space ended."""
        found = []
        for alpha, beta in self.coefficients:
            ended = len(beta) == len(alpha)
            steps = len(alpha) if ended or part == 1 else max(1, min(round(part * len(alpha)), len(alpha) - 1))
            nodes, vectors = eigen_of_tridiagonal(alpha[:steps], beta[: steps - 1])
            weights = vectors[0] ** 2
            if self.weighted:
                if nodes[0] <= 0:
                    raise ConvergenceError(
                        f"M A has the Ritz value {nodes[0]:.3g}; expected A and M that are positive definite"
                    )
                weights = weights / nodes
            found.append((nodes, weights / weights.sum()))
        return found

    def density(self) -> SpectralDensity:
        """Return the distribution of the eigenvalues: the mean of the quadratures."""
        nodes, weights = (np.concatenate(parts) for parts in zip(*self.rules()))
        order = np.argsort(nodes)
        return SpectralDensity(nodes[order], weights[order] / len(self.coefficients), self.size)

    def extremes(self) -> Extremes:
        """Return the smallest and the largest Ritz value of all probes, with their errors."""
        return reduce(Extremes.merged, (extreme_eigenvalues(*one) for one in self.coefficients))

    def trace(self, function: Callable[[np.ndarray], np.ndarray]) -> TraceEstimate:
        """Return the trace of a function of the matrix; see `trace_of_function`.

        Parameters
        ----------
        function : callable
            f, of an array of eigenvalues; the same on all ranks.
        """
        rules, shorter = self.rules(), self.rules(0.75)
        with agreed(self.comm, "trace_of_function"):
            values, fewer = ([_values(function, nodes) for nodes, _ in which] for which in (rules, shorter))
        _require_one_function(np.concatenate(values), self.comm)
        fit = self._fit(rules, values)
        exact = self.size * fit[0] + sum(c * m for c, m in zip(fit[1:], self._scaled_moments(rules)))
        found, before = (
            exact + self.size * np.array([w @ (f - self._polynomial(fit, x, rules)) for (x, w), f in zip(which, of)])
            for which, of in ((rules, values), (shorter, fewer))
        )
        error = float(found.std(ddof=1) / np.sqrt(len(found))) if len(found) > 1 else float("nan")
        alone = any(len(alpha) == 1 > len(beta) for alpha, beta in self.coefficients)  # a single step tells nothing
        truncation = float("inf") if alone else float(abs(found.mean() - before.mean()))
        return TraceEstimate(float(found.mean()), error, truncation, len(found), self.steps)

    def log_determinant(self, lower: float | None = None) -> TraceEstimate:
        """Return the trace of the logarithm; see `log_determinant`.

        Parameters
        ----------
        lower : float, optional
            A positive number below all eigenvalues. The truncation is then a bound instead of the change by the last
            steps, but not of M A: for the logarithm Gauss's quadrature of a probe is too large, and Radau's with a node
            at `lower` too small (Golub and Meurant 2010, section 6.2).

        Raises
        ------
        InvalidValueError
            If `lower` is not positive.
        """
        estimate = self.trace(_logarithm)
        if lower is None or self.weighted:
            return estimate
        if not lower > 0:
            raise InvalidValueError(f"lower is {lower}; expected a positive number below all eigenvalues")
        above = (weights @ np.log(nodes) for nodes, weights in self.rules())
        below = (weights @ np.log(nodes) for nodes, weights in (_radau(*one, lower) for one in self.coefficients))
        gap = self.size * float(np.mean([a - b for a, b in zip(above, below)]))
        return replace(estimate, truncation=max(gap, 0.0))

    def _fit(self, rules: list[Rule], values: list[np.ndarray]) -> np.ndarray:
        """Return the polynomial nearest to f over the density, of as many powers as there are moments.

        What it explains of f has a trace that is known, and so no error: a control variate.
        """
        # A quadrature of m nodes is exact up to the power 2 m - 1, and gives the power's own trace of the probe.
        powers = min(len(self.moments), *(2 * len(nodes) - 1 for nodes, _ in rules))
        if powers < 1:
            return np.zeros(1)
        nodes, weights = (np.concatenate(parts) for parts in zip(*rules))
        root = np.sqrt(weights)
        matrix = np.vander(nodes / _largest_node(rules), powers + 1, increasing=True) * root[:, None]
        return np.asarray(np.linalg.lstsq(matrix, np.concatenate(values) * root, rcond=None)[0])

    def _scaled_moments(self, rules: list[Rule]) -> list[float]:
        scale = _largest_node(rules)
        return [moment / scale ** (k + 1) for k, moment in enumerate(self.moments)]

    def _polynomial(self, fit: np.ndarray, nodes: np.ndarray, rules: list[Rule]) -> np.ndarray:
        return np.asarray(np.polynomial.polynomial.polyval(nodes / _largest_node(rules), fit))


def _radau(alpha: np.ndarray, beta: np.ndarray, lower: float) -> Rule:
    """Return the rule of as many nodes of which one is `lower`; Gauss's rule where the Krylov space ended."""
    a, last = alpha.copy(), len(alpha) - 1
    if len(beta) == last and last > 0:
        pivot = a[0] - lower
        for k in range(1, last):
            pivot = a[k] - lower - beta[k - 1] ** 2 / pivot
        a[last] = lower + beta[last - 1] ** 2 / pivot
    elif len(beta) == last:
        a[last] = lower
    nodes, vectors = eigen_of_tridiagonal(a, beta[:last])
    # `lower` itself comes out with the rounding of the largest node.
    return np.maximum(nodes, lower), vectors[0] ** 2


def _logarithm(values: np.ndarray) -> np.ndarray:
    # Rounding leaves an eigenvalue of zero anywhere below this.
    if values.min() <= 1e-14 * np.abs(values).max():
        raise ConvergenceError(
            f"log_determinant: A has Ritz values from {values.min():.3g} to {values.max():.3g}; expected a matrix "
            "that is positive definite beyond rounding"
        )
    return np.asarray(np.log(values))


def _largest_node(rules: list[Rule]) -> float:
    """Return the size of the largest node, 1 for zeros alone."""
    return max(float(np.abs(nodes).max()) for nodes, _ in rules) or 1.0


def _values(function: Callable[[np.ndarray], np.ndarray], nodes: np.ndarray) -> np.ndarray:
    values = np.asarray(function(nodes), dtype=float)
    if values.shape != nodes.shape or not np.isfinite(values).all():
        raise InvalidValueError(f"function gives {values} at {nodes}; expected a finite number for each eigenvalue")
    return values


def _require_one_function(values: np.ndarray, comm: Comm) -> None:
    """Refuse a function whose values differ between ranks; processors may differ in the last digits."""
    if comm is None:
        return
    high, low = allreduce_max(np.stack([values, -values]), comm, checked=True) * np.array([[1.0], [-1.0]])
    apart = np.abs(high - low)
    if (apart > 1e-8 * max(float(np.abs(high).max()), float(np.abs(low).max()))).any():
        k = int(apart.argmax())
        raise InvalidValueError(
            f"trace_of_function: function differs between ranks: from {low[k]:.6g} to {high[k]:.6g} at one eigenvalue; "
            "expected the same on all ranks"
        )
