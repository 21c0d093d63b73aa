"""The base of fitted fields: predictions at any place from the posterior of their functions."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from sci.arguments import entry
from sci.backend import Array
from sci.completion.axes import Axis
from sci.completion.functional.posterior import FunctionalFactor
from sci.completion.functional.prediction import Prediction
from sci.completion.observations import columns_of

__all__ = ["FunctionalField"]

Tables = Sequence[tuple[np.ndarray, np.ndarray]]
_Self = TypeVar("_Self", bound="FunctionalField")


@entry
@dataclass(frozen=True, eq=False)
class FunctionalField:
    """A field made of Gaussian functions of one axis each, by B independent fits. Base of the fitted models.

    Parameters
    ----------
    factors : tuple of K FunctionalFactor
    offset, scale : float
        Of the values.
    noise : (B,) float64 array
        Noise variance of each fit, of standardized values.
    bounds : (B,) float64 array
        Lower bounds of the log evidence.
    history : (sweeps, B) float64 array
        The bounds after each sweep.
    noise_scale : float
    noise_weights : tuple of K (n_k,) float64 arrays
        The noise variance of an entry at places i is noise_scale over the product of the `noise_weights[k][i[k]]`,
        which are 1 at new places.
    quantiles : (103,) float64 array
        See `Prediction`.
    left_out_rms : float
        Root mean square of the residuals of the entries, each as if it were left out, in units of the values.
    """

    factors: tuple[FunctionalFactor, ...]
    offset: float
    scale: float
    noise: np.ndarray
    bounds: np.ndarray
    history: np.ndarray
    noise_scale: float
    noise_weights: tuple[np.ndarray, ...]
    quantiles: np.ndarray
    left_out_rms: float

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Axes of the observations."""
        return tuple(factor.axis for factor in self.factors)

    @property
    def noise_deviation(self) -> float:
        """Standard deviation of the noise, in units of the values, as the mean over the restarts has it."""
        return float(self.scale * np.sqrt(self.noise.mean()))

    @abstractmethod
    def _table(self, k: int, places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return means and second moments of the functions of an axis at places, a row for each."""

    @abstractmethod
    def _combined(self, tables: Tables, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean of the standardized field at rows of the tables, and its variance within and between restarts."""

    def predict(self, coordinates: Array | Mapping[str, Any]) -> Prediction:
        """Return mean, deviation and noise at places of the field.

        Parameters
        ----------
        coordinates : (m, K) array, or mapping of the names of the axes to (m,) columns
            As for `observe`; they need not be places of the observations.

        Returns
        -------
        Prediction
            Of m entries. The mean is that of the restarts; the variance is their mean variance plus the variance of
            their means.

        Raises
        ------
        ShapeError, InvalidValueError, DTypeError
            Also for axes of other names, and unknown categories.

        Notes
        -----
        Given the messages the functions are the Gaussian processes themselves, not interpolations. Costs one smoothing
        of each axis and m B R^2 K / 2 multiplications, in blocks. Not collective: each rank asks for its own places.
        """
        columns = columns_of(coordinates, [axis.name for axis in self.axes])
        pairs = [np.unique(columns[axis.name], return_inverse=True) for axis in self.axes]
        index = np.stack([inverse.ravel() for _, inverse in pairs], axis=1)
        tables = [self._table(k, places) for k, (places, _) in enumerate(pairs)]
        mean, within, between = self._combined(tables, index)
        noise: np.ndarray = np.full(len(index), self.noise_scale)
        for axis, (places, _), weights, number in zip(self.axes, pairs, self.noise_weights, index.T):
            at = np.minimum(np.searchsorted(axis.places, places), len(axis) - 1)
            noise /= np.where(axis.places[at] == places, weights[at], 1.0)[number]
        deviation = self.scale * np.sqrt(within + between)
        return Prediction(self.offset + self.scale * mean, deviation, self.scale * np.sqrt(noise), self.quantiles)

    def entries(self, index: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return mean of the standardized field at cells of the axes, and its variance within and between restarts.

        Parameters
        ----------
        index : (m, K) int64 array
            Numbers of places along each axis.

        Returns
        -------
        mean, within, between : (m,) float64 arrays
        """
        return self._combined([self._table(k, axis.places) for k, axis in enumerate(self.axes)], index)

    def on_grid(self, most: int = 64) -> tuple[list[np.ndarray], Prediction]:
        """Return a regular grid along the axes, and the field there.

        Parameters
        ----------
        most : int
            Points along an axis whose places are not equally spaced, at most.

        Returns
        -------
        places : list of K (n_k,) arrays
            The places of an axis where they are equally spaced or categories; else equally spaced ones between the
            first and the last.
        field : Prediction
            With arrays of shape (n_1, ..., n_K).

        Raises
        ------
        InvalidValueError

        Examples
        --------
        >>> import numpy as np
        >>> from sci.completion import functional_cp, masked_components, observe
        >>> x = np.random.default_rng(0).integers(0, 6, (60, 2))
        >>> model = functional_cp(observe(x, np.sin(x.sum(axis=1))), masked_components(2, 2), restarts=1, maxiter=5)
        >>> places, field = model.on_grid()
        >>> field.mean.shape
        (6, 6)
        """
        places = [axis.regular(most) for axis in self.axes]
        shape = tuple(map(len, places))
        index = np.stack(np.unravel_index(np.arange(math.prod(shape)), shape), axis=1)
        found = self.predict({axis.name: places[k][index[:, k]] for k, axis in enumerate(self.axes)})
        mean, deviation, noise = (x.reshape(shape) for x in (found.mean, found.deviation, found.noise))
        return places, Prediction(mean, deviation, noise, self.quantiles)

    def calibrated(
        self: _Self, noise_scale: float, weights: tuple[np.ndarray, ...], quantiles: np.ndarray, left_out_rms: float
    ) -> _Self:
        """Return the model with another noise, and what is known of its residuals.

        Parameters
        ----------
        noise_scale : float
        weights : tuple of K (n_k,) arrays
        quantiles : (103,) array
        left_out_rms : float

        Returns
        -------
        FunctionalField
            Of the same class.
        """
        return replace(
            self, noise_scale=noise_scale, noise_weights=weights, quantiles=quantiles, left_out_rms=left_out_rms
        )
