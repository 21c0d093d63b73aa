"""What lies around the charges of a mesh: a cell that repeats, or nothing."""

from __future__ import annotations

import copy
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from sci.backend import Array, namespace, to_device, to_host
from sci.potentials.direct import direct_sum_packed, pack
from sci.potentials.ewald import ewald_values, usual_alpha
from sci.potentials.forcefield.corrections import apply_exclusions
from sci.potentials.forcefield.images import short_periods
from sci.potentials.measured.places import particle_sample
from sci.potentials.pairs.cell import bounds
from sci.potentials.particles import Particles, with_short_periods
from sci.potentials.periodic import PeriodicPotential
from sci.potentials.radial.kernels import Coulomb
from sci.potentials.radial.split import COINCIDENT
from sci.potentials.slab import Slab, slab_values
from sci.tensor.boxes.grid import BoxGrid

__all__ = ["Alone", "Cell", "Layer", "Sample", "filled_volume", "surroundings_of"]

PLACES, PAIRS = 256, 1 << 21
"""Particles at least, and pairs at most beyond them, that exact sums are taken of."""
STEPS = 128
"""Lengths that plans are made for, in an octave."""
SIDE = 2.0
"""Edge of the cells that neighbors are counted in, over the distance of charges that fill their box evenly."""


class Sample(NamedTuple):
    """Exact potentials (s,) and forces (s, 3) at some particles, what errors of q phi are relative to, and weights.

    `wrong` is the error of the potentials themselves, over that of what they are compared with.
    """

    rows: Array
    potentials: Array
    forces: Array
    sizes: np.ndarray
    weights: np.ndarray
    clusters: np.ndarray
    wrong: float = 0.0


class Cell:
    """Charges that repeat with a cell, before a neutralizing background."""

    filled: float | None = None
    slab: Slab | None = None

    def __init__(self, particles: Particles) -> None:
        self.particles, self.cell = particles, short_periods(to_host(particles.cell))
        self.volume = abs(float(np.linalg.det(self.cell)))
        self.key = _rounded_cell(self.cell)

    def __repr__(self) -> str:
        return f"Cell({self.particles!r})"

    @property
    def occupied(self) -> float:
        """The volume that charges are spread over, angstrom^3: errors of forces follow from their density."""
        return self.volume

    def at(self, particles: Particles) -> Cell | None:
        """Return the same around particles that have moved."""
        return Cell(particles)

    def exact(self) -> Cell:
        """Return the surroundings that these are compared with."""
        return self

    def places(self) -> Array:
        """Return the positions (n, 3) as the mesh takes them."""
        return self.particles.positions

    @functools.cached_property
    def total_charge(self) -> float:
        """The sum of the charges, e."""
        return self.particles.total_charge

    def background(self, constant: float) -> float:
        """Return the part of the background in each potential, e/angstrom."""
        return self.total_charge * constant / self.volume

    def far_force(self) -> float:
        """Return the force of the total charge, e^2/angstrom^2, whose rounding adds to that of neighbors."""
        return 0.0

    def apart(self, tol: float, checks: bool, points: Array, gradient: bool, distance: float) -> Array:
        """Return values at points without the charges within a distance: for the few pairs that lie on each other."""
        alpha = usual_alpha(self.particles) * (1.2 if checks else 1.0)
        tol = max((0.01 if checks else 0.1) * tol, 1e-12)
        return PeriodicPotential(self.particles, tol, alpha=alpha).evaluate(points, gradient, distance)

    def sample(self) -> Sample:
        """Return Ewald's sums at 256 particles."""

        def found(points: Array, gradient: bool, apart: float = COINCIDENT) -> Array:
            values = ewald_values if self.slab is None else slab_values
            return values(self.particles, points, 1e-13, gradient, apart, Coulomb())

        rows, values, weights, clusters = _sampled(self.particles, PLACES, found)
        q = self.particles.charges[rows]
        sizes = np.abs(to_host(q * values[:, 0]))
        return Sample(rows, values[:, 0], -q[:, None] * values[:, 1:], sizes, weights, clusters)


class Layer(Cell):
    """Charges that repeat along the first two periods of a cell, with room along the normal, see `Slab`.

    Parameters
    ----------
    particles : Particles
    tol : float
        What images across the room may add.
    reach : float
        Distance along the normal that is to be covered in any case, angstrom.
    """

    slab: Slab

    def __init__(self, particles: Particles, tol: float, reach: float = 0.0) -> None:
        self.given, self.tol = with_short_periods(particles, slab=True), tol
        self.slab, tall = Slab.of(self.given, tol, Coulomb(), reach)
        super().__init__(tall)

    def __repr__(self) -> str:
        return f"Layer({self.given!r}, {self.slab!r})"

    @property
    def occupied(self) -> float:
        """The volume between the outermost charges, and a distance of neighbors, angstrom^3."""
        area, n = self.volume / self.slab.height, self.particles.n
        return area * (self.slab.reach + math.sqrt(area / n))

    def at(self, particles: Particles) -> Layer | None:
        """Return the same around particles that have moved; None if the room between images is too small for them."""
        found = Layer(particles, self.tol, self.slab.reach)
        return None if found.slab.reach > self.slab.reach else found

    def exact(self) -> Layer:
        """Return the slab that this one is compared with: its room is larger, and its images add a hundredth."""
        return Layer(self.given, 0.01 * self.tol, self.slab.reach)

    def apart(self, tol: float, checks: bool, points: Array, gradient: bool, distance: float) -> Array:
        """Return values at points without the charges within a distance: for the few pairs that lie on each other."""
        tol = max((0.01 if checks else 0.1) * tol, 1e-12)
        return PeriodicPotential(self.given, tol, slab=True).evaluate(points, gradient, distance)


class Alone:
    """Isolated charges in a box from its corner on, with edges that few frames change."""

    cell = None
    slab = None

    def __init__(self, particles: Particles) -> None:
        self.particles = particles
        low, high = bounds(particles.positions)
        spans = np.maximum(high - low, _distance(high - low, particles.n))
        self.edges = np.array([_rounded_up(1.0001 * edge) for edge in spans.tolist()])
        self.corner = 0.5 * (low + high) - 0.5 * self.edges
        self.key = tuple(np.diag(self.edges).ravel().tolist())
        self.filled = self.volume = _rounded_up(filled_volume(particles.positions, self.corner, self.edges))

    def __repr__(self) -> str:
        return f"Alone({self.particles!r})"

    @property
    def occupied(self) -> float:
        """The volume that charges are spread over, angstrom^3."""
        return self.volume

    def at(self, particles: Particles) -> Alone | None:
        """Return the same around particles that have moved; None if they left the box."""
        low, high = bounds(particles.positions)
        if (low < self.corner).any() or (high > self.corner + self.edges).any():
            return None
        found = copy.copy(self)
        found.particles = particles
        return found

    def exact(self) -> Alone:
        """Return the surroundings that these are compared with."""
        return self

    def places(self) -> Array:
        """Return the positions (n, 3) as the mesh takes them."""
        positions = self.particles.positions
        return positions - to_device(self.corner, namespace(positions))

    def background(self, constant: float) -> float:
        """Return 0: there is none."""
        return 0.0

    def far_force(self) -> float:
        """Return the force of the total charge, e^2/angstrom^2, whose rounding adds to that of neighbors."""
        charges = to_host(self.particles.charges)
        unit = float(np.abs(charges).max()) or 1.0
        radius, distance = (self.volume * x for x in (0.24, 1 / self.particles.n))
        typical = math.sqrt(float(((charges / unit) ** 2).mean()))
        return float(unit * typical * abs(float(charges.sum())) / (radius * distance) ** (1 / 3))

    def apart(self, tol: float, checks: bool, points: Array, gradient: bool, distance: float) -> Array:
        """Return values at points without the charges within a distance, exactly."""
        return direct_sum_packed(points, pack(self.particles), Coulomb(), gradient, distance)

    def sample(self) -> Sample:
        """Return sums over all pairs at 256 particles or more."""
        p, packed = self.particles, pack(self.particles)

        def found(points: Array, gradient: bool, apart: float = COINCIDENT) -> Array:
            return direct_sum_packed(points, packed, Coulomb(), gradient, apart)

        rows, values, weights, clusters = _sampled(p, max(PLACES, PAIRS // p.n), found)
        xp, q = namespace(values), p.charges[rows]
        absolute = packed.copy()
        absolute[:, 3] = xp.abs(absolute[:, 3])
        here = xp.ascontiguousarray(p.positions[rows])
        sizes = to_host(xp.abs(q) * direct_sum_packed(here, absolute, Coulomb(), False)[:, 0])
        return Sample(rows, values[:, 0], -q[:, None] * values[:, 1:], sizes, weights, clusters)


def surroundings_of(particles: Particles, tol: float, slab: bool) -> Cell | Alone:
    """Return the surroundings of particles: their cell, its first two periods, or none."""
    if slab:
        return Layer(particles, tol)
    return Alone(particles) if particles.cell is None else Cell(particles)


def filled_volume(positions: Array, corner: np.ndarray, edges: np.ndarray) -> float:
    """Return the volume that charges would fill at the density that they see of each other on average.

    Parameters
    ----------
    positions : (n, 3) float64
        Within the box (corner, corner + edges).
    corner, edges : (3,) float64

    Returns
    -------
    float
        At most that of the box.
    """
    n, whole = len(positions), float(edges.prod())
    side = SIDE * (whole / n) ** (1 / 3)
    n1, n2, n3 = (int(k) for k in np.maximum(np.floor(edges / side), 1))
    grid = BoxGrid(tuple(zip(corner.tolist(), (corner + edges).tolist())), (n1, n2, n3))
    xp = namespace(positions)
    filled = xp.bincount(grid.keys(positions, 1))
    others = float(xp.dot(filled, filled)) - n  # pairs in a cell, from both ends
    return min(whole, n * (n * whole) / (grid.size * max(others, 1e-9))) if n > 1 else whole


def _sampled(
    particles: Particles, count: int, found: Callable[..., Array]
) -> tuple[Array, Array, np.ndarray, np.ndarray]:
    """Return chosen particles, exact potentials and gradients there, without exclusions, weights and clusters."""
    chosen, weights, clusters = particle_sample(particles.positions, particles.charges, count)
    xp = namespace(particles.positions)
    rows = to_device(chosen, xp)
    values = found(xp.ascontiguousarray(particles.positions[rows]), True)
    return rows, apply_exclusions(values, particles, Coulomb(), found, rows), weights, clusters


def _distance(spans: np.ndarray, n: int) -> float:
    """Return the usual distance of charges in a line, a plane or a volume, whichever their spans are of; 1 for one."""
    longest = np.sort(spans)[::-1]
    distance = float(longest[0]) / n
    for axes in (2, 3):
        if longest[axes - 1] > distance:
            distance = float(np.exp(np.log(longest[:axes]).mean())) / n ** (1 / axes)
    return distance if distance > 1e-290 else 1.0


def _rounded_up(length: float) -> float:
    """Return the next of `STEPS` lengths in an octave."""
    unit = 2.0 ** math.floor(math.log2(length)) / STEPS
    return math.ceil(length / unit) * unit


def _rounded_cell(cell: np.ndarray) -> tuple[float, ...]:
    """Return a cell that is a little larger, and the same for many that differ little, however they are turned."""
    lower = np.linalg.qr(cell.T)[1].T
    lower = lower * np.where(np.diag(lower) < 0, -1.0, 1.0)
    edges = np.abs(np.diag(lower))
    rounded = np.diag([_rounded_up(edge) for edge in edges.tolist()])
    for row, column in ((1, 0), (2, 0), (2, 1)):
        unit = _rounded_up(float(edges[column])) / STEPS
        size = math.ceil(abs(lower[row, column]) / unit - 1e-9) * unit
        rounded[row, column] = math.copysign(size, lower[row, column])
    return tuple(rounded.ravel().tolist())
