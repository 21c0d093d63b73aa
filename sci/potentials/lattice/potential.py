"""Finite crystals of any size: the lattice sum of a Gaussian is a product of three one-dimensional sums."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, as_finite, as_points, namespace, to_device, to_host
from sci.chebyshev import nodes, values_to_coefficients
from sci.errors import DeviceMismatchError, InvalidValueError
from sci.potentials.direct import direct_sum_packed
from sci.potentials.lattice.defects import Defect
from sci.potentials.lattice.sites import LatticeSites, as_repeats, orthogonal_periods
from sci.potentials.lattice.sums import WEIGHTS
from sci.potentials.measured.measure import Measured
from sci.potentials.measured.places import Scene
from sci.potentials.particles import Particles
from sci.potentials.radial.kernels import Coulomb
from sci.potentials.radial.split import split_kernel
from sci.potentials.range_separated.assemble import long_range_degrees
from sci.potentials.range_separated.potential import RangeSeparatedPotential
from sci.potentials.range_separated.short_range import ShortRange
from sci.tensor import CP, ChebTuck
from sci.tensor.boxes.grid import BoxGrid, Tiles
from sci.tensor.chebtuck.function import as_box

__all__ = ["LatticePotential"]

NEIGHBORS = 100
"""Ions within the cutoff that the default split aims at."""
WHOLE_DEGREE = 200
"""Largest degree at which the default region is the whole crystal."""
PART_SHARE = 0.01
"""Tolerance of cutoff and tensor over that of the potential."""
FEW_POINTS = 64
"""Points in the region up to which the one-dimensional sums themselves are taken."""
MARGIN = 2.0
"""Angstrom around the ions in a region that is the whole crystal."""
MANY_SITES = 200_000
SUMMED_IONS, SUM_ROUNDING = 1 << 19, 1e-15
"""Ions up to which errors are measured against sums over all of them, and the error of such a sum for each ion."""
OTHER_ALPHA, OTHER_TOL = 1.3, 0.01
"""Exponent and tolerance, over those of this potential, of the one that it is compared with in larger crystals."""
LEAST_TOL = 1e-13
POINT_BLOCK = 1024


@entry
class LatticePotential(Measured):
    """The electrostatic potential of a finite crystal with defects, whatever its size.

    The charges of one orthogonal cell are repeated L1 x L2 x L3 times. Split as in `RangeSeparatedPotential`, each
    Gaussian of the long range sums over a sublattice to sum_ijk g(x - y_ijk) = S1(x1) S2(x2) S3(x3), so time and
    memory grow with L1 + L2 + L3 and the logarithm of the size, not with the number of ions. The short range is the
    exact sum over the ions within the cutoff.

    Parameters
    ----------
    particles : Particles
        Ions of one cell; `cell` has its periods along x, y and z. Cell (i, j, k) is shifted by (i a, j b, k c).
    repeats : (int, int, int)
    tol : float
        Relative L2 error of potential and field, 1e-13 to 0.1.
    defects : sequence of Vacancy, Substitution, Interstitial
        At most one for each site.
    weights : "plain", "evjen" or "smooth"
        "plain" is the crystal as cut. "evjen" counts the ions on its faces, edges and corners 1/2, 1/4 and 1/8, and
        puts them on both sides. "smooth" lets the charges fade out over the outer half of the crystal, which leaves
        no surface: inside, the potential is that of the infinite crystal, with mean zero, up to about
        exp(-(L/8)^2), so that 48 cells give full precision for any neutral cell.
    domain : three (float, float), optional
        The region that is put into the Chebyshev-Tucker format for many points. The whole crystal with a margin of
        2 angstrom if that takes at most degree 200, else the cell in the middle. Points elsewhere are right too, at
        the cost of one-dimensional sums for each.
    alpha : float, optional
        Largest exponent of the long range, 1/angstrom.
    reach : float, optional
        Farthest distance in angstrom of a point from the box of the ions along any axis, as the Gaussians hold for a
        range of distances. By default the diagonal of that box, and at least 20.

    Raises
    ------
    InvalidValueError
        For a cell that is not orthogonal, repeats below 1, defects that do not exist, or two ions at one place.

    Notes
    -----
    Errors are measured on `domain`, against the sum over all ions of a crystal of up to half a million of them, whose
    rounding is small beside `tol`; in others against the sums of this class at a hundredth of `tol`, but at least
    1e-13, with an exponent 1.3 times as large, on which the true potential does not depend.

    Not collective: every rank may hold the object and evaluate its own points. The CP rank of the long range
    is K (4 + 3 n) for n ions a cell and K Gaussians; the terms are grouped so that those of a neutral cell do not
    cancel, see `AxisLattice.sums`.

    References
    ----------
    V. Khoromskaia, B. N. Khoromskij, Comput. Phys. Commun. 185 (2014) 3162 (lattice sums of canonical vectors);
    H. M. Evjen, Phys. Rev. 39 (1932) 675. Grouping, smooth weights and evaluation without a grid are ours.

    Examples
    --------
    >>> from sci.potentials import LatticePotential, Particles
    >>> cscl = Particles([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5]], [1.0, -1.0], cell=[[1, 0, 0], [0, 1, 0], [0, 0, 1]])
    >>> phi = LatticePotential(cscl, (60, 60, 60), tol=1e-10, weights="smooth")
    >>> round(-phi.at_site(0, (30, 30, 30)) * 3**0.5 / 2, 8)
    1.76267477
    """

    quantities = ("potential", "field")

    def __init__(
        self,
        particles: Particles,
        repeats: Sequence[int],
        tol: float = 1e-8,
        *,
        defects: Sequence[Defect] = (),
        weights: str = "plain",
        domain: Any = None,
        alpha: float | None = None,
        reach: float | None = None,
    ) -> None:
        self.periods = orthogonal_periods(particles)
        self.particles, self.repeats = particles, as_repeats(repeats)
        if not LEAST_TOL <= tol <= 0.1:
            raise InvalidValueError(f"tol is {tol}; expected a number from 1e-13 to 0.1")
        if weights not in WEIGHTS:
            raise InvalidValueError(f"weights is {weights!r}; expected one of {', '.join(WEIGHTS)}")
        self.tol, self.weights = tol, weights
        self._xp = namespace(particles.positions)
        self.defects = tuple(defects)
        self._sites = LatticeSites.of(particles, self.periods, self.repeats, self.defects, weights)
        spacing = (math.prod(self.periods) / particles.n) ** (1 / 3)
        if alpha is None:
            alpha = math.sqrt(math.log(1 / self._part_tol)) / ((3 * NEIGHBORS / (4 * math.pi)) ** (1 / 3) * spacing)
        self._crystal = self._sites.bounds()
        diagonal = math.dist(*self._crystal)
        self.reach = max(diagonal, 20.0) if reach is None else float(as_finite(reach, "reach", shape=()))
        if not self.reach > 0:
            raise InvalidValueError(f"reach is {reach} angstrom; expected a positive number")
        self.split = split_kernel(Coulomb(), self._part_tol, diagonal + math.sqrt(3) * self.reach, alpha)
        self.domain = as_box(domain) if domain is not None else self._default_domain()
        self._check_reach(*np.array(self.domain).T)
        self._sites.check_places()

    def __repr__(self) -> str:
        cells = " x ".join(map(str, self.repeats))
        return (
            f"LatticePotential({self.n_sites} ions in {cells} cells, tol={self.tol:g}, weights={self.weights!r}, "
            f"{len(self.defects)} defects, alpha={self.split.alpha:.3g}, cutoff={self.split.cutoff:.3g})"
        )

    def _default_domain(self) -> Any:
        low, high = self._crystal
        whole = as_box(list(zip(low - MARGIN, high + MARGIN)))
        if max(long_range_degrees(self.split.alpha, whole, self._eps)) <= WHOLE_DEGREE:
            return whole
        return as_box([(n // 2 * a, (n // 2 + 1) * a) for n, a in zip(self.repeats, self.periods)])

    def _check_reach(self, low: np.ndarray, high: np.ndarray) -> None:
        beyond = float(max((self._crystal[0] - low).max(), (high - self._crystal[1]).max()))
        if beyond > self.reach:
            raise InvalidValueError(
                f"points lie up to {beyond:.6g} angstrom outside of the box of the ions, beyond the reach "
                f"{self.reach:.6g}; pass reach={beyond:.3g} or more when building"
            )

    @property
    def _part_tol(self) -> float:
        """Tolerance of cutoff and tensor, so that `tol` holds where equal charges add up, and for fields."""
        return max(PART_SHARE * self.tol, 1e-14)

    @property
    def _eps(self) -> float:
        return max(0.1 * self._part_tol, 1e-15)

    @property
    def n_sites(self) -> int:
        """Number of ions of positive weight, without defects: beyond 10^9 in a crystal of 1000 cells an edge."""
        return self._sites.count

    def position(self, particle: int, cell: Sequence[int]) -> Array:
        """Return the place (3,) of particle `particle` of the cell with indices `cell`, angstrom."""
        return self._xp.asarray(self._sites.position(particle, cell))

    def at_site(self, particle: int, cell: Sequence[int]) -> float:
        """Return the potential, e/angstrom, of all other ions at a site; times the ion's charge it is its energy."""
        return float(self(self.position(particle, cell)[None])[0])

    def sites_in(self, domain: Any) -> tuple[Array, Array]:
        """Return positions (n, 3) and charges (n,) of the ions in a box, n >= 0, with their weights and defects."""
        positions, charges = self._sites.within(*np.array(as_box(domain)).T)
        return to_device(positions, self._xp), to_device(charges, self._xp)

    def long_range_terms(self, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> CP:
        """Return the long range on the tensor grid of three axes, as a CP tensor.

        Parameters
        ----------
        x, y, z : (nx,), (ny,), (nz,) float64, angstrom

        Returns
        -------
        CP, shape (nx, ny, nz)
            K (4 + 3 n) terms for n ions a cell, and K more for each defect, whatever the size of the crystal.

        Notes
        -----
        With S = M + D for each axis and sublattice, sum_s q_s S1 S2 S3 is grouped by the number of D: M1 M2 M3 has the
        cell's charge as factor and vanishes for a neutral one.
        """
        xp, gaussians = self._xp, self.split.gaussians
        t, w = gaussians.exponents, to_device(gaussians.weights, self._xp)
        q = to_device(self._sites.charges, xp)
        means, parts = zip(*(axis.sums(v, t) for axis, v in zip(self._sites.axes, (x, y, z))))
        each = [d[axis.which] for d, axis in zip(parts, self._sites.axes)]
        totals = [xp.tensordot(q, d, axes=1) for d in each]
        m1, m2, m3 = means
        neutral = math.fsum(self._sites.charges)
        terms = [(neutral * w, m1, m2, m3), (w, totals[0], m2, m3), (w, m1, totals[1], m3), (w, m1, m2, totals[2])]
        for charge, d1, d2, d3 in zip(self._sites.charges.tolist(), *each):
            terms += [(charge * w, d1, d2, m3 + d3), (charge * w, d1, m2, d3), (charge * w, m1, d2, d3)]
        for place, change in self._sites.defect_charges():
            g = [xp.exp(-((v[:, None] - p) ** 2) * xp.asarray(t**2)) for v, p in zip((x, y, z), place)]
            terms.append((change * w, g[0], g[1], g[2]))
        weights, *factors = (xp.concatenate(column, axis=-1) for column in zip(*terms))
        return CP(weights, tuple(factors))

    @functools.cached_property
    def long_range(self) -> ChebTuck:
        """The long range on `domain` in the Chebyshev-Tucker format; built when first needed."""
        return self._long_range_on(self.domain)

    def _long_range_on(self, domain: Any) -> ChebTuck:
        degrees = long_range_degrees(self.split.alpha, domain, self._eps)
        device: Any = "cpu" if self._xp is np else "cuda"
        values = self.long_range_terms(*(nodes(d, i, device=device) for d, i in zip(degrees, domain)))
        series = CP(values.weights, tuple(values_to_coefficients(f) for f in values.factors))
        return ChebTuck.from_cp_coefficients(series, domain, self._part_tol)

    @functools.cached_property
    def _region(self) -> RangeSeparatedPotential:
        return self._region_of(self.long_range)

    def _region_of(self, long_range: ChebTuck) -> RangeSeparatedPotential:
        """Return the potential on the box of `long_range`, with the ions that its short range needs."""
        around = [(a - self.split.cutoff, b + self.split.cutoff) for a, b in long_range.domain]
        positions, charges = self.sites_in(around)
        if len(charges) == 0:  # far outside; a charge of zero stands for no ions
            positions, charges = self._xp.asarray([[a for a, _ in around]]), self._xp.zeros(1)
        return RangeSeparatedPotential.from_parts(Particles(positions, charges), long_range, self.split, self._part_tol)

    @property
    def promises(self) -> tuple[str, ...]:
        """The quantities that `tol` holds for."""
        return self.quantities

    @functools.cached_property
    def _scene(self) -> Scene:
        period = max(self.periods)
        around = self.sites_in([(a - period, b + period) for a, b in self.domain])[0]
        return Scene(*self.sites_in(self.domain), around, domain=self.domain)

    def scene(self) -> Scene:
        """Return places and charges of the ions of `domain`, and places of their neighbors."""
        return self._scene

    @functools.cached_property
    def _all_ions(self) -> Array:
        """All ions, packed as (n, 4)."""
        positions, charges = self.sites_in(list(zip(self._crystal[0] - MARGIN, self._crystal[1] + MARGIN)))
        return self._xp.ascontiguousarray(self._xp.concatenate([positions, charges[:, None]], axis=1))

    @functools.cached_property
    def _other(self) -> LatticePotential:
        """The same potential with another split."""
        return LatticePotential(
            self.particles,
            self.repeats,
            max(OTHER_TOL * self.tol, LEAST_TOL),
            defects=self.defects,
            weights=self.weights,
            domain=self.domain,
            alpha=OTHER_ALPHA * self.split.alpha,
            reach=self.reach,
        )

    def exact(self, points: ArrayLike, gradient: bool) -> Array:
        """Return potentials (m, 1), or potentials and gradients (m, 4), by all ions or by another split."""
        if self.n_sites > min(SUMMED_IONS, self.tol / SUM_ROUNDING):
            return self._other.evaluate(points, gradient)
        return direct_sum_packed(points, self._all_ions, Coulomb(), gradient)

    def exact_cost(self) -> int:
        """Return the number of ions that are summed for a point."""
        return min(self.n_sites, SUMMED_IONS)

    def unit(self) -> tuple[float, float]:
        """Return the potential and the field of a charge at about the distance where the ranges part."""
        largest = float(np.abs(self._sites.charges).max())
        size = largest * (self.split.gaussians.at_zero + 1 / self.split.cutoff)
        return size, size * self.split.alpha

    def evaluate(self, points: ArrayLike, gradient: bool) -> Array:
        """Return potentials (m, 1), or potentials and gradients (m, 4), at `points` (m, 3)."""
        value = self(points)[:, None]
        return self._xp.concatenate([value, -self.field(points)], axis=1) if gradient else value

    def __call__(self, points: ArrayLike) -> Array:
        """Return the potential at `points`.

        Parameters
        ----------
        points : (m, 3) float64
            Angstrom, on the device of the particles. At a point closer than 1e-8 angstrom to an ion the result is the
            potential of all the others.

        Returns
        -------
        (m,) float64, e/angstrom

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError, DeviceMismatchError
        """
        points = self._points(points)
        inside = self._inside(points)
        if int(inside.sum()) <= FEW_POINTS:
            return self._summed(points)
        out = self._xp.empty(len(points))
        out[inside] = self._region(self._xp.ascontiguousarray(points[inside]))
        out[~inside] = self._summed(self._xp.ascontiguousarray(points[~inside]))
        return out

    def field(self, points: ArrayLike) -> Array:
        """Return the electric field, minus the gradient, at `points` (m, 3): (m, 3) in e/angstrom^2.

        Outside of `domain` the format is built for each cell of the lattice, or of its continuation, that holds points.
        """
        points = self._points(points)
        inside = self._inside(points)
        out = self._xp.empty((len(points), 3))
        if bool(inside.any()):
            out[inside] = self._region.field(self._xp.ascontiguousarray(points[inside]))
        cells = np.floor(to_host(points) / self.periods).astype(int)
        outside = ~to_host(inside)
        for cell in np.unique(cells[outside], axis=0):
            box = as_box([(i * p, (i + 1) * p) for i, p in zip(cell.tolist(), self.periods)])
            chosen = self._xp.asarray(np.flatnonzero(outside & (cells == cell).all(axis=1)))
            region = self._region_of(self._long_range_on(box))
            out[chosen] = region.field(self._xp.ascontiguousarray(points[chosen]))
        return out

    def on_grid(self, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> Array:
        """Return the potential on the tensor grid of three ascending axes, (nx, ny, nz), e/angstrom.

        Within `domain` the Chebyshev-Tucker format serves, elsewhere the CP one: near 2 K (4 + 3 n) flops a
        point, at any place of a crystal of any size.
        """
        xp = self._xp
        axes = [as_finite(v, name, shape=(None,), xp=xp) for v, name in zip((x, y, z), "xyz")]
        for axis, name in zip(axes, "xyz"):
            if bool((axis[1:] <= axis[:-1]).any()) or len(axis) == 0:
                raise InvalidValueError(f"{name} does not ascend, or is empty; sort it, and drop duplicates")
        edges = np.array([[float(v[0]), float(v[-1])] for v in axes]).T
        self._check_reach(*edges)
        if all(a <= first and last <= b for first, last, (a, b) in zip(*edges, self.domain)):
            return self._region.on_grid(*axes)
        out = self.long_range_terms(*axes).to_dense()
        short = self._short(edges[0], edges[1])
        if short is not None:
            short.add_to_grid(out, *axes)
        return out

    def _points(self, points: ArrayLike) -> Array:
        points = as_points(points, xp=self._xp)
        if namespace(points) is not self._xp:
            raise DeviceMismatchError("points and the cell's particles lie on different devices; move one of them")
        if len(points):
            self._check_reach(to_host(points.min(axis=0)), to_host(points.max(axis=0)))
        return points

    def _inside(self, points: ArrayLike) -> Array:
        low, high = (self._xp.asarray(side) for side in zip(*self.domain))
        return ((points >= low) & (points <= high)).all(axis=1)

    def _summed(self, points: ArrayLike) -> Array:
        """Evaluate by one-dimensional sums for every point."""
        out = self._xp.empty((len(points), 1))
        for start in range(0, len(points), POINT_BLOCK):
            rows = slice(start, start + POINT_BLOCK)
            terms = self.long_range_terms(*points[rows].T)
            out[rows, 0] = math.prod(terms.factors) @ terms.weights
        if len(points):
            self._add_short(out, points)
        return out[:, 0]

    def _add_short(self, out: Array, points: ArrayLike) -> None:
        """Add the short range; points that spread over too many ions are halved along their longest extent."""
        xp = self._xp
        low, high = (to_host(side) for side in (points.min(axis=0), points.max(axis=0)))
        around = high - low + 2 * self.split.cutoff
        if len(points) > 1 and len(self._sites.charges) * np.prod(around / self.periods) > MANY_SITES:
            order = xp.argsort(points[:, int(np.argmax(high - low))])
            for half in (order[: len(order) // 2], order[len(order) // 2 :]):
                part = xp.ascontiguousarray(out[half])
                self._add_short(part, xp.ascontiguousarray(points[half]))
                out[half] = part
            return
        short = self._short(low, high)
        if short is not None:
            box = tuple((float(a) - 1e-6, float(b) + 1e-6) for a, b in zip(low, high))
            short.add_to(out, points, Tiles.of(points, BoxGrid(box, (1, 1, 1))))

    def _short(self, low: np.ndarray, high: np.ndarray) -> ShortRange | None:
        positions, charges = self._sites.within(low - self.split.cutoff, high + self.split.cutoff)
        if len(charges) == 0:
            return None
        return ShortRange.of(to_device(positions, self._xp), to_device(charges, self._xp), self.split)
