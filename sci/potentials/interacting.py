"""Energies, forces and derivatives of charges that act on each other, from the potential that all of them make."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from sci.arguments import entry
from sci.backend import Array, ArrayLike, namespace, to_host
from sci.distributed import agreed, allgather_rows
from sci.potentials.forcefield.corrections import apply_exclusions, listed_pairs, pair_terms
from sci.potentials.measured.measure import Measured
from sci.potentials.pairs.at_charges import pairs_at_charges
from sci.potentials.particles import Particles, without_overflow
from sci.potentials.radial.kernels import RadialKernel
from sci.potentials.radial.split import COINCIDENT, Split

__all__ = ["Interacting", "is_all"]


def is_all(rows: Any, count: int) -> bool:
    """Return True if `rows` are a slice of all of `count` entries."""
    return isinstance(rows, slice) and rows.indices(count) == (0, count, 1)


@entry
class Interacting(Measured):
    """A potential whose own charges act on each other, but for the pairs that their exclusions leave out or scale.

    Subclasses give the sums over all charges; pairs are taken out of them by a list, however the sums are made.
    """

    particles: Particles | None
    split: Split
    comm: Any = None
    _sources: tuple[Array, Array]
    """Positions (n, 3) and charges (n,) of all ranks."""
    _lattice: np.ndarray | None = None
    """The periods as rows, on the host, where there are any."""
    _own: slice = slice(None)
    """This rank's particles among those of all."""

    @property
    def kernel(self) -> RadialKernel:
        """The radial kernel K."""
        return self.split.kernel

    @property
    def excluding(self) -> Particles | None:
        """All particles, those of other ranks too, if some of their pairs are left out or scaled."""
        return None if self.particles is None or self.particles.exclusions is None else self.particles

    @abstractmethod
    def exact(self, points: ArrayLike, gradient: bool, apart: float = COINCIDENT) -> Array:
        """Return the same without the approximations of this potential."""

    @abstractmethod
    def evaluate(self, points: ArrayLike, gradient: bool, apart: float = COINCIDENT) -> Array:
        """Return potentials (m, 1), or potentials and gradients (m, 4), at `points` (m, 3).

        Charges within `apart` of a point are left out.
        """

    @abstractmethod
    def smooth_at(self, rows: Any, gradient: bool) -> Array:
        """Return the long range at the charges `rows`, (m, 1), or it and its gradient, (m, 4)."""

    def sums_at(self, rows: Any, gradient: bool) -> Array:
        """Return potentials (m, 1), or with gradients (m, 4), at the charges `rows`, a slice or numbers of all ranks'.

        Every pair is summed once, in the precision that `tol` asks for, and by every rank that calls.
        """
        charges = self._sources[1]
        listed = None if self.excluding is None else listed_pairs(self.excluding)
        left_out = None if listed is None else pair_terms(listed, charges, self.kernel, 4 if gradient else 1)
        found = pairs_at_charges(
            *self._sources, self.split, self.tol, lattice=self._lattice, gradient=gradient, left_out=left_out
        )
        return found[rows] + self.smooth_at(rows, gradient)

    def places_of(self, rows: Array) -> Array:
        """Return the positions (s, 3) of the particles `rows`, as they were given: images of a slab are elsewhere."""
        if self.particles is None or self.particles.cell is None:
            return super().places_of(rows)
        return namespace(rows).ascontiguousarray(self.particles.positions[rows])

    def unit(self) -> tuple[float, float]:
        """Return the potential and the field of a charge at about the distance where the ranges part."""
        charges = self._sources[1]
        size = float(namespace(charges).abs(charges).max()) * (self.split.gaussians.at_zero + 1 / self.split.cutoff)
        return size, size * self.split.alpha

    def at_particles(self, gradient: bool) -> Array:
        """Return potentials (n, 1), or with gradients (n, 4), at this rank's particles: of all others that count.

        Parameters
        ----------
        gradient : bool

        Returns
        -------
        (n, 1) or (n, 4) float64, e/angstrom and e/angstrom^2
        """
        found, xp = self.sums_at(self._own, gradient), namespace(self._sources[0])
        if self.excluding is None:
            return found
        rows = None if is_all(self._own, self.excluding.n) else xp.arange(self.excluding.n)[self._own]
        return apply_exclusions(found, self.excluding, self.kernel, self.evaluate, rows)

    @np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
    def energy(self) -> float:
        """Return 1/2 sum_i q_i phi(y_i), of one cell if there is one, less what exclusions leave out, e^2/angstrom.

        Collective. For isolated charges the error is at most about 10 tol relative to the sum of the absolute pair
        terms.

        Raises
        ------
        InvalidValueError
            If the energy overflows float64.
        """
        with agreed(self.comm, "energy"):
            terms = self._own_arrays()[1] * self.at_particles(gradient=False)[:, 0]
        return self._half_sum(terms)

    @np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
    def forces(self) -> Array:
        """Return the forces q_i E(y_i) on this rank's particles, (n, 3) in e^2/angstrom^2, less those left out."""
        charges = self._own_arrays()[1]
        return without_overflow(-charges[:, None] * self.at_particles(gradient=True)[:, 1:], "forces")

    @np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
    def energy_and_forces(self) -> tuple[float, Array]:
        """Return `energy` and `forces` from one evaluation at the particles. Collective."""
        with agreed(self.comm, "energy_and_forces"):
            charges, found = self._own_arrays()[1], self.at_particles(gradient=True)
            terms = charges * found[:, 0]
            forces = without_overflow(-charges[:, None] * found[:, 1:], "forces")
        return self._half_sum(terms), forces

    @np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
    def charge_gradient(self) -> Array:
        """Return dE / dq_i of this rank's particles, (n,) in e/angstrom, at fixed places.

        The energy is quadratic in the charges, so that dE / dq_i is the potential at particle i of all others that
        count, of its own images and of the background of a cell.
        """
        return without_overflow(self.at_particles(gradient=False)[:, 0], "the derivatives by the charges")

    @np.errstate(over="ignore", invalid="ignore")  # told by `without_overflow`
    def virial(self) -> np.ndarray:
        r"""Return the virial W_ab = -dE / d strain_ab = \sum r_a f_b over pairs, (3, 3) in e^2/angstrom, on the host.

        Collective. Its trace is the energy of unscreened neutral charges without scaled pairs, or with them.

        Notes
        -----
        For isolated charges \sum_i x_i f_i about the middle, made symmetric. For a cell, strain changes positions and
        periods; the stress is -W / V.
        """
        with agreed(self.comm, "virial"):
            places, _ = self._own_arrays()
            middle = self._sources[0].mean(axis=0)
            terms = (places - middle)[:, :, None] * self.forces()[:, None, :]
        found = to_host(allgather_rows(terms.reshape(-1, 9), self.comm)).sum(axis=0).reshape(3, 3)
        return np.asarray(without_overflow(0.5 * (found + found.T), "the virial"))

    def without_exclusions(self, rows: Array, found: Array, exact: Array) -> tuple[Array, Array]:
        """Return values of two sums at the particles `rows` without the pairs that are left out."""
        if self.excluding is None:
            return found, exact
        sums = zip((found, exact), (self.evaluate, self.exact))
        one, other = (apply_exclusions(v, self.excluding, self.kernel, apart, rows) for v, apart in sums)
        return one, other

    def _half_sum(self, terms: Array) -> float:
        """Return half the sum of the terms of all ranks; its bits do not depend on how many there are."""
        total = np.float64(0.5 * float(allgather_rows(terms, self.comm).sum()))
        return float(without_overflow(total, "the energy"))

    def _own_arrays(self) -> tuple[Array, Array]:
        if self.particles is None:
            xp = namespace(self._sources[0])
            return xp.empty((0, 3)), xp.empty(0)
        return self.particles.positions, self.particles.charges
