"""Grids of the sphere, and the weights of their quadrature."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import roots_legendre

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["KINDS", "SphereGrid"]

Kind = Literal["gauss-legendre", "equiangular"]
KINDS: tuple[Kind, ...] = ("gauss-legendre", "equiangular")


@entry
@dataclass(frozen=True)
class SphereGrid:
    """Circles of latitude from north to south, each with the same equally spaced points, the first at longitude 0.

    Parameters
    ----------
    n_lat, n_lon : int
        Circles, and points on each.
    kind : {"gauss-legendre", "equiangular"}
        Circles at the nodes of Gauss and Legendre in cos(theta), or at the same distance from each other, the poles
        among them, with the weights of Clenshaw and Curtis.

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Sums with these weights are exact for harmonics below degree 2 n_lat, and n_lat on equiangular circles, of orders
    below n_lon. Transforms multiply two harmonics, so that they are exact for half as many (`exact_degrees`).

    Examples
    --------
    >>> from sci.spherical import SphereGrid
    >>> grid = SphereGrid(32, 64)
    >>> grid.exact_degrees, SphereGrid(33, 64, "equiangular").exact_degrees
    (32, 17)
    """

    n_lat: int
    n_lon: int
    kind: Kind = "gauss-legendre"

    def __post_init__(self) -> None:
        least = 1 if self.kind == "gauss-legendre" else 2
        for name, low in (("n_lat", least), ("n_lon", 1)):
            if getattr(self, name) < low:
                raise InvalidValueError(
                    f"{name} is {getattr(self, name)}; expected at least {low} on {self.kind} circles"
                )

    @property
    def shape(self) -> tuple[int, int]:
        """(n_lat, n_lon), the last two axes of a field."""
        return self.n_lat, self.n_lon

    @property
    def exact_degrees(self) -> int:
        """Degrees, from 0, that a transform gives exactly."""
        return self.n_lat if self.kind == "gauss-legendre" else (self.n_lat + 1) // 2

    @property
    def exact_orders(self) -> int:
        """Orders, from 0, that a transform gives exactly."""
        return (self.n_lon + 1) // 2

    @property
    def colatitudes(self) -> np.ndarray:
        """theta of the circles, from 0 at the north pole to pi."""
        return nodes(self.kind, self.n_lat)[0].copy()

    @property
    def longitudes(self) -> np.ndarray:
        """phi of the points, from 0 to below 2 pi."""
        return 2 * math.pi * np.arange(self.n_lon) / self.n_lon

    @property
    def weights(self) -> np.ndarray:
        """Area of the sphere that each point stands for, by circle: (n_lat,); all of them sum up to 4 pi / n_lon."""
        return nodes(self.kind, self.n_lat)[1] * (2 * math.pi / self.n_lon)


@functools.lru_cache(maxsize=64)
def nodes(kind: Kind, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return colatitudes of circles, and weights of sums over them in cos(theta), which sum up to 2."""
    if kind == "gauss-legendre":
        return _gauss_legendre(n)
    theta = math.pi * np.arange(n) / (n - 1)
    # The moments of cos(k theta): 2 / (1 - k^2) for even k, 0 for odd ones.
    k = np.arange(0, n, 2)
    terms = 2 / (1 - k.astype(float) ** 2) * np.where((k == 0) | (k == n - 1), 1, 2)
    weights = np.cos(np.outer(theta, k)) @ terms / (n - 1)
    weights[[0, -1]] /= 2
    return theta, weights


def _gauss_legendre(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes of Gauss and Legendre as angles, which tell those near the poles better than cos(theta)."""
    half = (n + 1) // 2
    theta = np.arccos(roots_legendre(n)[0][::-1][:half])
    if n % 2:
        theta[-1] = math.pi / 2
    for _ in range(3):
        value, slope = _legendre(n, theta)
        theta = theta - value / slope
    if n % 2:
        theta[-1] = math.pi / 2
    weights = 2 / _legendre(n, theta)[1] ** 2
    south = slice(None, None, -1) if n % 2 == 0 else slice(-2, None, -1)
    return np.concatenate([theta, math.pi - theta[south]]), np.concatenate([weights, weights[south]])


def _legendre(n: int, theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the Legendre polynomial of degree n at cos(theta), and its derivative by theta."""
    fall = 2 * np.sin(theta / 2) ** 2
    value, step = np.ones_like(theta), np.zeros_like(theta)
    for k in range(1, n + 1):
        step = ((k - 1) * step - (2 * k - 1) * fall * value) / k
        value = value + step
    return value, n * (step - fall * value) / np.sin(theta)
