"""The error of a potential and of what follows from it, measured against sums over all pairs at chosen places."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.errors import InvalidValueError
from sci.potentials.direct import direct_sum_packed
from sci.potentials.radial.kernels import RadialKernel
from sci.potentials.radial.split import Split

__all__ = [
    "QUANTITIES",
    "Measurable",
    "MeasuredError",
    "Sample",
    "compare",
    "energy_error",
    "measure",
    "measure_at_points",
    "neighbor_distances",
    "particle_sample",
    "quick_error",
    "sample_points",
]

QUANTITIES = ("potential", "field", "energy", "forces")
"""What an error can be measured of."""

SEED = 20250301
QUICK_SAMPLES = 128
"""Places of the check while building."""
UNEVEN, ENERGY_SHARE = 5.0, 3.0
"""A charge so many times the root mean square one has the energy checked, to so many times the tolerance."""
NEIGHBOR_SHARE = (0.25, 1.0)
"""Distances of the near points from a particle, in units of its distance to its nearest neighbor."""


@dataclass(frozen=True)
class MeasuredError:
    """A measured error: relative to the values in the root of the mean square, and at the worst place.

    Parameters
    ----------
    quantity : "potential", "field", "energy" or "forces"
    relative : float
        L2 error over L2 value, for the group of places where it is largest. For the energy: the error over the sum of
        the absolute pair terms.
    worst : float
        Largest absolute error at one place over the root mean square value of its group.
    groups : mapping of str to (float, float)
        Relative and worst error by group of places: "near" a particle, at the distance of its neighbors, "between", at
        distances up to the size of the system, "far", uniform in the domain, "faces" of the domain; or "particles".
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

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {relative:.1e}" for name, (relative, _) in self.groups.items())
        return f"{self.relative:.1e} relative ({parts}), {self.worst:.1e} at worst, at {self.places} places"

    def as_dict(self) -> dict[str, float | dict[str, dict[str, float]]]:
        """Return the numbers by name, as files and JSON hold them."""
        groups = {name: {"relative": r, "worst": w} for name, (r, w) in self.groups.items()}
        return {"relative": self.relative, "worst": self.worst, "places": self.places, "groups": groups}


class Measurable(Protocol):
    """A potential whose error can be measured."""

    @property
    def sources(self) -> tuple[Array, Array]:
        """All positions (n, 3) and charges (n,)."""

    @property
    def split(self) -> Split:
        """The split of the kernel."""

    @property
    def kernel(self) -> RadialKernel:
        """The kernel."""

    @property
    def domain(self) -> tuple[tuple[float, float], ...]:
        """The box of the long range."""

    def packed(self) -> Array:
        """Return positions and charges as one new (n, 4) array."""

    def evaluate(self, points: Array, gradient: bool) -> Array:
        """Return potentials (m, 1), or potentials and gradients (m, 4)."""


@dataclass(frozen=True)
class Sample:
    """Points of one group."""

    name: str
    points: Array


def sample_points(positions: Array, domain: tuple[tuple[float, float], ...], count: int, faces: bool) -> list[Sample]:
    """Return points near the particles, between near and far, and far from them; the seed is fixed.

    Parameters
    ----------
    positions : (n, 3) float64, angstrom
    domain : ((a1, b1), (a2, b2), (a3, b3))
        All points lie in it.
    count : int
        Points of each group.
    faces : bool
        Add a group of points on the faces of `domain`.

    Returns
    -------
    list of Sample
        On the device of `positions`.

    Notes
    -----
    The nearest neighbors of `count` particles are found among all, count * n distances.
    """
    xp, rng = namespace(positions), np.random.default_rng(SEED)
    low, high = np.array(domain).T
    chosen = rng.integers(len(positions), size=count)
    places = to_host(positions[to_device(chosen, xp)])
    size = float(np.linalg.norm(high - low))
    neighbor = np.minimum(_distances(positions, chosen), size / 4)
    steps = rng.normal(size=(2, count, 3))
    steps /= np.linalg.norm(steps, axis=2, keepdims=True)
    near = neighbor * rng.uniform(*NEIGHBOR_SHARE, size=count)
    between = neighbor * (size / 2 / neighbor) ** rng.random(count)
    groups = {
        "near": places + steps[0] * near[:, None],
        "between": places + steps[1] * between[:, None],
        "far": low + (high - low) * rng.random((count, 3)),
    }
    if faces:
        on_faces = low + (high - low) * rng.random((count, 3))
        axes, sides = rng.integers(3, size=count), rng.integers(2, size=count)
        on_faces[np.arange(count), axes] = np.where(sides == 0, low[axes], high[axes])
        groups["faces"] = on_faces
    return [Sample(name, to_device(np.clip(points, low, high), xp)) for name, points in groups.items()]


def neighbor_distances(positions: Array, count: int) -> np.ndarray:
    """Return the distance to the nearest neighbor of `count` particles; infinite for a lone one. The seed is fixed."""
    chosen = np.random.default_rng(SEED).integers(len(positions), size=count)
    return _distances(positions, chosen)


def _distances(positions: Array, chosen: np.ndarray) -> np.ndarray:
    """Return the distance from each chosen particle to its nearest neighbor; infinite for a lone one."""
    xp, result = namespace(positions), np.empty(len(chosen))
    block = max(1, 2_000_000 // len(positions))
    for start in range(0, len(chosen), block):
        rows = chosen[start : start + block]
        here = positions[to_device(rows, xp)]
        squares = xp.zeros((len(rows), len(positions)))
        for axis in range(3):
            squares += (here[:, axis, None] - positions[:, axis]) ** 2
        squares[xp.arange(len(rows)), to_device(rows, xp)] = math.inf
        result[start : start + block] = to_host(xp.sqrt(squares.min(axis=1)))
    return result


def particle_sample(charges: Array, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return particles to compare, and for each how many it stands for; the largest charges are always among them."""
    sizes, n = np.abs(to_host(charges)), len(charges)
    if n <= count:
        return np.arange(n), np.ones(n)
    order = np.argsort(-sizes, kind="stable")
    largest, others = order[: count // 4], order[count // 4 :]
    picked = np.random.default_rng(SEED).choice(others, size=count - len(largest), replace=False)
    weights = np.concatenate([np.ones(len(largest)), np.full(len(picked), len(others) / len(picked))])
    return np.concatenate([largest, picked]), weights


def compare(found: Array, exact: Array, weights: np.ndarray | None = None, scale: float = 0.0) -> tuple[float, float]:
    """Return relative and worst error of vectors (m, c), each counted `weights` times.

    `scale` is the size of values below which differences are rounding; a smaller root mean square counts as it.
    """
    if len(found) == 0:
        return 0.0, 0.0
    missed, values = to_host(found - exact), to_host(exact)
    peak = max(float(np.abs(values).max()), float(np.abs(missed).max()), scale)
    if peak == 0.0:
        return 0.0, 0.0
    # In units of the largest number, so that squares stay in the range of float64.
    error, value = (np.linalg.norm(a / peak, axis=1) for a in (missed, values))
    count = np.ones(len(error)) if weights is None else weights
    rms = max(math.sqrt(float((count * value**2).sum() / count.sum())), scale / peak)
    if rms == 0.0:
        return math.inf, math.inf
    return math.sqrt(float((count * error**2).sum() / count.sum())) / rms, float(error.max()) / rms


def energy_error(missed: np.ndarray, sizes: np.ndarray, weights: np.ndarray, count: int) -> tuple[float, float]:
    """Return error over sum of the absolute pair terms, and the largest error of one particle over their mean.

    Parameters
    ----------
    missed : (s,) float64
        Errors of q_i phi(y_i).
    sizes : (s,) float64
        |q_i| sum_j |q_j| K(r_ij).
    weights : (s,) float64
        Particles that each stands for, `count` in all; one standard error is added for those that were not compared.
    """
    total = float((weights * sizes).sum())
    if total == 0.0:
        return 0.0, 0.0
    others = missed[weights > 1.0]
    spread = float(np.std(others)) * weights.max() * math.sqrt(len(others)) if len(others) else 0.0
    return (abs(float((weights * missed).sum())) + spread) / total, float(np.abs(missed).max()) * count / total


def measure_at_points(
    quantity: str,
    samples: list[Sample],
    evaluate: Callable[[Array], Array],
    exact: Callable[[Array], Array],
    scale: float = 0.0,
) -> MeasuredError:
    """Return the measured error of a function of points, (m, 3) -> (m, c); see `compare` for `scale`."""
    if quantity not in QUANTITIES:
        raise InvalidValueError(f"quantity is {quantity!r}; expected one of {', '.join(QUANTITIES)}")
    groups = {sample.name: compare(evaluate(sample.points), exact(sample.points), None, scale) for sample in samples}
    relative, worst = (max(pair[k] for pair in groups.values()) for k in (0, 1))
    return MeasuredError(quantity, relative, worst, groups, sum(len(sample.points) for sample in samples))


def quick_error(phi: Measurable, accuracy: str) -> float:
    """Return the largest relative error of what the tolerance of `phi` holds for, at a few places."""
    quantities = ("potential",) if accuracy == "potential" else ("potential", "field", "forces")
    found = max(measure(phi, quantity, QUICK_SAMPLES).relative for quantity in quantities)
    if _uneven(phi.sources[1]):
        found = max(found, measure(phi, "energy", QUICK_SAMPLES).relative / ENERGY_SHARE)
    return found


def _uneven(charges: Array) -> bool:
    """Return True if single charges are so large that their energies decide the sum."""
    sizes = np.abs(to_host(charges))
    sizes /= float(sizes.max()) or 1.0
    return bool(UNEVEN**2 * np.mean(sizes**2) < 1.0)


def measure(phi: Measurable, quantity: str, places: int) -> MeasuredError:
    """Return the error of a quantity of `phi` at about so many places."""
    if quantity in ("energy", "forces"):
        return _measure_at_particles(phi, quantity, places)
    gradient = quantity == "field"
    columns = slice(1, 4) if gradient else slice(0, 1)
    samples = sample_points(phi.sources[0], phi.domain, places // (4 if gradient else 3), gradient)
    return measure_at_points(
        quantity,
        samples,
        lambda points: phi.evaluate(points, gradient)[:, columns],
        lambda points: direct_sum_packed(points, phi.packed(), phi.kernel, gradient)[:, columns],
        _rounding(phi) * (phi.split.alpha if gradient else 1.0),
    )


def _measure_at_particles(phi: Measurable, quantity: str, places: int) -> MeasuredError:
    xp, positions, charges = namespace(phi.sources[0]), *phi.sources
    chosen, weights = particle_sample(charges, places)
    rows = to_device(chosen, xp)
    here, q = xp.ascontiguousarray(positions[rows]), charges[rows]
    exact = direct_sum_packed(here, phi.packed(), phi.kernel, quantity == "forces")
    found = phi.evaluate(here, quantity == "forces")
    unit = float(xp.abs(q).max()) or 1.0
    if quantity == "forces":
        force, true = (q[:, None] / unit * a[:, 1:] for a in (found, exact))
        pair = compare(force, true, weights, _rounding(phi) * phi.split.alpha)
    else:
        packed = phi.packed()
        packed[:, 3] = xp.abs(packed[:, 3])
        size = xp.abs(q) / unit * direct_sum_packed(here, packed, phi.kernel, False)[:, 0]
        pair = energy_error(to_host(q / unit * (found - exact)[:, 0]), to_host(size), weights, len(charges))
    return MeasuredError(quantity, *pair, {"particles": pair}, len(chosen))


def _rounding(phi: Measurable) -> float:
    """Return the potential, e/angstrom, below which differences are those of float64."""
    largest = float(namespace(phi.sources[1]).abs(phi.sources[1]).max())
    return 1e-10 * largest * (phi.split.gaussians.at_zero + 1 / phi.split.cutoff)
