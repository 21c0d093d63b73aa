"""Needs of the potentials of isolated charges: the library's cost model, scaled to this machine, and array shapes."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.backend import to_host
from sci.cli.estimates.needs import Needs, file_bytes
from sci.cli.estimates.trial import attempt
from sci.potentials import Particles, RangeSeparatedPotential
from sci.potentials.direct import direct_sum
from sci.potentials.radial.kernels import Coulomb, RadialKernel
from sci.potentials.radial.split import Split
from sci.potentials.range_separated.assemble import long_range_degrees, moment_layout
from sci.potentials.range_separated.build import (
    CHEBYSHEV_SHARE,
    bounds,
    check_settings,
    choose,
    first_share,
    first_tolerance,
)
from sci.potentials.range_separated.cost import (
    BOX_TERM,
    LEAST_TOL,
    box_layout,
    build_seconds,
    expansion_seconds,
    pair_seconds,
)
from sci.tensor.boxes.grid import BoxGrid

__all__ = ["PIECES", "SLAB", "WRITE_SPEED", "Model", "direct_pair_seconds", "potential_needs", "speeds"]

TRIAL_CHARGES, TRIAL_BOX, TRIAL_TOL = 300, 24.0, 1e-5
"""The potential that is built to learn how fast this machine is: charges, angstrom, tolerance."""
TRIAL_GRID = 48
ERROR_PAIRS = 4 * 512
"""Places at which errors are measured, each against all charges."""
FORMAT_SPREAD = 1.35
"""Bytes of a format over the model's, at most: ranks scatter, and a build that misses its tolerance is refined."""
SLAB, PIECES = 2**24, 16
"""Bytes of a part of a grid that is computed at once, at most, and the number of parts, at least."""
WRITE_SPEED = 300e6
"""Bytes a second that reach a disk, with checksums."""


@dataclass(frozen=True)
class Model:
    """A potential as the cost model sees it, before it is built.

    Parameters
    ----------
    split : Split
    domain : three (float, float)
    tol : float
        Tolerance of the parts.
    charges : int
    density : float
        Charges a cubic angstrom.
    targets : int
        Evaluations that the split is chosen for.
    """

    split: Split
    domain: tuple[tuple[float, float], ...]
    tol: float
    charges: int
    density: float
    targets: float

    @classmethod
    def of(
        cls,
        particles: Particles,
        tol: float,
        *,
        kernel: RadialKernel,
        accuracy: str = "potential",
        alpha: float | None = None,
        expected_targets: float = 1_000_000,
        padding: float = 4.0,
        domain: tuple[tuple[float, float], ...] | None = None,
    ) -> Model:
        """Choose the split as `RangeSeparatedPotential` does in its first build."""
        check_settings(particles, tol, accuracy, expected_targets, padding, None)
        positions = particles.positions
        if domain is None:
            domain = tuple((float(a) - padding, float(b) + padding) for a, b in zip(*bounds(positions)))
        _, build_tol = first_tolerance(kernel, first_share(accuracy, tol) * tol, alpha, positions, padding)
        split = choose(kernel, build_tol, alpha, domain, positions, expected_targets)
        density = particles.n / math.prod(b - a for a, b in bounds_of(particles))
        return cls(split, domain, build_tol, particles.n, density, expected_targets)

    @property
    def nodes(self) -> tuple[int, ...]:
        """Coefficients along each axis."""
        alpha = float(self.split.gaussians.exponents[-1]) if not self.split.all_short else 0.0
        return tuple(d + 1 for d in long_range_degrees(alpha, self.domain, CHEBYSHEV_SHARE * self.tol))

    @property
    def ranks(self) -> tuple[float, ...]:
        """Tucker ranks that the model expects: a part of the nodes, less for few charges."""
        few = 3.4 * self.charges**0.52 - 2.2 * math.log10(self.tol)
        return tuple(min(0.6 * n, few * (n / 70) ** 0.45, n) for n in self.nodes)

    @property
    def layout(self) -> tuple[BoxGrid, int]:
        """Boxes of the re-expansion, and its degree."""
        return box_layout(self.split.alpha, self.domain, max(self.tol, LEAST_TOL), self.targets)

    @property
    def expansion_bytes(self) -> float:
        """Bytes of the re-expansion over the boxes."""
        if self.split.all_short:
            return 0.0
        grid, degree = self.layout
        return 8.0 * grid.size * (degree + 1) ** 3

    @property
    def file_bytes(self) -> float:
        """Bytes of the file of the potential without forces and grid, at most: ranks scatter about the model's."""
        return file_bytes(FORMAT_SPREAD * self.format_bytes + 60.0 * self.charges, 30)

    @property
    def format_bytes(self) -> float:
        """Bytes of the long range, as they go into a file."""
        core = 8.0 * math.prod(self.ranks)
        return core + 8.0 * sum(n * r for n, r in zip(self.nodes, self.ranks))

    def peak(self) -> float:
        """Return the bytes of the build or of the first use, whichever takes more."""
        if self.split.all_short:
            return 200.0 * self.charges
        nodes, eps = self.nodes, CHEBYSHEV_SHARE * self.tol
        degree, grid = moment_layout(float(self.split.gaussians.exponents[-1]), self.domain, eps, self.charges)
        m = [c * (degree + 1) for c in grid.counts]
        # The moments twice, while ranks gather them; the first product; the sum of the products.
        build = 8.0 * (2 * math.prod(m) + m[0] * m[1] * nodes[2] + math.prod(nodes))
        boxes, degree = self.layout
        rest = 8.0 * self.ranks[0] * math.prod(c * (degree + 1) for c in boxes.counts[1:])
        return max(build, 5 * self.format_bytes, self.expansion_bytes + 2 * rest) + 200.0 * self.charges

    def build(self) -> float:
        """Return the model's seconds of one build."""
        if self.split.all_short:
            return 0.0
        return build_seconds(self.split, self.domain, CHEBYSHEV_SHARE * self.tol, self.charges)

    def use(self, targets: float) -> float:
        """Return the model's seconds of an evaluation, without the re-expansion that the first one makes."""
        pairs = pair_seconds(self.split, self.domain, self.density, targets)
        return pairs if self.split.all_short else pairs + targets * BOX_TERM * (self.layout[1] + 1) ** 3

    def expansion(self) -> float:
        """Return the model's seconds of the re-expansion."""
        return 0.0 if self.split.all_short else expansion_seconds(*self.layout, max(self.ranks))

    def grid(self, points: float) -> float:
        """Return the model's seconds of the short range on a tensor grid."""
        return pair_seconds(self.split, self.domain, self.density, points)


def bounds_of(particles: Particles) -> list[tuple[float, float]]:
    """Return the box of the particles, at least an angstrom wide."""
    low, high = (to_host(side) for side in bounds(particles.positions))
    return [(float(a) - 0.5, float(b) + 0.5) for a, b in zip(low, high)]


@dataclass(frozen=True)
class Speeds:
    """This machine's seconds over the model's, of build and use and of a grid; and the seconds of a choice."""

    work: float
    grid: float
    choice: float


@functools.cache
def speeds() -> Speeds:
    """Return the speed of this machine, from a small potential that is built and used: below half a second."""
    rng = np.random.default_rng(0)
    particles = Particles(TRIAL_BOX * rng.random((TRIAL_CHARGES, 3)), rng.normal(size=TRIAL_CHARGES))
    RangeSeparatedPotential(Particles([[0.0, 0.0, 0.0], [2.0, 0.0, 0.0]], [1.0, -1.0]), TRIAL_TOL).energy()
    chosen = attempt(lambda: Model.of(particles, TRIAL_TOL, kernel=Coulomb()))
    model: Model = chosen.result
    built = attempt(lambda: RangeSeparatedPotential(particles, TRIAL_TOL, alpha=model.split.alpha))
    phi = built.result
    used = attempt(phi.energy)
    axes = [np.linspace(a, b, TRIAL_GRID) for a, b in phi.domain]
    filled = attempt(lambda: phi.on_grid(*axes), 2)
    # Where the re-expansion is made depends on the places of the check after the build: both count together.
    modeled = model.build() + model.expansion() + model.use(model.charges)
    return Speeds((built.seconds + used.seconds) / modeled, filled.seconds / model.grid(TRIAL_GRID**3), chosen.seconds)


@functools.cache
def direct_pair_seconds(gradient: bool = False) -> float:
    """Return this machine's seconds for a pair of a direct sum."""
    rng = np.random.default_rng(0)
    particles = Particles(rng.random((2000, 3)), rng.normal(size=2000))
    direct_sum(particles, particles.positions[:2], gradient=gradient)
    return attempt(lambda: direct_sum(particles, particles.positions, gradient=gradient), 2).seconds / 2000**2


def potential_needs(
    model: Model,
    grid: Sequence[int] | None,
    *,
    forces: bool,
    all_pairs: bool,
    whole_grids: float,
    written: float,
    ranks: int = 1,
) -> Needs:
    """Return the needs of `sci potential`.

    Parameters
    ----------
    model : Model
    grid : three int, optional
        Points of the grid.
    forces : bool
        Forces and their errors are computed.
    all_pairs : bool
        The energy is compared with the sum over all pairs.
    whole_grids : float
        Copies of the whole grid that are in memory at once, for exports.
    written : float
        Bytes of grid, forces, exports and picture.
    ranks : int
        Processes that share the work.
    """
    points, n, speed, pair = float(math.prod(grid)) if grid else 0.0, model.charges, speeds(), direct_pair_seconds()
    evaluation = speed.work * model.use(n)
    seconds = {
        "build": speed.choice + speed.work * model.build(),
        "energy": speed.work * model.expansion() + evaluation,
        "forces": 2 * evaluation if forces else 0.0,
        "error": pair * n * (ERROR_PAIRS * (2.0 if forces else 0.5) + (n if all_pairs else 0)),
        "grid": speed.grid * model.grid(points) if grid else 0.0,
        "write": (8 * points * (1 + whole_grids) + model.format_bytes) / WRITE_SPEED,
    }
    later = model.expansion_bytes + model.format_bytes + 8 * whole_grids * points + 4 * min(SLAB, 8 * points)
    shared = {name: value / (1 if name == "write" else ranks) for name, value in seconds.items()}
    return Needs(max(model.peak(), later if grid else 0.0), shared, model.file_bytes + written)
