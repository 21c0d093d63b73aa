"""Factors of a fitted model: Gaussian processes given messages, at the places of the entries and at any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.completion.axes import Axis, as_column
from sci.completion.functional.factors import points_of
from sci.errors import ShapeError
from sci.linalg import matern_chain, smooth

__all__ = ["FunctionalFactor"]


@entry
@dataclass(frozen=True, eq=False)
class FunctionalFactor:
    """F functions of one axis in each of B restarts: Matern processes given Gaussian messages at the n places.

    Parameters
    ----------
    axis : Axis
    smoothness : float
        Of the Matern covariance; 0 for independent values.
    lengths : (B, F) float64
        Length scales, in units of the range of the axis.
    variances : (B, F) float64
        Prior variances.
    precision : (n, B, F, F) float64
    information : (n, B, F) float64
        Messages exp(information^T f - f^T precision f / 2).

    Raises
    ------
    ShapeError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.completion import Axis, FunctionalFactor
    >>> axis, one = Axis("x", np.array([0.0, 1.0])), np.ones((1, 1))
    >>> f = FunctionalFactor(axis, 1.5, one, one, np.full((2, 1, 1, 1), 1e6), np.full((2, 1, 1), 1e6))
    >>> f
    FunctionalFactor(1 functions of x, 1 restarts, smoothness 1.5)
    >>> f.at(np.array([0.0, 0.5]))[0].ravel().round(3)
    array([1.   , 1.058])
    """

    axis: Axis
    smoothness: float
    lengths: np.ndarray
    variances: np.ndarray
    precision: np.ndarray
    information: np.ndarray

    def __post_init__(self) -> None:
        b, f = self.lengths.shape if self.lengths.ndim == 2 else (0, 0)
        wanted = {"variances": (b, f), "precision": (len(self.axis), b, f, f), "information": (len(self.axis), b, f)}
        for name, shape in wanted.items():
            if getattr(self, name).shape != shape or not b * f:
                raise ShapeError(f"{name} has shape {getattr(self, name).shape}; expected {shape}")

    def __repr__(self) -> str:
        b, f = self.lengths.shape
        return f"FunctionalFactor({f} functions of {self.axis.name}, {b} restarts, smoothness {self.smoothness:g})"

    def at(self, column: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the posterior at places of the axis.

        Parameters
        ----------
        column : (q,) numbers or str
            Anywhere, also outside of the range, where the processes return to their prior; a category has to be one of
            the observations.

        Returns
        -------
        mean : (q, B, F) float64 array
        covariance : (q, B, F, F) float64 array

        Notes
        -----
        The places are added to the chain without messages: the result is that of the dense Gaussian process. Costs as
        much as smoothing the n places and the different ones of the q.
        """
        column = as_column(column, self.axis.name, ordered=self.axis.is_ordered)
        if not self.axis.is_ordered:
            places, inverse = self.axis.places, self.axis.index_of(column)
            points = points_of(self.axis)
        else:
            places, inverse = np.unique(np.concatenate([self.axis.places, column]), return_inverse=True)
            inverse = inverse.ravel()[len(self.axis) :]
            points = points_of(self.axis, places)
        known = np.searchsorted(places, self.axis.places)
        precision: np.ndarray = np.zeros((len(places), *self.precision.shape[1:]))
        information: np.ndarray = np.zeros((len(places), *self.information.shape[1:]))
        precision[known], information[known] = self.precision, self.information
        found = smooth(matern_chain(points, self.lengths, self.smoothness), self.variances, precision, information)
        return found.mean[inverse], found.covariance[inverse]
