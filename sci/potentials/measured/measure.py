"""Measure the errors of any potential that gives its values, their exact counterparts, and where its charges lie."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, namespace, to_device, to_host
from sci.errors import InvalidValueError
from sci.potentials.measured.error import QUANTITIES, MeasuredError, compare, energy_error, warn_above
from sci.potentials.measured.places import Scene, particle_sample, sample_places

__all__ = ["ENERGY_FACTOR", "Measured", "error_at_particles", "field_floor", "measure", "measure_at_particles"]

PAIRS = 1 << 25
"""Pairs of places and charges that the exact values of a group and of the particles may take."""
LEAST_PLACES, MOST_PLACES, MOST_PARTICLES = 512, 1 << 14, 8192
"""Places of all groups together, and particles, that are compared whatever the pairs, and at most."""
VALUES = 1 << 14
"""Places of a group whose values give its mean square."""
ENERGY_FACTOR = 10.0
"""Tolerance of the energy, over the sum of the absolute pair terms, in units of that of the potential."""
ROUNDING, LEAST_VALUE = 1e-14, 1e-10
"""Differences that are rounding, and values that are none, in usual potentials and fields."""
CANCELED = 1e-2
"""Fields and forces at particles below this times that of a neighbor have canceled, as in a perfect crystal."""


@entry
class Measured(ABC):
    """A potential that measures its own errors against values that do not depend on how it was made.

    Subclasses set `tol`, and give values, exact values, and a `Scene`.
    """

    tol: float
    quantities: ClassVar[tuple[str, ...]] = QUANTITIES
    fix: ClassVar[str] = "build it with a smaller tol"
    """What to do about a missed tolerance."""

    @abstractmethod
    def scene(self) -> Scene:
        """Return places and charges of the particles, and of what may be near them."""

    @abstractmethod
    def evaluate(self, points: ArrayLike, gradient: bool) -> Array:
        """Return potentials (m, 1), or potentials and gradients (m, 4), at `points` (m, 3)."""

    def sums_at(self, rows: Array, gradient: bool) -> Array:
        """Return potentials (s, 1), or with gradients (s, 4), that energy and forces at the particles `rows` are of."""
        return self.evaluate(self.places_of(rows), gradient)

    def places_of(self, rows: Array) -> Array:
        """Return the positions (s, 3) of the particles `rows`."""
        positions = self.scene().positions
        return namespace(positions).ascontiguousarray(positions[rows])

    @abstractmethod
    def exact(self, points: ArrayLike, gradient: bool) -> Array:
        """Return the same without the approximations of this potential."""

    @abstractmethod
    def exact_cost(self) -> int:
        """Return the number of pairs that an exact value takes."""

    @abstractmethod
    def unit(self) -> tuple[float, float]:
        """Return a potential and a field of usual size, in whose unit rounding is that of float64."""

    @property
    @abstractmethod
    def promises(self) -> tuple[str, ...]:
        """The quantities that `tol` holds for; that of the energy is `ENERGY_FACTOR` times larger."""

    def without_exclusions(self, rows: Array, found: Array, exact: Array) -> tuple[Array, Array]:
        """Return values of two sums at the particles `rows` without the pairs that are left out, where there are any.

        Parameters
        ----------
        rows : (s,) int64
        found, exact : (s, 1) or (s, 4) float64

        Returns
        -------
        (array, array)
            Potentials, or potentials and gradients, like those given.
        """
        return found, exact

    def energy_sizes(self, rows: Array, exact: Array) -> Array:
        """Return the sizes (s,) that errors of q phi are relative to: |q phi|, unless a class knows better."""
        charges = self.scene().charges[rows]
        return namespace(charges).abs(charges * exact[:, 0])

    def measured_error(self, quantity: str = "potential") -> MeasuredError:
        """Return the error of a quantity, measured against independent sums at 512 places or more.

        Parameters
        ----------
        quantity : "potential", "field", "energy" or "forces"
            Potential and field are compared near the particles, at the distance of their neighbors, at distances up to
            the size of the system, uniformly in the domain or cell, on the faces of a domain, and at the particles.
            Energy and forces are compared at all particles, or at those with the largest charges and clusters of others
            that stand for the rest.

        Returns
        -------
        MeasuredError

        Raises
        ------
        InvalidValueError
            For a quantity that this potential does not have.

        Warns
        -----
        ToleranceWarning
            Once, if `tol` holds for this quantity and is missed.

        Notes
        -----
        Not collective; the places are the same on all ranks and in every run. Measured once.
        """
        if quantity not in self.quantities:
            raise InvalidValueError(f"quantity is {quantity!r}; expected one of {', '.join(self.quantities)}")
        found: dict[str, MeasuredError] = self.__dict__.setdefault("_measured", {})
        if quantity not in found:
            found[quantity] = measure(self, quantity)
            self.warn_if_missed(found[quantity])
        return found[quantity]

    @property
    def error_estimate(self) -> float:
        """Relative L2 error of the potential: `measured_error("potential").relative`."""
        return self.measured_error("potential").relative

    def warn_if_missed(self, error: MeasuredError) -> None:
        """Warn, once for each potential, if an error is above what is promised of its quantity."""
        limit = self.tol * (ENERGY_FACTOR if error.quantity == "energy" else 1.0)
        if error.quantity in self.promises and error.relative > limit and "_warned" not in self.__dict__:
            self.__dict__["_warned"] = True
            warn_above(error, limit, self.fix)


def measure(phi: Measured, quantity: str, pairs: int = PAIRS, values: int = VALUES) -> MeasuredError:
    """Return the error of a quantity of `phi`, from about `pairs` pairs of places and charges."""
    part = pairs / PAIRS
    count = int(np.clip(pairs // max(phi.exact_cost(), 1), LEAST_PLACES * part, MOST_PLACES * part))
    at_particles = min(2 * count, MOST_PARTICLES)
    if quantity in ("energy", "forces"):
        return measure_at_particles(phi, (quantity,), at_particles)[quantity]
    gradient = quantity == "field"
    columns = slice(1, 4) if gradient else slice(0, 1)
    scene, least = phi.scene(), _least(phi, gradient)
    groups, at_places, places = {}, {}, 0
    if len(scene.charges):  # first, for what these values need serves those of all other places
        rows, weights, _, here = _particles(phi, min(at_particles, max(count // 4, 1)))
        found, exact = phi.evaluate(here, gradient), phi.exact(here, gradient)
        floor = max(least, field_floor(scene.charges, _typical_distance(scene))) if gradient else least
        at_places["particles"] = compare((found - exact)[:, columns], exact[:, columns], weights, floor)
        places += len(rows)
    for sample in sample_places(scene, count // 4, max(values, count // 4)):
        found = phi.evaluate(sample.points, gradient)[:, columns]
        exact = phi.exact(sample.points[: sample.compared], gradient)[:, columns]
        groups[sample.name] = compare(found[: sample.compared] - exact, found, None, least)
        places += sample.compared
    groups |= at_places
    return MeasuredError.of_groups(quantity, groups, places)


def _least(phi: Measured, gradient: bool) -> float:
    """Return the value that smaller ones count as: differences that are rounding are then below the tolerance."""
    return phi.unit()[int(gradient)] * max(LEAST_VALUE, ROUNDING / phi.tol)


def _particles(phi: Measured, count: int) -> tuple[Array, np.ndarray, np.ndarray, Array]:
    """Return chosen particles, their weights and clusters, and their places."""
    scene = phi.scene()
    chosen, weights, clusters = particle_sample(scene.positions, scene.charges, count)
    rows = to_device(chosen, namespace(scene.positions))
    return rows, weights, clusters, phi.places_of(rows)


def measure_at_particles(phi: Measured, quantities: Sequence[str], count: int) -> dict[str, MeasuredError]:
    """Return the errors of "energy", "forces" or both, from one comparison at `count` particles at most."""
    scene, errors = phi.scene(), {}
    gradient = "forces" in quantities
    rows, weights, clusters, here = _particles(phi, count)
    found, exact = phi.sums_at(rows, gradient), phi.exact(here, gradient)
    found, exact = phi.without_exclusions(rows, found, exact)  # errors are relative to what is left
    floor = max(_least(phi, True), field_floor(scene.charges, _typical_distance(scene), True))
    for quantity in quantities:
        sizes = None if quantity == "forces" else to_host(phi.energy_sizes(rows, exact))
        pair = error_at_particles(scene.charges[rows], found, exact, weights, clusters, sizes, floor)
        errors[quantity] = MeasuredError(quantity, *pair, {"particles": pair}, len(rows))
    return errors


def error_at_particles(
    charges: ArrayLike,
    found: Array,
    exact: Array,
    weights: np.ndarray,
    clusters: np.ndarray,
    sizes: np.ndarray | None,
    floor: float,
) -> tuple[float, float]:
    """Return relative and worst error of the energy, if `sizes` are given, or of the forces on charges (s,).

    Parameters
    ----------
    charges : (s,) float64
    found, exact : (s, 4) or (s, 1) float64
        Potentials, and gradients for forces.
    weights, clusters : (s,)
        As `particle_sample` returns them.
    sizes : (s,) float64, optional
        As in `energy_error`.
    floor : float
        The field below which forces have canceled, see `field_floor`.
    """
    unit = float(namespace(charges).abs(charges).max()) or 1.0
    q = charges / unit
    if sizes is not None:
        return energy_error(to_host(q * (found - exact)[:, 0]), sizes / unit, weights, clusters)
    force, true = (q[:, None] * a[:, 1:] for a in (found, exact))
    return compare(force - true, true, weights, floor)


def field_floor(charges: ArrayLike, distance: float, forces: bool = False) -> float:
    """Return `CANCELED` times the field of the median charge at the distance of a neighbor.

    With `forces`, the force between two such charges, in units of the largest one.
    """
    sizes = namespace(charges).abs(charges)
    unit = float(sizes.max()) or 1.0
    median = float(namespace(charges).median(sizes))
    return CANCELED * median * (median / unit if forces else 1.0) / distance**2


def _typical_distance(scene: Scene) -> float:
    """Return the edge of the cube that a particle has on average."""
    return float((scene.volume / max(len(scene.charges), 1)) ** (1 / 3))
