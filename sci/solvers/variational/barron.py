"""Barron norms of periodic functions, and networks of random ridges that approximate them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np

from sci.arguments import Real, entry
from sci.backend import as_finite
from sci.errors import InvalidValueError, ShapeError

__all__ = ["RidgeNetwork", "barron_norm", "fourier_modes", "ridge_sample"]


@entry
@dataclass(frozen=True)
class RidgeNetwork:
    """A network of one layer, bias + scale / k sum_j cos(w_j . x + a_j).

    Parameters
    ----------
    frequencies : (k, ndim) float64 array
    phases : (k,) float64 array
    scale : float
        Sum of the absolute Fourier coefficients of the function without its mean.
    bias : float
        Mean of the function.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import RidgeNetwork
    >>> RidgeNetwork(np.array([[2.0]]), np.zeros(1), 3.0, 1.0)(np.array([[0.0], [np.pi / 2]])).round(12).tolist()
    [4.0, -2.0]
    """

    frequencies: np.ndarray
    phases: np.ndarray
    scale: float
    bias: float

    def __call__(self, x: Real) -> np.ndarray:
        """Return the values (n,) at points (n, ndim)."""
        points = as_finite(x, "x")
        if points.ndim != 2 or points.shape[1] != self.frequencies.shape[1]:
            raise ShapeError(f"x has shape {points.shape}; expected (n, {self.frequencies.shape[1]})")
        waves = np.cos(points @ self.frequencies.T + self.phases)
        return np.asarray(self.bias + self.scale * waves.mean(axis=1))

    def __repr__(self) -> str:
        return (
            f"RidgeNetwork({len(self.phases)} ridges in {self.frequencies.shape[1]} dimensions, scale {self.scale:g})"
        )


@entry
def fourier_modes(u: Real, lengths: float | Sequence[float] = 2 * pi) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies and the Fourier coefficients of a periodic function from its values on a grid.

    Parameters
    ----------
    u : (*grid) array_like
        Real values at the points lengths * index / n.
    lengths : float or sequence of float
        Periods, for all axes or each.

    Returns
    -------
    frequencies : (m, ndim) float64 array
    coefficients : (m,) complex128 array
        u(x) = sum of c exp(i w . x).

    Raises
    ------
    ShapeError, InvalidValueError
    """
    values = as_finite(u, "u")
    if values.ndim < 1 or values.size == 0:
        raise ShapeError(f"u has shape {values.shape}; expected one or more axes")
    sides = (float(lengths),) * values.ndim if isinstance(lengths, int | float) else tuple(float(s) for s in lengths)
    if len(sides) != values.ndim or not all(0 < s < float("inf") for s in sides):
        raise InvalidValueError(
            f"lengths is {lengths}; expected a positive number, or one for each of {values.ndim} axes"
        )
    axes = [2 * pi / side * n * np.fft.fftfreq(n) for n, side in zip(values.shape, sides)]
    frequencies = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, values.ndim)
    return frequencies, np.fft.fftn(values).reshape(-1) / values.size


@entry
def barron_norm(u: Real, lengths: float | Sequence[float] = 2 * pi) -> float:
    """Return the Barron norm of a periodic function, sum of (1 + |w|) |c_w| over its Fourier coefficients.

    A network of k ridges approximates the function to a mean squared error of at most its square over k.

    Parameters
    ----------
    u : (*grid) array_like
        Values at the points lengths * index / n.
    lengths : float or sequence of float
        Periods.

    Returns
    -------
    float

    Raises
    ------
    ShapeError, InvalidValueError

    Notes
    -----
    On a torus the norm is this finite sum, exact for a function without modes above those of the grid. In a bounded
    domain it is an infimum over extensions.

    References
    ----------
    Barron, IEEE Trans. Inf. Theory 39, 930 (1993); Marwah et al., ICML 2023, for the norm with 1 + |w|.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import barron_norm
    >>> x = 2 * np.pi * np.arange(16) / 16
    >>> round(barron_norm(2 * np.cos(3 * x)), 12)
    8.0
    """
    frequencies, coefficients = fourier_modes(u, lengths)
    return float(((1 + np.sqrt((frequencies**2).sum(axis=1))) * abs(coefficients)).sum())


@entry
def ridge_sample(
    frequencies: Real, coefficients: Any, k: int, seed: int | np.random.Generator | None = None
) -> RidgeNetwork:
    """Return a network of k ridges, drawn from the Fourier coefficients of a real function.

    Each ridge is C cos(w . x + arg c_w), C = sum |c_w|, with w drawn with probability |c_w| / C: its mean is the
    function. The mean squared error over the torus is (C^2 / 2 - |u|^2) / k, at most C^2 / (2 k), in any dimension.

    Parameters
    ----------
    frequencies : (m, ndim) array_like
    coefficients : (m,) complex array_like
        Those of a real function: c_-w is the conjugate of c_w. The mean, w = 0, becomes the bias.
    k : int
        Ridges, at least 1.
    seed : int, Generator, optional

    Returns
    -------
    RidgeNetwork

    Raises
    ------
    ShapeError, InvalidValueError

    References
    ----------
    Barron, IEEE Trans. Inf. Theory 39, 930 (1993), for the rate.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.solvers import fourier_modes, ridge_sample
    >>> x = 2 * np.pi * np.arange(16) / 16
    >>> ridge_sample(*fourier_modes(np.cos(x) + 0.5 * np.sin(4 * x)), 100, seed=1)
    RidgeNetwork(100 ridges in 1 dimensions, scale 1.5)
    """
    waves = as_finite(frequencies, "frequencies")
    given = np.asarray(coefficients, dtype=np.complex128)
    if waves.ndim != 2 or given.shape != (len(waves),):
        raise ShapeError(f"frequencies {waves.shape} and coefficients {given.shape}; expected (m, ndim) and (m,)")
    if not np.isfinite(given).all():
        raise InvalidValueError("coefficients hold NaN or Inf; expected finite numbers")
    if k < 1:
        raise InvalidValueError(f"k is {k}; expected at least one ridge")
    moving = (waves != 0).any(axis=1)
    sizes = abs(given) * moving
    scale = float(sizes.sum())
    if scale == 0:
        raise InvalidValueError("all coefficients but the mean are zero; expected a function that is not constant")
    drawn = np.random.default_rng(seed).choice(len(waves), size=k, p=sizes / scale)
    return RidgeNetwork(waves[drawn], np.angle(given[drawn]), scale, float(given[~moving].real.sum()))
