"""Measured errors: what they hold, and how differences become relative and worst errors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sci.arguments import entry
from sci.backend import Array, to_host
from sci.errors import ToleranceWarning

__all__ = ["QUANTITIES", "MeasuredError", "compare", "energy_error", "warn_above"]

QUANTITIES = ("potential", "field", "energy", "forces")
"""What an error can be measured of."""


@entry
@dataclass(frozen=True)
class MeasuredError:
    """A measured error: relative to the values in the root of the mean square, and at the worst place.

    Parameters
    ----------
    quantity : "potential", "field", "energy" or "forces"
    relative : float
        L2 error over L2 value, for the group of places where it is largest. For the energy: the error over the sum of
        the absolute pair terms (isolated charges), or over the sum of |q phi| (periodic cells).
    worst : float
        Largest absolute error at one place over the root mean square value of its group.
    groups : mapping of str to (float, float)
        Relative and worst error by group of places: "near" a particle, at the distance of its neighbors, "between", at
        distances up to the size of the system, "far", uniform in the domain or the cell, "faces" of the domain, and
        "particles", where each feels all others.
    places : int
        How many places were compared.

    Examples
    --------
    >>> from sci.potentials import Particles, RangeSeparatedPotential
    >>> dipole = Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], [1.0, -1.0])
    >>> phi = RangeSeparatedPotential(dipole, 1e-4)
    >>> phi.measured_error("potential").relative < 1e-4
    True
    """

    quantity: str
    relative: float
    worst: float
    groups: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    places: int = 0

    @classmethod
    def of_groups(cls, quantity: str, groups: Mapping[str, tuple[float, float]], places: int) -> MeasuredError:
        """Return the error whose relative and worst numbers are the largest of its groups."""
        relative, worst = (max((pair[k] for pair in groups.values()), default=0.0) for k in (0, 1))
        return cls(quantity, relative, worst, groups, places)

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {relative:.1e}" for name, (relative, _) in self.groups.items())
        return f"{self.relative:.1e} relative ({parts}), {self.worst:.1e} at worst, at {self.places} places"

    def as_dict(self) -> dict[str, float | dict[str, dict[str, float]]]:
        """Return the numbers by name, as files and JSON hold them."""
        groups = {name: {"relative": r, "worst": w} for name, (r, w) in self.groups.items()}
        return {"relative": self.relative, "worst": self.worst, "places": self.places, "groups": groups}


def compare(missed: Array, values: Array, weights: np.ndarray | None = None, floor: float = 0.0) -> tuple[float, float]:
    """Return relative and worst error.

    Parameters
    ----------
    missed : (m, c)
        Differences between found and exact vectors.
    values : (k, c)
        Vectors that stand for the size of what is compared; k may be larger than m.
    weights : (m,), optional
        How many places each of them stands for; k is m then.
    floor : float
        A smaller root mean square value counts as this.
    """
    if len(missed) == 0:
        return 0.0, 0.0
    missed, values = to_host(missed), to_host(values)
    peak = max(float(np.abs(values).max()), float(np.abs(missed).max()), floor)
    if peak == 0.0:
        return 0.0, 0.0
    # In units of the largest number, so that squares stay in the range of float64.
    error, value = (np.linalg.norm(a / peak, axis=1) for a in (missed, values))
    rms = max(_root_mean_square(value, weights), floor / peak)
    if rms == 0.0:
        return math.inf, math.inf
    return _root_mean_square(error, weights) / rms, float(error.max()) / rms


def _root_mean_square(sizes: np.ndarray, weights: np.ndarray | None) -> float:
    return math.sqrt(float(np.average(sizes**2, weights=weights)))


def energy_error(
    missed: np.ndarray, sizes: np.ndarray, weights: np.ndarray, clusters: np.ndarray, wrong: float = 0.0
) -> tuple[float, float]:
    """Return error over the sum of sizes, and the largest error of one particle over their mean.

    Parameters
    ----------
    missed : (s,) float64
        Errors of q_i phi(y_i).
    sizes : (s,) float64
        What they are relative to, such as |q_i| sum_j |q_j| K(r_ij).
    weights : (s,) float64
        How many particles each stands for. For those that were not compared one standard error is added.
    clusters : (s,) int
        Particles of one number were drawn together, as neighbors, whose errors may cancel.
    wrong : float
        Error of what was taken for exact over that of what is compared with it: for errors that cancel, this share of
        the root of the sum of their squares is added.
    """
    total = float((weights * sizes).sum())
    if total == 0.0:
        return 0.0, 0.0
    drawn = weights > 1.0
    spread = wrong * float(np.linalg.norm(weights * missed))
    if drawn.any():
        sums = np.bincount(clusters[drawn], weights=missed[drawn])[np.unique(clusters[drawn])]
        spread += float(np.std(sums)) * float(weights.max()) * math.sqrt(len(sums))
    mean = total / float(weights.sum())
    return (abs(float((weights * missed).sum())) + spread) / total, float(np.abs(missed).max()) / mean


def warn_above(error: MeasuredError, tol: float, fix: str) -> None:
    """Warn that a measured error is above its tolerance, and what to do."""
    warnings.warn(
        f"the measured error {error.relative:.1e} of the {error.quantity} is above the tolerance {tol:g}; {fix}",
        ToleranceWarning,
        stacklevel=4,
    )
