"""The range-separated potential: a Chebyshev-Tucker long range, an exact short range, energy and forces."""

from __future__ import annotations

import copy
import functools
import math
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array, ArrayLike, as_finite, as_points, namespace
from sci.distributed import agreed, allgather_rows, allreduce_max, rank_of, size
from sci.errors import DeviceMismatchError, InvalidValueError
from sci.potentials.direct import direct_sum_packed
from sci.potentials.forcefield.exclusions import Exclusions
from sci.potentials.forcefield.near import near_long_range
from sci.potentials.interacting import Interacting, is_all
from sci.potentials.measured.error import QUANTITIES, MeasuredError
from sci.potentials.measured.places import Scene
from sci.potentials.particles import Particles, coincident_pair
from sci.potentials.radial.kernels import Coulomb, RadialKernel
from sci.potentials.radial.split import COINCIDENT, Split
from sci.potentials.range_separated.build import (
    CHEBYSHEV_SHARE,
    Accuracy,
    bounds,
    build_long_range,
    charge_scale,
    check_settings,
    choose,
    first_share,
    first_tolerance,
    own_arrays,
)
from sci.potentials.range_separated.coincidence import Coincidences, grid_coincidences
from sci.potentials.range_separated.cost import LEAST_TOL, box_layout, expansion_seconds
from sci.potentials.range_separated.quick import quick_errors, share
from sci.potentials.range_separated.self_terms import long_range_self_terms
from sci.potentials.range_separated.short_range import ShortRange
from sci.tensor import ChebTuck
from sci.tensor.boxes.expansion import BoxExpansion
from sci.tensor.boxes.grid import BoxGrid, Tiles

__all__ = ["Accuracy", "RangeSeparatedPotential"]

OWN_SHARE = 10.0
"""What the tensor holds of one charge may differ from q L(0) by this times the error of the tensor."""
BUILDS, AIM = 6, 0.9
"""Builds at most, and the error over the tolerance that ends them: another sample of places may find a larger one."""
CHUNK = 1 << 22


@collective_entry
class RangeSeparatedPotential(Interacting):
    """The electrostatic potential phi(x) = sum_j q_j K(|x - y_j|) of point charges, split by range.

    K = L + S: the long range L is a sum of Gaussians, whose potential is smooth and held as a Chebyshev-Tucker tensor
    on a box around the charges; the short range S is exact and summed over the charges within a cutoff. No grid of
    the volume is ever made.

    Parameters
    ----------
    particles : Particles
        This rank's charges (all of them without `comm`), angstrom and e. None for a rank that has none.
    tol : float
        Relative L2 error, between 1e-11 and 0.1: of the potential, or, with accuracy="forces", of the potential, the
        field and the forces.
    kernel : Coulomb or Yukawa, optional
        1/r, or exp(-kappa r)/r.
    accuracy : "potential" or "forces"
        What `tol` holds for; with "potential", errors of forces are measured and not promised. The error is measured
        after the build; while it is above `tol`, the potential is built again to a smaller tolerance of its parts.
    alpha : float, optional
        Largest exponent of the long range, 1/angstrom. Chosen by a cost model unless given.
    expected_targets : float
        Evaluations that the cost model spreads the build over.
    padding : float
        Margin in angstrom of the box around the charges. Targets outside of the box are summed directly: right, but
        slow.
    exclusions : Exclusions, optional
        Pairs of the particles of all ranks that are left out or scaled, counted over the ranks in their order; the same
        on every rank. On one rank those of `particles` serve as well.
    comm : mpi4py communicator, optional
        The charges are spread over its ranks; every rank holds the result.

    Raises
    ------
    InvalidValueError
        For a tolerance, alpha or padding out of range, two charges at one place, a periodic cell, or charges whose
        potential overflows; on every rank.

    Warns
    -----
    ToleranceWarning
        If the error stays above `tol`, since rounding or charges that nearly cancel leave no room for a better build.

    Notes
    -----
    Collective over `comm` are the constructor, `energy` and `energy_and_forces`; all else is local: each rank evaluates
    its own targets, with the same result whatever the number of ranks. Pairs among the charges are summed by every
    rank. Time and memory grow with (alpha * box)^3 for the build and with alpha^-3 for each target, and hardly with the
    number of charges.

    What a charge does to itself is subtracted as the tensor represents it (`long_range_self_terms`), where the tensor
    is accurate for that charge alone, and as q L(0) elsewhere.

    References
    ----------
    Benner, Khoromskij, Khoromskaia, Sun, arXiv 2503.01696 (format); arXiv 1606.09218 (range separation). Gaussians
    are taken at the Chebyshev nodes instead of being splined from a grid; the cutoff acts on K - L, so that the
    quadrature error cancels within it.

    Examples
    --------
    >>> from sci.potentials import Particles, RangeSeparatedPotential
    >>> dipole = Particles([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0]], [1.0, -1.0])
    >>> phi = RangeSeparatedPotential(dipole, tol=1e-6)
    >>> abs(phi.energy() + 0.5) < 1e-6
    True
    """

    _everyone: Particles | None = None
    """The particles of all ranks, where some of their pairs are left out."""
    fix = "rounding, or charges that nearly cancel, keep it there: accept it, or ask for a larger tol"

    def __init__(
        self,
        particles: Particles | None,
        tol: float = 1e-8,
        *,
        kernel: RadialKernel | None = None,
        accuracy: Accuracy = "potential",
        alpha: float | None = None,
        expected_targets: float = 1_000_000,
        padding: float = 4.0,
        exclusions: Exclusions | None = None,
        comm: Any = None,
    ) -> None:
        kernel = kernel or Coulomb()
        with agreed(comm, "RangeSeparatedPotential") as agreement:
            check_settings(particles, tol, accuracy, expected_targets, padding, comm, exclusions)
            agreement.same(exclusions=None if exclusions is None else (exclusions.pairs, exclusions.scales))
            agreement.same(tol=tol, kernel=kernel, accuracy=accuracy, alpha=alpha)
            agreement.same(expected_targets=expected_targets, padding=padding)
        with agreed(comm, "RangeSeparatedPotential"):
            positions, charges = own_arrays(particles)
            sources = allgather_rows(positions, comm), allgather_rows(charges, comm)
            first = int(allgather_rows(np.array([len(charges)]), comm)[: rank_of(comm)].sum())
            self._own = slice(first, first + len(charges))
            scale = charge_scale(sources[1])
            self._everyone = None if exclusions is None else Particles(*sources, exclusions=exclusions)
            if size(comm) > 1 and (pair := coincident_pair(sources[0], exclusions=exclusions)) is not None:
                raise InvalidValueError(f"particles {pair[0]} and {pair[1]}, counted over all ranks, are at one place")
            domain = tuple((float(a) - padding, float(b) + padding) for a, b in zip(*bounds(sources[0])))
            least, build_tol = first_tolerance(kernel, first_share(accuracy, tol) * tol, alpha, sources[0], padding)
            for _ in range(BUILDS):
                split = choose(kernel, build_tol, alpha, domain, sources[0], expected_targets)
                long_range = build_long_range(*sources, split, domain, build_tol, scale, comm)
                self._set(particles, sources, long_range, split, tol, accuracy, build_tol, expected_targets, comm)
                error = self._checked_error()
                if error <= AIM * tol or build_tol <= least:
                    break
                build_tol = max(build_tol * min(0.5, max(0.5 * tol / error, 1e-3)), least)
        for missed in self._built if rank_of(comm) == 0 else ():
            self.warn_if_missed(missed)

    def _set(
        self,
        particles: Particles | None,
        sources: tuple[Array, Array],
        long_range: ChebTuck,
        split: Split,
        tol: float,
        accuracy: Accuracy,
        build_tol: float | None,
        expected_targets: float,
        comm: Any,
    ) -> None:
        for name in ("_expansion", "_self_excess", "_tensor_error", "_few", "_measured", "_short"):
            self.__dict__.pop(name, None)
        self.particles, self.long_range, self.split, self.tol = particles, long_range, split, tol
        self.accuracy, self.build_tol = accuracy, build_tol
        self.expected_targets, self.comm = expected_targets, comm
        self._sources = sources
        self._scene = Scene(*sources, sources[0], domain=long_range.domain)
        self._layout = box_layout(split.alpha, long_range.domain, max(build_tol or tol, LEAST_TOL), expected_targets)
        self._built: list[MeasuredError] = []

    @classmethod
    def from_parts(
        cls,
        particles: Particles,
        long_range: ChebTuck,
        split: Split,
        tol: float = 1e-8,
        *,
        accuracy: Accuracy = "potential",
        build_tol: float | None = None,
        expected_targets: float = 1_000_000,
    ) -> RangeSeparatedPotential:
        """Put a potential together again from what its file holds, without building anything.

        Parameters
        ----------
        particles, long_range, split, tol, accuracy, expected_targets
            As in the constructor, and the parts that it made.
        build_tol : float, optional
            Tolerance of the parts, `build_tol` of the potential that they come from. Without it, the long range of a
            charge at its own place counts as exact.
        """
        result = cls.__new__(cls)
        sources = (particles.positions, particles.charges)
        result._set(particles, sources, long_range, split, tol, accuracy, build_tol, expected_targets, None)
        return result

    def __repr__(self) -> str:
        box = " x ".join(f"{b - a:.1f}" for a, b in self.domain)
        return (
            f"RangeSeparatedPotential({len(self._sources[1])} charges in {box} angstrom, {self.kernel!r}, "
            f"tol={self.tol:g}, accuracy={self.accuracy!r}, alpha={self.split.alpha:.3g}, "
            f"cutoff={self.split.cutoff:.3g}, tucker_ranks={self.long_range.tucker_ranks}, "
            f"{self.long_range.nbytes} bytes)"
        )

    @property
    def domain(self) -> tuple[tuple[float, float], ...]:
        """The box of the long range, angstrom."""
        return self.long_range.domain

    @property
    def _reach(self) -> tuple[list[float], list[float]]:
        """Lower and upper ends of the domain, with room for the rounding of points on its faces."""
        slack = [2e-13 * (b - a) for a, b in self.domain]
        return [a - s for (a, _), s in zip(self.domain, slack)], [b + s for (_, b), s in zip(self.domain, slack)]

    @functools.cached_property
    def _expansion(self) -> BoxExpansion:
        grid, degree = self._layout
        return BoxExpansion.of_chebtuck(self.long_range.core, self.long_range.factors, grid, degree)

    @functools.cached_property
    def _short(self) -> ShortRange:
        return ShortRange.of(*self._sources, self.split)

    @functools.cached_property
    def _coincidences(self) -> Coincidences:
        return Coincidences.of(self._sources[0])

    @functools.cached_property
    def _self_excess(self) -> Array:
        """What the expansion of the long range holds of each charge at its own place beyond q L(0), (n, 4)."""
        return self._excess(namespace(self._sources[0]).arange(len(self._sources[1])), *self._layout)

    def _excess(self, chosen: Array, grid: BoxGrid, degree: int) -> Array:
        positions, charges = self._sources[0][chosen], self._sources[1][chosen]
        if self.build_tol is None or self.split.all_short:
            return namespace(charges).zeros((len(charges), 4))
        eps, count = CHEBYSHEV_SHARE * self.build_tol, len(self._sources[1])
        terms = long_range_self_terms(
            positions, self.split.gaussians, self.long_range.factors, self.domain, eps, count, grid, degree
        )
        terms[:, 0] -= self.split.gaussians.at_zero
        terms *= charges[:, None]
        # The tensor is accurate for the sum of all charges. What it holds of a single one is as accurate only if that
        # differs from q L(0) by no more than the error of the sum; charges that are alike by symmetry share factors,
        # and their parts differ by much. There q L(0) is subtracted. In either case the error is that of the sum.
        terms[namespace(charges).abs(terms[:, 0]) > OWN_SHARE * self._tensor_error] = 0.0
        return terms

    @functools.cached_property
    def _tensor_error(self) -> float:
        """The error to expect of the long range at a particle: `build_tol` times its largest value there."""
        positions = self._sources[0]
        values = namespace(positions).empty((len(positions), 1))
        self._expansion.evaluate_into(values, positions, Tiles.of(positions, self._layout[0]))
        return float(self.build_tol or 0.0) * float(namespace(values).abs(values).max())

    def whole(self, particles: Particles) -> RangeSeparatedPotential:
        """Return this potential on one rank alone, with the particles of all ranks, their radii and names."""
        xp, (y, q) = namespace(self._sources[0]), self._sources
        if not (xp.array_equal(y, particles.positions) and xp.array_equal(q, particles.charges)):
            raise InvalidValueError(
                "particles are not those that the potential was built of, in the order of the ranks"
            )
        result = copy.copy(self)
        result.particles, result.comm, result._own, result._everyone = particles, None, slice(None), None
        return result

    @property
    def excluding(self) -> Particles | None:
        """All particles, those of other ranks too, if some of their pairs are left out or scaled."""
        return super().excluding if self._everyone is None else self._everyone

    @property
    def all_particles(self) -> Particles:
        """The charges of all ranks, which every rank holds; without radii and names where they were spread."""
        if self._everyone is not None:
            return self._everyone
        if self.particles is not None and size(self.comm) == 1:
            return self.particles
        return Particles(*self._sources)

    def __call__(self, points: ArrayLike) -> Array:
        """Return the potential at `points`.

        Parameters
        ----------
        points : (m, 3) float64
            Angstrom, on the device of the particles. At a point closer than 1e-8 angstrom to a particle the result is
            the potential of all the others.

        Returns
        -------
        (m,) float64, e/angstrom

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        """
        return self.evaluate(points, gradient=False)[:, 0]

    def field(self, points: ArrayLike) -> Array:
        """Return the electric field, minus the analytic gradient, at `points` (m, 3): (m, 3) in e/angstrom^2.

        `tol` holds for it with accuracy="forces"; `measured_error("field")` tells its error in any case.
        """
        return -self.evaluate(points, gradient=True)[:, 1:]

    def on_grid(self, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Array:
        """Return the potential on a tensor grid.

        Parameters
        ----------
        x, y, z : (nx,), (ny,), (nz,) float64
            Ascending coordinates in angstrom, on the device of the particles. Parts of the grid outside of `domain`
            are summed directly.

        Returns
        -------
        (nx, ny, nz) float64, e/angstrom

        Notes
        -----
        2 r flops a grid point for the long range, and the pairs within the cutoff.
        """
        xp = namespace(self._sources[0])
        axes = [self._axis(v, name) for v, name in zip((x, y, z), "xyz")]
        ends = zip(*self._reach)
        inside = [slice(int((v < a).sum()), int((v <= b).sum())) for v, (a, b) in zip(axes, ends)]
        if all(s == slice(0, len(v)) for s, v in zip(inside, axes)):
            return self._grid_inside(axes)
        out = xp.empty(tuple(len(v) for v in axes))
        whole = xp.zeros(out.shape, dtype=bool)
        whole[tuple(inside)] = True
        where = xp.argwhere(~whole)
        points = xp.stack([v[where[:, a]] for a, v in enumerate(axes)], axis=1)
        out[~whole] = direct_sum_packed(points, self.packed(), self.kernel, False)[:, 0]
        if all(s.stop > s.start for s in inside):
            out[tuple(inside)] = self._grid_inside([v[s] for v, s in zip(axes, inside)])
        return out

    def _axis(self, values: ArrayLike, name: str) -> Array:
        axis = as_finite(values, name, shape=(None,), xp=namespace(self._sources[0]))
        self._same_device(axis, name)
        if not len(axis) or bool((axis[1:] <= axis[:-1]).any()):
            raise InvalidValueError(f"{name} does not ascend, or is empty; sort it, and drop duplicates")
        return axis

    def _grid_inside(self, axes: list[Array]) -> Array:
        out = self.long_range.on_grid(*axes)
        self._short.add_to_grid(out, *axes)
        nodes, particles = grid_coincidences(axes, self._sources[0])
        if len(particles):
            whole = BoxGrid(self.domain, (1, 1, 1))  # the grid is evaluated without boxes
            out[nodes] -= self._excess(particles, whole, max(self.long_range.degree))[:, 0]
        return out

    @property
    def promises(self) -> tuple[str, ...]:
        """The quantities that `tol` holds for."""
        return ("potential", "energy") if self.accuracy == "potential" else QUANTITIES

    def scene(self) -> Scene:
        """Return places and charges of the particles, and of what may be near them."""
        return self._scene

    def exact(self, points: ArrayLike, gradient: bool, apart: float = COINCIDENT) -> Array:
        """Return potentials (m, 1), or potentials and gradients (m, 4), by sums over all charges."""
        return direct_sum_packed(points, self.packed(), self.kernel, gradient, apart)

    def exact_cost(self) -> int:
        """Return the number of charges."""
        return len(self._sources[1])

    def energy_sizes(self, rows: Array, exact: Array) -> Array:
        """Return |q_i| sum_j |q_j| K(r_ij), what errors of q_i phi are relative to."""
        packed, xp = self.packed(), namespace(self._sources[1])
        packed[:, 3] = xp.abs(packed[:, 3])
        here = xp.ascontiguousarray(packed[rows, :3])
        return packed[rows, 3] * direct_sum_packed(here, packed, self.kernel, False)[:, 0]

    def _checked_error(self) -> float:
        """Measure what `tol` holds for at a few places; return the largest error in units of its promise."""
        self._built = quick_errors(self, self.accuracy)
        found = max(share(error) for error in self._built)
        return float(allreduce_max(np.array([found]), self.comm)[0])

    @property
    def sources(self) -> tuple[Array, Array]:
        """Positions (n, 3) and charges (n,) of all ranks."""
        return self._sources

    def packed(self) -> Array:
        """Return positions and charges of all ranks as one new (n, 4) array."""
        xp = namespace(self._sources[0])
        return xp.ascontiguousarray(xp.concatenate([self._sources[0], self._sources[1][:, None]], axis=1))

    def _same_device(self, array: Array, name: str) -> None:
        if namespace(array) is not namespace(self._sources[0]):
            raise DeviceMismatchError(
                f"{name} and the particles lie on different sides; move {name} with cupy.asarray or cupy.asnumpy"
            )

    def evaluate(self, points: ArrayLike, gradient: bool, apart: float = COINCIDENT) -> Array:
        """Return potentials (m, 1), or potentials and gradients (m, 4), at `points` (m, 3).

        Charges within `apart` of a point are left out.
        """
        xp = namespace(self._sources[0])
        points = as_points(points, xp=xp)
        self._same_device(points, "points")
        out = xp.empty((len(points), 4 if gradient else 1))
        low, high = (xp.asarray(side) for side in self._reach)
        outside = ((points < low) | (points > high)).any(axis=1)
        if bool(outside.any()):
            out[outside] = direct_sum_packed(
                xp.ascontiguousarray(points[outside]), self.packed(), self.kernel, gradient, apart
            )
            part = xp.empty((len(points) - int(outside.sum()), out.shape[1]))
            self._evaluate_inside(xp.ascontiguousarray(points[~outside]), part, apart)
            out[~outside] = part
            return out
        for start in range(0, len(points), CHUNK):
            self._evaluate_inside(points[start : start + CHUNK], out[start : start + CHUNK], apart)
        return out

    def smooth_at(self, rows: Any, gradient: bool) -> Array:
        """Return the long range at the charges `rows`, (m, 1), or it and its gradient, (m, 4)."""
        xp = namespace(self._sources[0])
        if is_all(rows, len(self._sources[1])):
            return self._smooth_at_all(gradient)
        points = xp.ascontiguousarray(self._sources[0][rows])
        out = xp.empty((len(points), 4 if gradient else 1))
        for start in range(0, len(points), CHUNK):
            self._evaluate_inside(points[start : start + CHUNK], out[start : start + CHUNK], COINCIDENT, pairs=False)
        return out

    def _smooth_at_all(self, gradient: bool) -> Array:
        """Return the long range at all charges, each of which is at its own place."""
        points, xp = self._sources[0], namespace(self._sources[0])
        out = xp.zeros((len(points), 4 if gradient else 1))
        if not self.split.all_short:
            self._expansion.evaluate_into(out, points, self._own_tiles)
            out -= self._self_excess[:, : out.shape[1]]
        return out

    @functools.cached_property
    def _own_tiles(self) -> Tiles:
        return Tiles.of(self._sources[0], self._layout[0])

    def _evaluate_inside(self, points: ArrayLike, out: Array, apart: float, pairs: bool = True) -> None:
        if len(points) == 0:
            return
        tiles = Tiles.of(points, self._layout[0])
        hits, particles = self._coincidences.find(points)
        if self.split.all_short:
            out[:] = 0.0
        elif "_expansion" in self.__dict__ or len(points) > self._few or len(hits):
            self._expansion.evaluate_into(out, points, tiles)
        else:
            function = self.long_range
            out[:] = function.value_and_gradient(points) if out.shape[1] == 4 else function(points)[:, None]
        if pairs:
            self._short.add_to(out, points, tiles, apart)
        if apart > COINCIDENT and not self.split.all_short:
            rows, near = near_long_range(points, *self._sources, None, self.split.gaussians, apart)
            out[rows] -= near[:, : out.shape[1]]
        if len(hits):
            few = "_self_excess" not in self.__dict__ and 2 * len(hits) < len(self._sources[1])
            excess = self._excess(particles, *self._layout) if few else self._self_excess[particles]
            namespace(out).add.at(out, hits, -excess[:, : out.shape[1]])  # several may share a place

    @functools.cached_property
    def _few(self) -> float:
        """Targets up to which the Tucker form itself is cheaper than its re-expansion."""
        each = 2 * math.prod(self.long_range.tucker_ranks) * 1e-10
        return expansion_seconds(*self._layout, max(self.long_range.tucker_ranks)) / each
