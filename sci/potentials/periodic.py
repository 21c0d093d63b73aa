"""Periodic cells by Ewald's split: Fourier modes through box moments and box expansions, an exact short range."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import jv

from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_finite, as_points, namespace, to_device, to_host
from sci.errors import DeviceMismatchError, InvalidValueError
from sci.potentials.ewald import (
    ewald_split,
    ewald_values,
    images_in_box,
    mode_counts,
    mode_influence,
    neutralizing_constant,
    screened_tolerance,
    structure_factors,
    triangular_basis,
    usual_alpha,
)
from sci.potentials.forcefield.images import cell_images, wrapped, wrapped_fractions
from sci.potentials.forcefield.near import near_long_range
from sci.potentials.forcefield.virial import strain_derivative
from sci.potentials.interacting import Interacting, is_all
from sci.potentials.measured.error import QUANTITIES
from sci.potentials.measured.places import Scene
from sci.potentials.modes import (
    MOMENT_DEGREE,
    UNIT,
    factor_seconds,
    mode_boxes,
    mode_matrices,
    modes_on_axes,
    synthesis,
)
from sci.potentials.particles import SAME_PLACE, Particles, check_images, with_short_periods, without_overflow
from sci.potentials.radial.kernels import Coulomb, RadialKernel
from sci.potentials.radial.split import COINCIDENT
from sci.potentials.range_separated.short_range import ShortRange
from sci.potentials.slab import Slab, slab_values
from sci.tensor import ChebTuck
from sci.tensor.boxes.expansion import BoxExpansion
from sci.tensor.boxes.grid import BoxGrid, Tiles
from sci.tensor.boxes.moments import box_moments

__all__ = ["PeriodicPotential"]

BOX_DEGREE = 17
CHUNK = 1 << 20
GRID_PAIRS, MANY_NODES, MANY_MODES = (6.0, 12.0, 30.0, 60.0, 120.0, 240.0), 50_000, 1 << 22
"""Pairs a node that splits for grids aim at, nodes from which another split pays, and the modes it may take."""
NODE_SECONDS, PAIR_SECONDS, MODE_SECONDS, POINT_SECONDS = 1.4e-8, 6e-10, 8.8e-10, 2.2e-7
"""Seconds of a node on a core: in all, for a pair, a mode of the first axis, and a long range point by point."""
EXACT_SHARE, EWALD_PAIRS, LEFT_SHARE = 0.01, 4, 0.3
"""Tolerance of the sum that errors are measured against over `tol`, its pairs per charge and point, and the tolerance
over `tol` where bonded pairs, whose forces are the largest, are left out."""
MANY_IMAGES = 2_000_000
"""Images of charges that are sorted at once for a grid."""


@entry
class PeriodicPotential(Interacting):
    r"""The electrostatic potential of charges that repeat with a cell, for any cell and any total charge.

    phi(x) = sum_j q_j sum_n erfc(alpha r_jn) / r_jn + (4 pi / V) sum_{k != 0} exp(-k^2 / (4 alpha^2)) / k^2
    sum_j q_j exp(i k (x - y_j)) - pi Q / (alpha^2 V): the sum over all images, with mean zero over the cell. A total
    charge Q is neutralized by a uniform background; a dipole feels no surface (conducting boundary).

    Parameters
    ----------
    particles : Particles
        With a `cell`, whose rows may be any three periods. Particles outside of the cell are moved into it.
    tol : float
        Relative L2 error, 1e-12 to 0.1, of potential, field and forces alike: modes and cutoff lose no more on
        derivatives than they have in reserve.
    kernel : Coulomb or Yukawa, optional
        1/r unless given. A screened sum has no background, and converges without one.
    slab : bool
        Repeat the particles along the first two rows of `cell` alone: a sum over two periods, see `Slab`. The third row
        is not used, and the energy is that of one cell of the plane; particles may lie anywhere along the normal.
    alpha : float, optional
        The split, 1/angstrom. Chosen from the density unless given; nothing but the time depends on it.

    Raises
    ------
    InvalidValueError
        Without a cell, for a tolerance or alpha out of range, or for two particles that share a place with an image.

    Notes
    -----
    `tol` is met by construction, without a measurement; `measured_error` compares with `ewald_sum` at a hundredth of
    `tol` and another exponent, which the true sum does not depend on, and for slabs with more room along the normal.

    Where the cell is skewed, `particles` have other periods of the same lattice.

    Not collective: every rank may hold the object and evaluate its own points. Charges enter through their Chebyshev
    moments on boxes of the cell; one small matrix an axis turns moments into structure factors, and its adjoint turns
    modes into a Chebyshev expansion on boxes, so a point costs 18^3 multiplications and the pairs within the cutoff.
    Work in fractional coordinates makes all cells alike. O(N) at a fixed density.

    References
    ----------
    P. P. Ewald, Ann. Phys. 369 (1921) 253; the moments in place of a particle mesh are ours.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.potentials import Particles, PeriodicPotential
    >>> cscl = Particles([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]], [1.0, -1.0], cell=np.eye(3))
    >>> round(-PeriodicPotential(cscl, 1e-10).energy() * 3**0.5 / 2, 8)
    1.76267477
    """

    particles: Particles

    def __init__(
        self,
        particles: Particles,
        tol: float = 1e-8,
        *,
        kernel: RadialKernel | None = None,
        slab: bool = False,
        alpha: float | None = None,
    ) -> None:
        if particles.cell is not None:
            particles = with_short_periods(particles, slab)
        self.modes = self._fourier(self._prepare(particles, tol, alpha, kernel, slab))

    def __repr__(self) -> str:
        cell = ", ".join(f"{length:.2f}" for length in np.linalg.norm(to_host(self._cell), axis=1))
        return (
            f"PeriodicPotential({self.particles.n} charges in a {'slab' if self.slab else 'cell'} of ({cell}) "
            f"angstrom, {self.kernel!r}, tol={self.tol:g}, "
            f"alpha={self.alpha:.3g}, cutoff={self.split.cutoff:.3g}, n_modes={self.n_modes}, "
            f"{self.modes.nbytes} bytes)"
        )

    @classmethod
    def from_parts(
        cls,
        particles: Particles,
        tol: float,
        alpha: float,
        modes: Array,
        *,
        kernel: RadialKernel | None = None,
        slab: bool = False,
    ) -> PeriodicPotential:
        """Put a potential together again from what its file holds, without the sums over the charges.

        Raises
        ------
        InvalidValueError
            If there are not as many modes as particles, `tol` and `alpha` ask for.
        """
        result = cls.__new__(cls)
        result._prepare(particles, tol, alpha, kernel, slab)
        m1, m2, m3 = result.n_modes
        if modes.shape != (2 * m1 + 1, 2 * m2 + 1, m3 + 1):
            raise InvalidValueError(f"modes has shape {modes.shape}; expected {(2 * m1 + 1, 2 * m2 + 1, m3 + 1)}")
        result.modes = modes
        return result

    def _prepare(
        self,
        particles: Particles,
        tol: float,
        alpha: float | None,
        kernel: RadialKernel | None,
        slab: bool,
        reach: float = 0.0,
    ) -> float:
        """Check and set everything but the modes; return the largest wave number."""
        if particles.cell is None:
            raise InvalidValueError(
                "the particles have no cell; pass Particles(..., cell=...) with the periods as rows"
            )
        if not 1e-12 <= tol <= 0.1:
            raise InvalidValueError(f"tol is {tol}; expected a number from 1e-12 to 0.1")
        if alpha is not None and not 0 < alpha < math.inf:
            raise InvalidValueError(f"alpha is {alpha}; expected a positive number (1/angstrom)")
        kernel = kernel or Coulomb()
        self._slab: Slab | None = None
        self._taller: PeriodicPotential | None = None
        if slab:
            self._slab, particles = Slab.of(particles, tol, kernel, reach)
        self.particles, self.tol, self.slab = particles, tol, slab
        self._grid_split: tuple[float, PeriodicPotential] | None = None
        self._xp = namespace(particles.positions)
        cell = to_host(particles.cell)
        inverse, self.volume = np.linalg.inv(cell), abs(float(np.linalg.det(cell)))
        self._cell, self._inverse = (to_device(m, self._xp) for m in (cell, inverse))
        self._heights = 1 / np.linalg.norm(inverse, axis=0)  # distances between faces of the cell, a period apart
        self.alpha = usual_alpha(particles) if alpha is None else alpha
        share = 1.0 if particles.exclusions is None else LEFT_SHARE
        eps = screened_tolerance(share * tol, kernel, self.volume / particles.n)
        self.split = ewald_split(self.alpha, 0.1 * eps, kernel)
        self._fractions, places = wrapped(particles.positions, self._cell)
        self._sources, self._lattice = (places, particles.charges), cell
        check_images(self._fractions, self._cell, SAME_PLACE / self._heights, particles.exclusions)
        k_max = 2 * self.alpha * math.sqrt(math.log(10 / eps))
        self.n_modes = mode_counts(cell, k_max)
        return k_max

    @functools.cached_property
    def _short(self) -> ShortRange:
        """All charges and images of theirs within the cutoff of the cell: what sums at points need, and no energy."""
        positions, numbers = cell_images(self._fractions, self._cell, self.split.cutoff / self._heights)
        return ShortRange.of(positions, self.particles.charges[numbers], self.split)

    def _fourier(self, k_max: float) -> Array:
        """Return the coefficients of exp(2 pi i n s) in the long range, for n3 >= 0 and with both signs summed."""
        xp, fractions = self._xp, self._fractions
        grid = mode_boxes(self.n_modes, MOMENT_DEGREE, 0.1 * self.tol)
        influence = mode_influence(self._inverse, self.n_modes, self.split, k_max)[0]
        direct, by_moments = factor_seconds(self.n_modes, self.particles.n, grid)
        if direct < by_moments:
            return structure_factors(fractions, self.particles.charges, self.n_modes) * influence
        moments = box_moments(xp.ascontiguousarray(fractions), self.particles.charges, grid, MOMENT_DEGREE)
        cosines, sines = mode_matrices(self.n_modes, grid, MOMENT_DEGREE, xp)
        factors = moments @ cosines[2].T - 1j * (moments @ sines[2].T)
        factors = xp.tensordot(cosines[1] - 1j * sines[1], factors, axes=(1, 1))
        factors = xp.tensordot(cosines[0] - 1j * sines[0], factors, axes=(1, 1))
        return factors * influence

    @functools.cached_property
    def _expansion(self) -> BoxExpansion:
        grid = mode_boxes(self.n_modes, BOX_DEGREE, 0.1 * self.tol)
        matrices = mode_matrices(self.n_modes, grid, BOX_DEGREE, self._xp)
        return BoxExpansion(self._xp.ascontiguousarray(synthesis(self.modes, *matrices)), grid)

    @functools.cached_property
    def long_range(self) -> ChebTuck:
        """The long range in the Chebyshev-Tucker format, a function of fractional coordinates on [0, 1]^3.

        Without the constant of the neutralizing background. Built when first asked for; evaluation does not need it.
        """
        theta = math.pi * max(self.n_modes)
        degree = math.ceil(theta) + 1
        while 2 * abs(float(jv(degree + 1, theta))) > 0.1 * self.tol:
            degree += 1
        coefficients = synthesis(self.modes, *mode_matrices(self.n_modes, BoxGrid(UNIT, (1, 1, 1)), degree, self._xp))
        return ChebTuck.from_coefficients(coefficients, UNIT, self.tol)

    @property
    def background(self) -> float:
        r"""The constant that the neutralizing background adds, e/angstrom.

        -(4 pi Q / V) \int_0^c r erfc(alpha r) dr, the mean of the short range within its cutoff c, so that the
        potential has mean zero; -pi Q / (alpha^2 V) for an endless one.
        """
        return neutralizing_constant(self.split, self.particles.total_charge, self.volume)

    def __call__(self, points: ArrayLike) -> Array:
        """Return the potential at `points`.

        Parameters
        ----------
        points : (m, 3) float64
            Anywhere, angstrom, on the device of the particles. At a point closer than 1e-8 angstrom to a particle or an
            image of one the result is the potential of all the others, and of the particle's own further images.

        Returns
        -------
        (m,) float64, e/angstrom

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        """
        return self.evaluate(points, gradient=False)[:, 0]

    def field(self, points: ArrayLike) -> Array:
        """Return the electric field, minus the gradient, at `points` (m, 3): (m, 3) in e/angstrom^2."""
        return -self.evaluate(points, gradient=True)[:, 1:]

    def on_grid(self, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Array:
        """Return the potential on the tensor grid of three axes, anywhere in space.

        Parameters
        ----------
        x, y, z : (nx,), (ny,), (nz,) float64
            Coordinates in angstrom, in any order, on the device of the particles.

        Returns
        -------
        (nx, ny, nz) float64, e/angstrom

        Notes
        -----
        The modes are products of functions of x, y and z where the lattice has a period along x and another in the xy
        plane: three matrix products, and 4 flops a point and mode of the first axis. `cell` may have other rows, see
        `triangular_basis`. No grid along the axes is one of products for a lattice that is turned at will: there the
        long range takes 18^3 multiplications a point.
        """
        xp = self._xp
        axes = [as_finite(v, name, shape=(None,), xp=xp) for v, name in zip((x, y, z), "xyz")]
        for axis, name in zip(axes, "xyz"):
            if namespace(axis) is not xp:
                raise DeviceMismatchError(f"{name} and the particles lie on different devices; move one of them first")
        if min(map(len, axes)) == 0:
            return xp.empty(tuple(map(len, axes)))
        if self._slab is None:
            return self._periodic_grid(axes)
        ends = xp.stack(xp.meshgrid(*(xp.stack([axis.min(), axis.max()]) for axis in axes)), axis=-1).reshape(-1, 3)
        fit = self._fit(ends)
        assert fit._slab is not None
        return fit._periodic_grid(axes) + fit._slab.on_grid(axes)

    def _periodic_grid(self, axes: list[Array]) -> Array:
        """Sum over three periods on a grid."""
        if (basis := self._basis) is not None and basis is not self._cell:
            return self._rebased._periodic_grid(axes)
        n_points = math.prod(map(len, axes))
        if n_points > MANY_NODES:
            return self._for_grid(n_points)._on_own_grid(axes)
        return self._on_own_grid(axes)

    def _on_own_grid(self, axes: list[Array]) -> Array:
        """Sum modes and pairs of this split on a grid."""
        xp, basis = self._xp, self._basis
        orders = [xp.argsort(axis) for axis in axes]
        axes = [xp.ascontiguousarray(axis[order]) for axis, order in zip(axes, orders)]
        out = (
            self._long_range_by_points(axes)
            if basis is None
            else modes_on_axes(self.modes, self._inverse, self.n_modes, axes)
        )
        out += self.background
        self._add_short_to_grid(out, axes)
        if all(bool((order[1:] > order[:-1]).all()) for order in orders):
            return out
        rows, columns, layers = (xp.argsort(order) for order in orders)
        return out[rows][:, columns][:, :, layers]

    @functools.cached_property
    def _basis(self) -> Array | None:
        """The cell if its rows form a lower triangle, or other periods that do; None if there are none."""
        cell = to_host(self._cell)
        if np.abs(np.triu(cell, 1)).max() <= 1e-14 * np.abs(cell).max():
            return self._cell
        return triangular_basis(cell)

    @functools.cached_property
    def _rebased(self) -> PeriodicPotential:
        """The same potential with a cell whose rows form a lower triangle."""
        result = PeriodicPotential.__new__(PeriodicPotential)
        particles = replace(self.particles, cell=to_device(self._basis, self._xp))
        result.modes = result._fourier(result._prepare(particles, self.tol, self.alpha, self.kernel, False))
        return result

    def _for_grid(self, points: int) -> PeriodicPotential:
        """Return the same potential, split so that a grid of so many points and its sums over charges cost least."""
        reach, density = self.split.cutoff * self.alpha, self.particles.n / self.volume
        choices = {p: reach / (3 * p / (4 * math.pi * density)) ** (1 / 3) for p in GRID_PAIRS}
        pairs = min(choices, key=lambda p: self._grid_seconds(points, p, choices[p]))
        if choices[pairs] < 1.2 * self.alpha or math.isinf(self._grid_seconds(points, pairs, choices[pairs])):
            return self
        if self._grid_split is None or self._grid_split[0] != pairs:
            found = PeriodicPotential(self.particles, self.tol, kernel=self.kernel, alpha=choices[pairs])
            self._grid_split = pairs, found
        return self._grid_split[1]

    def _grid_seconds(self, points: int, pairs: float, alpha: float) -> float:
        counts = mode_counts(to_host(self._cell), 2 * alpha * math.sqrt(math.log(10 / self.tol)))
        if math.prod(counts) > MANY_MODES:
            return math.inf
        long = POINT_SECONDS if self._basis is None else MODE_SECONDS * (2 * counts[0] + 1)
        grid = mode_boxes(counts, MOMENT_DEGREE, 0.1 * self.tol)
        build = min(factor_seconds(counts, self.particles.n, grid))
        return points * (NODE_SECONDS + PAIR_SECONDS * pairs + long) + build

    def _long_range_by_points(self, axes: list[Array]) -> Array:
        """Evaluate the long range point by point, for a cell along which the axes of the grid do not lie."""
        xp, out = self._xp, self._xp.empty(tuple(map(len, axes)))
        step = max(1, CHUNK // (len(axes[1]) * len(axes[2])))
        for rows in (slice(start, start + step) for start in range(0, len(axes[0]), step)):
            points = xp.stack(xp.meshgrid(axes[0][rows], *axes[1:], indexing="ij"), axis=-1).reshape(-1, 3)
            fractions = xp.ascontiguousarray(wrapped_fractions(points, self._cell))
            values = xp.empty((len(points), 1))
            self._expansion.evaluate_into(values, fractions, Tiles.of(fractions, self._expansion.grid))
            out[rows] = values.reshape(out[rows].shape)
        return out

    def _add_short_to_grid(self, out: Array, axes: list[Array]) -> None:
        """Add the short range of all images near the grid, slab by slab so that they stay few."""
        low, high = (np.array([float(axis[side]) for axis in axes]) for side in (0, -1))
        around = high - low + 2 * self.split.cutoff
        images = self.particles.n * float(around.prod()) / self.volume
        step = max(1, int(len(axes[0]) * MANY_IMAGES / images)) if images > MANY_IMAGES else len(axes[0])
        for start in range(0, len(axes[0]), step):
            rows = slice(start, start + step)
            low[0], high[0] = float(axes[0][rows][0]), float(axes[0][rows][-1])
            sides = low - self.split.cutoff, high + self.split.cutoff
            positions, charges = images_in_box(self._fractions, self.particles.charges, self._cell, *sides)
            if len(charges):
                ShortRange.of(positions, charges, self.split).add_to_grid(out[rows], axes[0][rows], axes[1], axes[2])

    @np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
    def virial(self) -> np.ndarray:
        """Return the virial -dE / d strain of a cell, or of a slab, (3, 3) in e^2/angstrom, on the host."""
        lacking = 0.0 if self._slab is None else self._slab.virial()
        return np.asarray(without_overflow(lacking - strain_derivative(self), "the virial"))

    @property
    def promises(self) -> tuple[str, ...]:
        """The quantities that `tol` holds for."""
        return QUANTITIES

    @functools.cached_property
    def _scene(self) -> Scene:
        return Scene(*self._sources, self._short.sources[:, :3], cell=self._lattice)

    def scene(self) -> Scene:
        """Return places and charges of the particles, and of what may be near them."""
        return self._scene

    def exact(self, points: ArrayLike, gradient: bool, apart: float = COINCIDENT) -> Array:
        """Return potentials (m, 1), or potentials and gradients (m, 4), by `ewald_sum` at a hundredth of `tol`."""
        tol = max(EXACT_SHARE * self.tol, 1e-14)
        values = ewald_values if self._slab is None else slab_values
        return values(self.particles, points, tol, gradient, apart, self.kernel)

    def exact_cost(self) -> int:
        """Return the pairs that a point of Ewald's sum takes."""
        return EWALD_PAIRS * self.particles.n

    def evaluate(self, points: ArrayLike, gradient: bool, apart: float = COINCIDENT) -> Array:
        """Return potentials (m, 1), or potentials and gradients (m, 4), at `points` (m, 3).

        Charges within `apart` of a point are left out.
        """
        xp = self._xp
        points = as_points(points, xp=xp)
        if namespace(points) is not xp:
            raise DeviceMismatchError("points and the particles lie on different devices; move one of them first")
        if (fit := self._fit(points)) is not self:
            return fit.evaluate(points, gradient, apart)
        return self._summed(points, gradient, apart)

    def smooth_at(self, rows: Any, gradient: bool) -> Array:
        """Return the long range at the charges `rows`, (m, 1), or it and its gradient, (m, 4)."""
        if is_all(rows, self.particles.n) and self._slab is None:
            return self._long_range_at(self._fractions, self._own_tiles, gradient)
        return self._summed(self.particles.positions[rows], gradient, COINCIDENT, pairs=False)

    @functools.cached_property
    def _own_tiles(self) -> Tiles:
        return Tiles.of(self._fractions, self._expansion.grid)

    def _long_range_at(self, fractions: Array, tiles: Tiles, gradient: bool) -> Array:
        """Return modes and background at fractional coordinates in the cell, in their tiles."""
        out = self._xp.empty((len(fractions), 4 if gradient else 1))
        self._expansion.evaluate_into(out, fractions, tiles)
        if gradient:
            whole = np.eye(4)
            whole[1:, 1:] = to_host(self._inverse).T
            out = out @ to_device(whole, self._xp)
        out[:, 0] += self.background
        return out

    def _summed(self, points: Array, gradient: bool, apart: float, pairs: bool = True) -> Array:
        out = self._xp.empty((len(points), 4 if gradient else 1))
        for start in range(0, len(points), CHUNK):
            self._evaluate_chunk(points[start : start + CHUNK], out[start : start + CHUNK], apart, pairs)
        if apart > COINCIDENT:
            p = self.particles
            rows, near = near_long_range(points, p.positions, p.charges, p.cell, self.split.gaussians, apart)
            out[rows] -= near[:, : out.shape[1]]
        if self._slab is not None:
            self._slab.add_to(out, points)
        return out

    def _fit(self, points: Array) -> PeriodicPotential:
        """Return this potential, or that of a slab whose images are farther, for points far along its normal."""
        if self._slab is None or (needed := self._slab.needed_reach(points, self.particles.positions)) <= (
            self._slab.reach * (1 + 1e-12)
        ):
            return self
        if self._taller is None or self._taller._fit(points) is not self._taller:
            taller = PeriodicPotential.__new__(PeriodicPotential)
            k_max = taller._prepare(self.particles, self.tol, self.alpha, self.kernel, True, 1.1 * needed)
            taller.modes = taller._fourier(k_max)
            self._taller = taller
        return self._taller

    def _evaluate_chunk(self, points: ArrayLike, out: Array, apart: float, pairs: bool) -> None:
        fractions = self._xp.ascontiguousarray(wrapped_fractions(points, self._cell))
        out[:] = self._long_range_at(fractions, Tiles.of(fractions, self._expansion.grid), out.shape[1] == 4)
        if pairs:
            self._short.add_at(out, self._xp.ascontiguousarray(fractions @ self._cell), apart)
