"""Stochastic Lanczos quadrature: densities of eigenvalues, traces of functions, log-determinants, with their errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh_tridiagonal

from sci.arguments import collective_entry
from sci.backend import Array, Device, namespace_of
from sci.distributed import Comm, agreed, rank_of
from sci.errors import ConvergenceError, InvalidValueError
from sci.linalg.lanczos import lanczos

__all__ = ["SpectralDensity", "TraceEstimate", "log_determinant", "spectral_density", "trace_of_function"]


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
        resolve the spectrum, which takes about sqrt(condition) of them for functions like the logarithm or 1 / x.
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

    def below(self, x: Array) -> np.ndarray:
        """Return the part of the eigenvalues up to x, with half of a node at x itself.

        Parameters
        ----------
        x : array

        Returns
        -------
        array of the shape of x, from 0 to 1
        """
        ends = np.concatenate([[0.0], np.cumsum(self.weights)])
        left, right = (ends[np.searchsorted(self.nodes, np.asarray(x), side=side)] for side in ("left", "right"))
        return np.asarray((left + right) / 2)

    def smoothed(self, x: Array, width: float) -> np.ndarray:
        """Return the density at x, every node widened to a Gaussian of standard deviation `width`; it integrates to 1.

        Parameters
        ----------
        x : (m,) array
        width : float
            In the unit of the eigenvalues.
        """
        if not width > 0:
            raise InvalidValueError(f"width is {width}; expected a positive number")
        z = (np.asarray(x)[:, None] - self.nodes) / width
        return np.asarray(np.exp(-0.5 * z * z) @ self.weights / (width * np.sqrt(2 * np.pi)))


@collective_entry
def spectral_density(
    apply: Callable[[Array], Array],
    n: int,
    *,
    probes: int = 10,
    steps: int = 40,
    seed: int = 0,
    device: Device = "cpu",
    comm: Comm = None,
) -> SpectralDensity:
    """Estimate the distribution of the eigenvalues of a symmetric matrix by stochastic Lanczos quadrature.

    Parameters
    ----------
    apply : callable
        The product of the matrix with a vector (n,).
    n : int
        Length of the rank's own part of a vector.
    probes : int
        Random vectors of +-1; the error falls as 1 / sqrt(probes n).
    steps : int
        Lanczos steps of each; they resolve features of about the width of the spectrum over the steps.
    seed : int
    device : {"cpu", "cuda"}
        Where the vectors lie.
    comm : mpi4py communicator, optional
        Each rank holds a part of the vectors, and `apply` is collective.

    Returns
    -------
    SpectralDensity

    Raises
    ------
    InvalidValueError

    Notes
    -----
    probes x steps products, three vectors: the three-term recurrence without re-orthogonalization, whose quadratures
    are as good. The probes do not depend on the number of ranks. Collective over `comm`.

    References
    ----------
    Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 1075 (2017); Golub and Meurant, Matrices, Moments and
    Quadrature (2010).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import spectral_density
    >>> diagonal = np.repeat([1.0, 2.0, 4.0], 100)
    >>> spectral_density(lambda v: diagonal * v, 300).below([1.5, 3.0]).round(6)
    array([0.333333, 0.666667])
    """
    rules, total = _rules(apply, n, probes, steps, seed, device, comm)
    nodes, weights = (np.concatenate(parts) for parts in zip(*(_nodes(*rule) for rule in rules)))
    order = np.argsort(nodes)
    return SpectralDensity(nodes[order], weights[order] / probes, total)


@collective_entry
def trace_of_function(
    apply: Callable[[Array], Array],
    n: int,
    function: Callable[[np.ndarray], np.ndarray],
    *,
    probes: int = 10,
    steps: int = 40,
    seed: int = 0,
    device: Device = "cpu",
    comm: Comm = None,
) -> TraceEstimate:
    """Estimate tr f(A) of a symmetric matrix by stochastic Lanczos quadrature.

    Parameters
    ----------
    apply : callable
        The product of A with a vector (n,).
    n : int
        Length of the rank's own part of a vector.
    function : callable
        f, of an array of eigenvalues.
    probes, steps, seed, device, comm
        As for `spectral_density`.

    Returns
    -------
    TraceEstimate

    Raises
    ------
    InvalidValueError
        Also where f gives NaN or Inf within the spectrum.

    Notes
    -----
    probes x steps products with A. Collective over `comm`.

    References
    ----------
    Ubaru, Chen and Saad, SIAM J. Matrix Anal. Appl. 38, 1075 (2017).

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import trace_of_function
    >>> diagonal = np.repeat([1.0, 2.0, 4.0], 100)
    >>> round(trace_of_function(lambda v: diagonal * v, 300, np.sqrt).value, 6)
    441.421356
    """
    rules, total = _rules(apply, n, probes, steps, seed, device, comm)
    whole, shorter = (np.array([_quadrature(function, a, b, part) for a, b in rules]) * total for part in (1.0, 0.75))
    error = float(whole.std(ddof=1) / np.sqrt(probes)) if probes > 1 else float("nan")
    truncation = float(abs(whole.mean() - shorter.mean()))
    return TraceEstimate(float(whole.mean()), error, truncation, probes, max(len(a) for a, _ in rules))


@collective_entry
def log_determinant(
    apply: Callable[[Array], Array],
    n: int,
    *,
    probes: int = 10,
    steps: int = 40,
    seed: int = 0,
    device: Device = "cpu",
    comm: Comm = None,
) -> TraceEstimate:
    """Estimate log det A = tr log A of a symmetric positive definite matrix; see `trace_of_function`.

    Parameters
    ----------
    apply : callable
        The product of A with a vector (n,).
    n : int
        Length of the rank's own part of a vector.
    probes, steps, seed, device, comm
        As for `spectral_density`.

    Returns
    -------
    TraceEstimate

    Raises
    ------
    ConvergenceError
        If A is not positive definite.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.linalg import log_determinant
    >>> diagonal = np.repeat([1.0, 2.0, 4.0], 100)
    >>> round(log_determinant(lambda v: diagonal * v, 300).value / float(np.log(2)), 6)
    300.0
    """

    def logarithm(values: np.ndarray) -> np.ndarray:
        # Rounding leaves an eigenvalue of zero anywhere below this.
        if values.min() <= 1e-14 * np.abs(values).max():
            raise ConvergenceError(
                f"log_determinant: A has Ritz values from {values.min():.3g} to {values.max():.3g}; expected a matrix "
                "that is positive definite beyond rounding"
            )
        return np.asarray(np.log(values))

    settings = {"probes": probes, "steps": steps, "seed": seed}
    return trace_of_function(apply, n, logarithm, **settings, device=device, comm=comm)


def _rules(
    apply: Callable[[Array], Array], n: int, probes: int, steps: int, seed: int, device: Device, comm: Comm
) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
    """Return alpha and beta of Lanczos' iteration from every probe, and the number of unknowns of all ranks."""
    with agreed(comm, "stochastic Lanczos quadrature") as agreement:
        agreement.same(probes=probes, steps=steps, seed=seed)
        agreement.gather(n)
        xp = namespace_of(device)
    counts = agreement.table[:, 0]
    total, first = int(counts.sum()), int(counts[: rank_of(comm)].sum())
    if probes < 1 or steps < 1 or total < 1:
        raise InvalidValueError(f"{probes} probes, {steps} steps, {total} unknowns; expected positive numbers")
    rules = []
    for probe in range(probes):
        start = xp.asarray(_signs(seed, probe, first, n))
        _, alpha, beta = lanczos(apply, n, min(steps, total), start=start, reorthogonalize=False, comm=comm)
        rules.append((alpha, beta))
    return rules, total


def _signs(seed: int, probe: int, first: int, n: int) -> np.ndarray:
    """Return n signs that depend on the number of the unknown alone: a hash of seed, probe and number (SplitMix64)."""
    state = np.random.SeedSequence([seed, probe]).generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):
        z = state + np.arange(first + 1, first + n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.where(z >> np.uint64(63), -1.0, 1.0)


def _nodes(alpha: np.ndarray, beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of the Gauss quadrature of a tridiagonal matrix."""
    values, vectors = eigh_tridiagonal(alpha, beta)
    return values, vectors[0] ** 2


def _quadrature(
    function: Callable[[np.ndarray], np.ndarray], alpha: np.ndarray, beta: np.ndarray, part: float
) -> float:
    """Return the quadrature of a function after a part of the steps."""
    steps = max(1, round(part * len(alpha)))
    nodes, weights = _nodes(alpha[:steps], beta[: steps - 1])
    values = np.asarray(function(nodes), dtype=float)
    if values.shape != nodes.shape or not np.isfinite(values).all():
        raise InvalidValueError(f"function gives {values} at {nodes}; expected a finite number for each eigenvalue")
    return float(weights @ values)
