"""The numbers of the coarsening of a network, plain or learned, within bounds that keep it positive definite."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp, tanh
from typing import Any

import numpy as np

__all__ = ["BOUNDS", "PLAIN", "SHAPES", "NetworkNumbers", "numbers_of"]

FEATURES = 5
"""Of an unknown, all zero in uniform matter: the part of its group that no link joins along the axis, missing strong
links, the part of weak links in their sum, the other terms of the diagonal, and the empty places of its group."""
BOUNDS = (2.0, tanh(0.5 * 0.6))
"""Largest resistance beside the middle of a group, in units of that of the links into it; and the bend of a factor of
at most exp(0.6) on the resistance of half a link."""
SHAPES: dict[str, tuple[int, ...]] = {
    "network.strong": (),
    "network.own": (),
    "network.root": (),
    "network.resistances": (2 * FEATURES + 1,),
}
"""Shapes of the learned numbers by name; zeros have learned nothing."""


def _zeros() -> np.ndarray:
    return np.zeros(2 * FEATURES + 1)


@dataclass(frozen=True, eq=False)
class NetworkNumbers:
    """How a network is coarsened, and smoothed.

    Parameters
    ----------
    strong : float
        A link is strong from this part of the mean of the largest links of its ends on.
    own : float
        Share of the own group in the interpolation.
    root : float
        Factor of the lowest root of the polynomial of Jacobi steps.
    resistances : (11,) float64 array
        Weights of a constant and of the features in the resistance of an unknown beside the middle of its group, and of
        the features in the factor of half a link; see the kernel `group_resistances`.
    """

    strong: float = 0.25
    own: float = 1 / 3
    root: float = 1.0
    resistances: np.ndarray = field(default_factory=_zeros)


PLAIN = NetworkNumbers()


def numbers_of(parameters: Mapping[str, Any]) -> NetworkNumbers:
    """Return the numbers that parameters of any size stand for.

    Parameters
    ----------
    parameters : mapping of arrays
        Those of `SHAPES`, and perhaps others.

    Notes
    -----
    The threshold lies between 0.1 and 0.61, the own share between 0.06 and 0.79, the factor of the root between 0.5
    and 2. Whatever they are, coarse links are positive, and the interpolation keeps constants.
    """
    strong, own, root = (tanh(float(parameters[f"network.{name}"])) for name in ("strong", "own", "root"))
    return NetworkNumbers(
        PLAIN.strong * exp(0.9 * strong),
        1 / (1 + 2 * exp(-2 * own)),
        exp(0.7 * root),
        np.array(parameters["network.resistances"], dtype=np.float64),
    )
