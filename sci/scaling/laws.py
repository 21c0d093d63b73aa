"""Power laws of a loss with a limit, the optimum of two terms at given operations, and the frontier of curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.arguments import Real, entry
from sci.backend import as_finite
from sci.errors import InvalidValueError, ShapeError

__all__ = ["ComputeOptimum", "PowerLaw", "compute_optimum", "frontier"]


@entry
@dataclass(frozen=True)
class PowerLaw:
    """L(x) = limit + sum_k amplitude_k (x_k / reference_k)^-exponent_k.

    Parameters
    ----------
    limit : float
        What no x removes; for a log-likelihood the entropy of the source.
    amplitudes : (k,) floats
        Reducible loss at the references, in the unit of the loss.
    exponents : (k,) floats
        Positive.
    references : (k,) floats
        Values of x; any will do, and those in the middle of the data keep the amplitudes free of the exponents.

    Raises
    ------
    InvalidValueError, ShapeError

    References
    ----------
    Henighan et al., arXiv:2010.14701, eq. 1.1; Hoffmann et al., arXiv:2203.15556, eq. 2 (two terms).

    Examples
    --------
    >>> from sci.scaling import PowerLaw
    >>> law = PowerLaw(2.0, (1.0,), (0.5,), (100.0,))
    >>> law(400.0), round(law.inverse(2.25), 6)
    (2.5, 1600.0)
    """

    limit: float
    amplitudes: Sequence[float]
    exponents: Sequence[float]
    references: Sequence[float]

    def __post_init__(self) -> None:
        counts = {len(self.amplitudes), len(self.exponents), len(self.references)}
        if len(counts) != 1 or 0 in counts:
            raise ShapeError(
                f"{len(self.amplitudes)} amplitudes, {len(self.exponents)} exponents, {len(self.references)} "
                "references; expected as many of each, at least one"
            )
        if min(self.limit, *self.amplitudes) < 0 or min(*self.exponents, *self.references) <= 0:
            raise InvalidValueError(
                f"{self}; expected a limit and amplitudes from 0, positive exponents and references"
            )

    def __repr__(self) -> str:
        terms = zip(self.amplitudes, self.references, self.exponents)
        return (
            " + ".join([f"PowerLaw({self.limit:.6g}", *(f"{a:.4g} (x / {r:.4g})^-{p:.4g}" for a, r, p in terms)]) + ")"
        )

    def __call__(self, *x: float | Real) -> float | np.ndarray:
        """Return the loss at x, one argument a term; arrays broadcast."""
        if len(x) != len(self.exponents):
            raise ShapeError(f"{len(x)} arguments for a law of {len(self.exponents)} terms; expected one a term")
        values = [positive(v, f"x{k}") for k, v in enumerate(x)]
        terms = zip(self.amplitudes, values, self.references, self.exponents)
        total = self.limit + sum(a * (v / r) ** -p for a, v, r, p in terms)
        return float(total) if np.ndim(total) == 0 else np.asarray(total)

    def inverse(self, loss: float) -> float:
        """Return the x of a law of one term at which the loss is reached; infinite at the limit and below."""
        if len(self.exponents) != 1:
            raise InvalidValueError(f"a law of {len(self.exponents)} terms reaches a loss on a line; expected one term")
        if loss <= self.limit or self.amplitudes[0] == 0:
            return float("inf")
        log_x = np.log(self.amplitudes[0] / (loss - self.limit)) / self.exponents[0]
        with np.errstate(over="ignore"):
            return float(self.references[0] * np.exp(log_x))


def positive(values: float | Real, name: str) -> np.ndarray:
    """Return positive finite numbers as float64, or refuse them by name."""
    array = as_finite(np.asarray(values, dtype=float), name)
    if array.size and array.min() <= 0:
        raise InvalidValueError(f"{name} holds {array.min():g}; expected positive numbers")
    return np.asarray(array)


@entry
@dataclass(frozen=True)
class ComputeOptimum:
    """The model size and the number of samples that reach the least loss for given operations.

    Parameters
    ----------
    size, samples, loss : float

    Examples
    --------
    >>> from sci.scaling import ComputeOptimum
    >>> ComputeOptimum(1e9, 2e10, 2.2).samples
    20000000000.0
    """

    size: float
    samples: float
    loss: float

    def __repr__(self) -> str:
        return f"ComputeOptimum(size {self.size:.4g}, samples {self.samples:.4g}, loss {self.loss:.6g})"


@entry
def compute_optimum(law: PowerLaw, operations: float, *, factor: float = 6.0) -> ComputeOptimum:
    """Return size N and samples D with factor N D = operations at which a law of two terms, of N and of D, is least.

    With L = limit + A N^-a + B D^-b the size is N = (a A / (b B))^(1/(a+b)) (operations / factor)^(b/(a+b)).

    Parameters
    ----------
    law : PowerLaw
        Of two terms: size first, samples second.
    operations : float
    factor : float
        Operations a parameter and sample; 6 for a dense network trained by back-propagation.

    Returns
    -------
    ComputeOptimum

    Raises
    ------
    InvalidValueError

    References
    ----------
    Hoffmann et al., arXiv:2203.15556, eq. 4.

    Examples
    --------
    >>> from sci.scaling import PowerLaw, compute_optimum
    >>> law = PowerLaw(1.69, (406.4, 410.7), (0.34, 0.28), (1.0, 1.0))
    >>> compute_optimum(law, 1e20)
    ComputeOptimum(size 6.449e+08, samples 2.585e+10, loss 2.59985)
    """
    if len(law.exponents) != 2 or min(law.amplitudes) == 0:
        raise InvalidValueError(f"{law}; expected a law of two terms, both of them positive")
    if not (operations > 0 and factor > 0):
        raise InvalidValueError(f"operations {operations}, factor {factor}; expected positive numbers")
    (a, b), (first, second) = law.exponents, law.amplitudes
    # In logarithms: size^(a + b) = (a A / (b B)) (C / factor)^b with the references in A and B.
    log_first = np.log(first) + a * np.log(law.references[0])
    log_second = np.log(second) + b * np.log(law.references[1])
    log_product = np.log(operations) - np.log(factor)
    log_size = (np.log(a / b) + log_first - log_second + b * log_product) / (a + b)
    size, samples = float(np.exp(log_size)), float(np.exp(log_product - log_size))
    return ComputeOptimum(size, samples, float(law(size, samples)))


@entry
def frontier(operations: Real, loss: Real) -> np.ndarray:
    """Return the points of learning curves that no other point beats with fewer operations, by rising operations.

    Parameters
    ----------
    operations, loss : (n,) arrays
        Of all curves together.

    Returns
    -------
    (m,) int64 array
        Indices; the losses there fall strictly.

    Raises
    ------
    InvalidValueError, ShapeError, DTypeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.scaling import frontier
    >>> frontier(np.array([1.0, 2.0, 3.0, 4.0]), np.array([3.0, 2.0, 2.5, 1.0]))
    array([0, 1, 3])
    """
    cost, values = positive(operations, "operations"), np.asarray(as_finite(loss, "loss"), dtype=float)
    if cost.ndim != 1 or cost.shape != values.shape or not cost.size:
        raise ShapeError(f"operations {cost.shape} and loss {values.shape}; expected one axis of equal length")
    order = np.lexsort((values, cost))
    least = np.minimum.accumulate(values[order])
    keep = np.concatenate([[True], least[1:] < least[:-1]])
    return np.asarray(order[keep], dtype=np.int64)
