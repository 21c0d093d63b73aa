"""The range-separated potential: a Chebyshev-Tucker long range, an exact short range, energy and forces."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from sci.backend import Array, as_finite, as_points, namespace, to_device, to_host
from sci.distributed import agreed, allgather_rows, allreduce_sum, size
from sci.errors import DeviceMismatchError, InvalidValueError
from sci.potentials.direct import direct_sum_packed
from sci.potentials.particles import Particles, coincident_pair
from sci.potentials.radial.kernels import Coulomb, RadialKernel
from sci.potentials.radial.split import Split, split_kernel
from sci.potentials.range_separated.assemble import long_range_coefficients
from sci.potentials.range_separated.cost import box_layout, choose_split, expansion_seconds
from sci.potentials.range_separated.short_range import ShortRange
from sci.tensor import ChebTuck
from sci.tensor.boxes.expansion import BoxExpansion
from sci.tensor.boxes.grid import BoxGrid, Tiles

__all__ = ["RangeSeparatedPotential"]

CHEBYSHEV_SHARE = 0.5
TUCKER_SHARE = 0.8
"""Parts of the tolerance: the cutoff takes 0.8 too. The three errors are independent and well below their bounds."""

SAMPLES = 512
CHUNK = 1 << 22


class RangeSeparatedPotential:
    """The electrostatic potential phi(x) = sum_j q_j K(|x - y_j|) of point charges, split by range.

    K = L + S: the long range L is a sum of Gaussians, whose potential is smooth and held as a Chebyshev-Tucker tensor
    on a box around the charges; the short range S is exact and summed over the charges within a cutoff. No grid of
    the volume is ever made.

    Parameters
    ----------
    particles : Particles
        This rank's charges (all of them without `comm`), angstrom and e. None for a rank that has none.
    tol : float
        Relative L2 error of the potential, between 1e-11 and 0.1.
    kernel : Coulomb or Yukawa, optional
        1/r, or exp(-kappa r)/r.
    alpha : float, optional
        Largest exponent of the long range, 1/angstrom. Chosen by a cost model unless given.
    expected_targets : int
        Evaluations that the cost model spreads the build over.
    padding : float
        Margin in angstrom of the box around the charges. Targets outside of the box are summed directly: right, but
        slow.
    comm : mpi4py communicator, optional
        The charges are spread over its ranks; every rank holds the result.

    Raises
    ------
    InvalidValueError
        For a tolerance, alpha or padding out of range, two charges at one place, or a periodic cell.

    Notes
    -----
    Collective over `comm` are the constructor and `energy`; all else is local: each rank evaluates
    its own targets, with the same result whatever the number of ranks. Time and memory grow with
    (alpha * box)^3 for the build and with alpha^-3 for each target, and hardly with the number of charges.

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

    def __init__(
        self,
        particles: Particles | None,
        tol: float,
        *,
        kernel: RadialKernel | None = None,
        alpha: float | None = None,
        expected_targets: int = 1_000_000,
        padding: float = 4.0,
        comm: Any = None,
    ) -> None:
        kernel = kernel or Coulomb()
        with agreed(comm, "RangeSeparatedPotential") as agreement:
            _check(particles, tol, expected_targets, padding, comm)
            agreement.same(tol=tol, kernel=kernel, alpha=alpha, expected_targets=expected_targets, padding=padding)
        with agreed(comm, "RangeSeparatedPotential"):
            self._build(particles, tol, kernel, alpha, expected_targets, padding, comm)

    def _build(
        self,
        particles: Particles | None,
        tol: float,
        kernel: RadialKernel,
        alpha: float | None,
        expected_targets: int,
        padding: float,
        comm: Any,
    ) -> None:
        positions, charges = _own(particles)
        sources = allgather_rows(positions, comm), allgather_rows(charges, comm)
        if size(comm) > 1 and (pair := coincident_pair(sources[0])) is not None:
            raise InvalidValueError(f"particles {pair[0]} and {pair[1]}, counted over all ranks, are at one place")
        domain = tuple((float(a) - padding, float(b) + padding) for a, b in zip(*_bounds(sources[0])))
        eps = CHEBYSHEV_SHARE * tol
        if alpha is None:
            grid = BoxGrid(domain, (16, 16, 16))
            counts = np.diff(to_host(grid.sort(sources[0])[1]))
            split = choose_split(kernel, tol, eps, domain, counts, expected_targets)
        else:
            split = split_kernel(kernel, tol, math.dist(*zip(*domain)), alpha)
        coefficients = long_range_coefficients(positions, charges, split.gaussians, domain, eps, comm)
        # A Gram matrix would amplify the rounding of the ranks' sums to 1e-11; triangular factors keep it at 1e-15.
        long_range = ChebTuck.from_coefficients(coefficients, domain, TUCKER_SHARE * tol, method="qr")
        self._set(particles, sources, long_range, split, tol, expected_targets, comm)

    def _set(
        self,
        particles: Particles | None,
        sources: tuple[Array, Array],
        long_range: ChebTuck,
        split: Split,
        tol: float,
        expected_targets: int,
        comm: Any,
    ) -> None:
        self.particles, self.long_range, self.split, self.tol = particles, long_range, split, tol
        self.expected_targets, self.comm = expected_targets, comm
        self._sources = sources
        self._short = ShortRange.of(*sources, split)
        self._layout = box_layout(split.alpha, long_range.domain, tol, expected_targets)

    @classmethod
    def from_parts(
        cls,
        particles: Particles,
        long_range: ChebTuck,
        split: Split,
        tol: float,
        *,
        expected_targets: int = 1_000_000,
    ) -> RangeSeparatedPotential:
        """Put a potential together again from what its file holds, without building anything."""
        result = cls.__new__(cls)
        sources = (particles.positions, particles.charges)
        result._set(particles, sources, long_range, split, tol, expected_targets, None)
        return result

    @property
    def kernel(self) -> RadialKernel:
        """The radial kernel K."""
        return self.split.kernel

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

    @property
    def all_particles(self) -> Particles:
        """The charges of all ranks, which every rank holds; without radii and names where they were spread."""
        if self.particles is not None and size(self.comm) == 1:
            return self.particles
        return Particles(*self._sources)

    def __call__(self, points: Array) -> Array:
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
        return self._evaluate(points, gradient=False)[:, 0]

    def field(self, points: Array) -> Array:
        """Return the electric field, minus the analytic gradient, at `points` (m, 3): (m, 3) in e/angstrom^2."""
        return -self._evaluate(points, gradient=True)[:, 1:]

    def energy(self) -> float:
        """Return 1/2 sum_{i != j} q_i q_j K(r_ij) in e^2/angstrom.

        Collective. The error is at most about 10 tol relative to the sum of the absolute pair terms.
        """
        with agreed(self.comm, "energy"):
            positions, charges = self._own_arrays()
            local = 0.5 * float((charges * self(positions)).sum())
        return float(allreduce_sum(np.array([local]), self.comm)[0])

    def forces(self) -> Array:
        """Return the forces q_i E(y_i) on this rank's particles, (n, 3) in e^2/angstrom^2."""
        positions, charges = self._own_arrays()
        return charges[:, None] * self.field(positions)

    def energy_and_forces(self) -> tuple[float, Array]:
        """Return what `energy` and `forces` do, from one evaluation at the particles. Collective."""
        with agreed(self.comm, "energy_and_forces"):
            positions, charges = self._own_arrays()
            found = self._evaluate(positions, gradient=True)
            local = 0.5 * float((charges * found[:, 0]).sum())
        return float(allreduce_sum(np.array([local]), self.comm)[0]), -charges[:, None] * found[:, 1:]

    def on_grid(self, x: Array, y: Array, z: Array) -> Array:
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
        out[~whole] = direct_sum_packed(points, self._packed(), self.kernel, False)[:, 0]
        out[tuple(inside)] = self._grid_inside([v[s] for v, s in zip(axes, inside)])
        return out

    def _axis(self, values: Array, name: str) -> Array:
        axis = as_finite(values, name, shape=(None,), xp=namespace(self._sources[0]))
        self._same_device(axis, name)
        if bool((axis[1:] <= axis[:-1]).any()):
            raise InvalidValueError(f"{name} does not ascend; sort it, and drop what stands twice")
        return axis

    def _grid_inside(self, axes: list[Array]) -> Array:
        out = self.long_range.on_grid(*axes)
        self._short.add_to_grid(out, *axes)
        return out

    @functools.cached_property
    def error_estimate(self) -> float:
        """Relative L2 error, measured against direct sums at 512 targets.

        Nine tenths of them are uniform in the box of the particles and 1 angstrom around it, the others within
        0.5 angstrom of a particle; the seed is fixed.
        """
        rng = np.random.default_rng(20250301)
        positions = to_host(self._sources[0])
        low, high = positions.min(axis=0) - 1.0, positions.max(axis=0) + 1.0
        points = low + (high - low) * rng.random((SAMPLES, 3))
        near = SAMPLES // 10
        steps = rng.normal(size=(near, 3))
        steps *= 0.5 * rng.random((near, 1)) ** (1 / 3) / np.linalg.norm(steps, axis=1, keepdims=True)
        points[:near] = positions[rng.integers(len(positions), size=near)] + steps
        targets = to_device(points, namespace(self._sources[0]))
        exact = direct_sum_packed(targets, self._packed(), self.kernel, False)[:, 0]
        wrong = self(targets) - exact
        scale = float((exact * exact).sum())
        return math.sqrt(float((wrong * wrong).sum()) / scale) if scale > 0 else 0.0

    def _packed(self) -> Array:
        xp = namespace(self._sources[0])
        return xp.ascontiguousarray(xp.concatenate([self._sources[0], self._sources[1][:, None]], axis=1))

    def _own_arrays(self) -> tuple[Array, Array]:
        xp = namespace(self._sources[0])
        if self.particles is None:
            return xp.empty((0, 3)), xp.empty(0)
        return self.particles.positions, self.particles.charges

    def _same_device(self, array: Array, name: str) -> None:
        if namespace(array) is not namespace(self._sources[0]):
            raise DeviceMismatchError(
                f"{name} and the particles lie on different sides; move {name} with cupy.asarray or cupy.asnumpy"
            )

    def _evaluate(self, points: Array, gradient: bool) -> Array:
        """Return (m, 1) potentials, or (m, 4) potentials and gradients."""
        xp = namespace(self._sources[0])
        points = as_points(points, xp=xp)
        self._same_device(points, "points")
        out = xp.empty((len(points), 4 if gradient else 1))
        low, high = (xp.asarray(side) for side in self._reach)
        outside = ((points < low) | (points > high)).any(axis=1)
        if bool(outside.any()):
            out[outside] = direct_sum_packed(
                xp.ascontiguousarray(points[outside]), self._packed(), self.kernel, gradient
            )
            part = xp.empty((len(points) - int(outside.sum()), out.shape[1]))
            self._evaluate_inside(xp.ascontiguousarray(points[~outside]), part)
            out[~outside] = part
            return out
        for start in range(0, len(points), CHUNK):
            self._evaluate_inside(points[start : start + CHUNK], out[start : start + CHUNK])
        return out

    def _evaluate_inside(self, points: Array, out: Array) -> None:
        if len(points) == 0:
            return
        tiles = Tiles.of(points, self._layout[0])
        if "_expansion" in self.__dict__ or len(points) > self._few:
            self._expansion.evaluate_into(out, points, tiles)
        else:
            function = self.long_range
            out[:] = function.value_and_gradient(points) if out.shape[1] == 4 else function(points)[:, None]
        self._short.add_to(out, points, tiles)

    @functools.cached_property
    def _few(self) -> float:
        """Targets up to which the Tucker form itself is cheaper than its re-expansion."""
        each = 2 * math.prod(self.long_range.tucker_ranks) * 1e-10
        return expansion_seconds(*self._layout, max(self.long_range.tucker_ranks)) / each


def _check(particles: Particles | None, tol: float, expected_targets: int, padding: float, comm: Any) -> None:
    if particles is None and size(comm) == 1:
        raise InvalidValueError("particles is None; expected Particles (None only for a rank that has none)")
    if particles is not None and particles.cell is not None:
        raise InvalidValueError(
            "the particles have a periodic cell, and this potential is that of an isolated system; "
            "use PeriodicPotential, or pass dataclasses.replace(particles, cell=None) to leave the cell out"
        )
    if not 1e-11 <= tol <= 0.1:
        raise InvalidValueError(f"tol is {tol}; expected a number from 1e-11 to 0.1")
    if not expected_targets >= 1:
        raise InvalidValueError(f"expected_targets is {expected_targets}; expected at least 1")
    if not 0 < padding < math.inf:
        raise InvalidValueError(f"padding is {padding} angstrom; expected a positive number")


def _own(particles: Particles | None) -> tuple[Array, Array]:
    if particles is None:
        return np.empty((0, 3)), np.empty(0)
    return particles.positions, particles.charges


def _bounds(positions: Array) -> tuple[Array, Array]:
    return positions.min(axis=0), positions.max(axis=0)
