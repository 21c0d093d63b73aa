"""Random matrices as models of the difference between the curvature of a batch and that of all samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sci.arguments import entry
from sci.backend import ArrayLike, as_finite
from sci.errors import InvalidValueError

__all__ = ["BatchNoise", "WignerNoise", "WishartNoise"]


class BatchNoise(Protocol):
    """What a batch does to eigenvalues: the bulk that noise makes, and the outliers above it.

    Examples
    --------
    >>> from sci.nn import BatchNoise, WignerNoise
    >>> noise: BatchNoise = WignerNoise(100, 1.0)
    >>> float(noise.bulk_edge(25))
    4.0
    """

    def bulk_edge(self, batch_size: ArrayLike) -> np.ndarray:
        """Return the upper end of the bulk."""

    def threshold(self, batch_size: ArrayLike) -> np.ndarray:
        """Return the eigenvalue of all samples above which it stands out of the bulk of a batch."""

    def spike_shift(self, outlier: ArrayLike, batch_size: ArrayLike) -> np.ndarray:
        """Return the largest eigenvalue of a batch for an outlier of all samples."""

    def density(self, x: ArrayLike, batch_size: int) -> np.ndarray:
        """Return the density of the bulk."""


def _sizes(batch_size: ArrayLike, samples: int | None = None) -> np.ndarray:
    sizes = as_finite(batch_size, "batch_size")
    if sizes.size and not (sizes.min() >= 1 and (samples is None or sizes.max() <= samples)):
        raise InvalidValueError(
            f"batch_size from {sizes.min():g} to {sizes.max():g}; expected 1 or more"
            + ("" if samples is None else f", at most the {samples} samples")
        )
    return np.asarray(sizes)


def _outliers(outlier: ArrayLike) -> np.ndarray:
    values = np.asarray(as_finite(outlier, "outlier"))
    if values.size and not values.min() > 0:
        raise InvalidValueError(f"an outlier of {values.min():g}; expected positive eigenvalues")
    return values


def _require_positive(**numbers: float) -> None:
    for name, number in numbers.items():
        if not 0 < number < np.inf:
            raise InvalidValueError(f"{name} is {number}; expected a positive number")


@entry
@dataclass(frozen=True)
class WignerNoise:
    """The Hessian of a batch as that of all samples plus a symmetric matrix of independent entries.

    With c = P s^2 (1/b - 1/N) for P parameters, entry variance s^2 of one sample, batch size b and N samples, drawn
    without replacement, the noise has a semicircle of radius 2 sqrt(c) as its bulk. An eigenvalue l of all samples
    appears in the batch at l + c / l where l > sqrt(c), and else is lost in the bulk.

    Parameters
    ----------
    size : int
        P, the number of parameters.
    variance : float
        s^2.
    samples : int, optional
        N; infinitely many unless given.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    A model of Hessians whose noise has no preferred direction. Batches of real data do: see `batch_curvature`, which
    measures the noise where it matters, in the direction of the outlier.

    References
    ----------
    Granziol, Zohren and Roberts, J. Mach. Learn. Res. 23 (173), 2022; Benaych-Georges and Nadakuditi, Adv. Math. 227,
    494 (2011).

    Examples
    --------
    >>> from sci.nn import WignerNoise
    >>> noise = WignerNoise(1500, 1.0)
    >>> noise.spike_shift([3.0, 0.6], 500).round(3)
    array([4.   , 3.464])
    """

    size: int
    variance: float
    samples: int | None = None

    def __post_init__(self) -> None:
        _require_positive(size=self.size, variance=self.variance)
        if self.samples is not None:
            _require_positive(samples=self.samples)

    def spread(self, batch_size: ArrayLike) -> np.ndarray:
        """Return c = P s^2 (1/b - 1/N), the mean squared length of the noise times a unit vector."""
        sizes = _sizes(batch_size, self.samples)
        return np.asarray(self.size * self.variance * (1 / sizes - (1 / self.samples if self.samples else 0.0)))

    def bulk_edge(self, batch_size: ArrayLike) -> np.ndarray:
        """Return the radius of the semicircle, 2 sqrt(c)."""
        return np.asarray(2 * np.sqrt(self.spread(batch_size)))

    def threshold(self, batch_size: ArrayLike) -> np.ndarray:
        """Return sqrt(c), the eigenvalue of all samples above which it stands out."""
        return np.asarray(np.sqrt(self.spread(batch_size)))

    def spike_shift(self, outlier: ArrayLike, batch_size: ArrayLike) -> np.ndarray:
        """Return the place of an outlier of all samples in the spectrum of a batch, broadcast."""
        value, c = np.broadcast_arrays(_outliers(outlier), self.spread(batch_size))
        return np.asarray(np.where(value**2 > c, value + c / value, 2 * np.sqrt(c)))

    def density(self, x: ArrayLike, batch_size: int) -> np.ndarray:
        """Return the density of the bulk at x; it integrates to 1."""
        c = float(self.spread(batch_size))
        if c == 0:
            raise InvalidValueError("a batch of all samples has no noise; expected a smaller batch_size")
        return np.asarray(np.sqrt(np.maximum(4 * c - as_finite(x, "x") ** 2, 0)) / (2 * np.pi * c))


@entry
@dataclass(frozen=True)
class WishartNoise:
    """The Gauss-Newton matrix of a batch as a sample covariance: a mean of squares of random rows.

    The rows have covariance s in all directions but those of a few outliers. With g = P / (r b) for P parameters, r
    rows per sample and batch size b, the bulk follows Marchenko and Pastur from s (1 - sqrt(g))^2 to s (1 + sqrt(g))^2,
    and P - r b eigenvalues are 0 where g > 1. An eigenvalue l of the covariance appears at l (1 + g s / (l - s)) where
    l > s (1 + sqrt(g)), and else is lost in the bulk.

    Parameters
    ----------
    size : int
        P, the number of parameters.
    variance : float
        s, the eigenvalue of the covariance outside of the outliers.
    rows : int
        r, rows of the square root of the curvature per sample: the number of outputs.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    For infinitely many samples. Place an outlier that was measured over N samples by `covariance_of(value, N)` first.

    References
    ----------
    Granziol, Zohren and Roberts, J. Mach. Learn. Res. 23 (173), 2022; Baik and Silverstein, J. Multivar. Anal. 97, 1382
    (2006).

    Examples
    --------
    >>> from sci.nn import WishartNoise
    >>> noise = WishartNoise(300, 1.0)
    >>> noise.spike_shift([20.0, 1.5], 300).round(4)
    array([21.0526,  4.    ])
    """

    size: int
    variance: float
    rows: int = 1

    def __post_init__(self) -> None:
        _require_positive(size=self.size, variance=self.variance, rows=self.rows)

    def ratio(self, batch_size: ArrayLike) -> np.ndarray:
        """Return g = P / (r b)."""
        return np.asarray(self.size / (self.rows * _sizes(batch_size)))

    def bulk_edge(self, batch_size: ArrayLike) -> np.ndarray:
        """Return the upper end of the bulk, s (1 + sqrt(g))^2."""
        return np.asarray(self.variance * (1 + np.sqrt(self.ratio(batch_size))) ** 2)

    def threshold(self, batch_size: ArrayLike) -> np.ndarray:
        """Return s (1 + sqrt(g)), the eigenvalue of the covariance above which it stands out."""
        return np.asarray(self.variance * (1 + np.sqrt(self.ratio(batch_size))))

    def spike_shift(self, outlier: ArrayLike, batch_size: ArrayLike) -> np.ndarray:
        """Return the place of an outlier of the covariance in the spectrum of a batch, broadcast."""
        value, g = np.broadcast_arrays(_outliers(outlier), self.ratio(batch_size))
        s = self.variance
        above = value > s * (1 + np.sqrt(g))
        shifted = value * (1 + g * s / np.where(above, value - s, 1.0))
        return np.asarray(np.where(above, shifted, s * (1 + np.sqrt(g)) ** 2))

    def covariance_of(self, value: ArrayLike, batch_size: ArrayLike) -> np.ndarray:
        """Return the eigenvalue of the covariance that appears at `value` in a batch: the inverse of `spike_shift`.

        Raises
        ------
        InvalidValueError
            For a value that is not above the bulk, where nothing is known but that it is below the threshold.
        """
        found, g = np.broadcast_arrays(_outliers(value), self.ratio(batch_size))
        edge = self.bulk_edge(batch_size)
        if not (found > edge).all():
            raise InvalidValueError(
                f"values of {found.min():g} with a bulk up to {edge.max():g}; expected values above it"
            )
        half = (found + self.variance * (1 - g)) / 2
        return np.asarray(half + np.sqrt(half**2 - found * self.variance))

    def density(self, x: ArrayLike, batch_size: int) -> np.ndarray:
        """Return the density of the bulk at x; it integrates to min(1, 1 / g), the rest being zeros."""
        s, g, at = self.variance, float(self.ratio(batch_size)), as_finite(x, "x")
        low, high = s * (1 - np.sqrt(g)) ** 2, s * (1 + np.sqrt(g)) ** 2
        inside = (at > low) & (at < high)
        place = np.where(inside, at, 1.0)
        root = np.sqrt(np.where(inside, (high - at) * (at - low), 0.0))
        return np.asarray(root / (2 * np.pi * g * s * place))
