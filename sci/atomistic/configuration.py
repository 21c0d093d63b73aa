"""Atoms in space with what is known about them: the input of a potential, and the samples that it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, TypeAlias

import numpy as np

from sci.arguments import entry
from sci.atomistic.neighbors import checked_axes
from sci.backend import ArrayLike, as_finite, as_points
from sci.errors import InvalidValueError, ShapeError

__all__ = ["Configuration"]

SYMMETRIC = 1e-6
"""Part of its largest entry by which a stress may differ from its transpose."""

Names: TypeAlias = Annotated[Sequence[str], "names"]
"""Chemical symbols of atoms; any sequence of them is taken."""


@entry
@dataclass(frozen=True, eq=False)
class Configuration:
    """Atoms with a cell, and the energy, forces and stress that are known of them.

    Parameters
    ----------
    species : sequence of n str
        Chemical symbols, or any names that tell kinds of atoms apart.
    positions : (n, 3) float64, angstrom
    cell : (3, 3) float64, angstrom, optional
        The rows are the periods.
    periodic : (bool, bool, bool), optional
        Along which rows of the cell the atoms repeat; all three with a cell and none without, unless given.
    charges : (n,) float64, e, optional
    energy : float, eV, optional
    forces : (n, 3) float64, eV/angstrom, optional
    stress : (3, 3) float64, eV/angstrom^3, optional
        dE / d(strain) / V: positive where stretching costs energy. Of three periodic axes.

    Raises
    ------
    ShapeError, DTypeError
        For arrays that do not fit together.
    InvalidValueError
        For NaN or Inf, no atom at all, a cell without volume, axes that repeat without a cell, a stress that is not
        symmetric, or the stress of atoms that do not repeat along three axes.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import Configuration
    >>> Configuration(["Na", "Cl"], [[0.0, 0.0, 0.0], [2.8, 0.0, 0.0]], 5.6 * np.eye(3), energy=-7.9)
    Configuration(2 atoms: Cl 1, Na 1; periodic along 3 axes; energy)
    """

    species: Names
    positions: ArrayLike
    cell: ArrayLike | None = None
    periodic: Sequence[bool] | None = None
    charges: ArrayLike | None = None
    energy: float | None = None
    forces: ArrayLike | None = None
    stress: ArrayLike | None = None

    def __post_init__(self) -> None:
        """Check the arrays and bring them to contiguous float64."""
        positions = as_points(self.positions, "positions", xp=np)
        n = len(positions)
        names = tuple(str(name) for name in self.species)
        if n == 0:
            raise InvalidValueError("positions holds no atom; expected at least one row")
        if isinstance(self.species, str) or len(names) != n:
            raise ShapeError(f"species has {len(names)} names for {n} atoms; expected one for each")
        object.__setattr__(self, "positions", positions)
        object.__setattr__(self, "species", names)
        for name, shape in (("charges", (n,)), ("forces", (n, 3)), ("cell", (3, 3)), ("stress", (3, 3))):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, as_finite(getattr(self, name), name, shape=shape, xp=np))
        cell = None if self.cell is None else np.asarray(self.cell)
        object.__setattr__(self, "periodic", checked_axes(cell, self.periodic))
        if self.energy is not None:
            object.__setattr__(self, "energy", float(self.energy))
            if not np.isfinite(self.energy):
                raise InvalidValueError(f"energy is {self.energy}; expected a finite number")
        self._check_stress()

    def _check_stress(self) -> None:
        if self.stress is None:
            return
        if not all(self.periodic or ()):
            raise InvalidValueError("stress is given for atoms that do not repeat along three axes; leave it out")
        tensor = np.asarray(self.stress)
        if np.abs(tensor - tensor.T).max() > SYMMETRIC * np.abs(tensor).max():
            raise InvalidValueError(
                f"stress differs from its transpose by up to {np.abs(tensor - tensor.T).max():.3g}; expected a "
                "symmetric matrix: turning atoms and cell together costs no energy"
            )

    def __repr__(self) -> str:
        counts = ", ".join(f"{name} {self.species.count(name)}" for name in sorted(set(self.species)))
        axes = sum(self.periodic or ())
        parts = [f"{self.n} atoms: {counts}", f"periodic along {axes} axes" if axes else "isolated"]
        known = [name for name in ("charges", "energy", "forces", "stress") if getattr(self, name) is not None]
        return f"Configuration({'; '.join([*parts, ', '.join(known)] if known else parts)})"

    @property
    def n(self) -> int:
        """Number of atoms."""
        return len(self.positions)

    @property
    def volume(self) -> float:
        """Volume of the cell, angstrom^3; of atoms that repeat along three axes.

        Raises
        ------
        InvalidValueError
        """
        if not all(self.periodic or ()):
            raise InvalidValueError(f"{self!r} has no volume; expected atoms that repeat along three axes")
        return abs(float(np.linalg.det(np.asarray(self.cell))))

    def strained(self, strain: ArrayLike) -> Configuration:
        """Return the atoms, and the cell, after the linear map 1 + strain, without labels.

        Parameters
        ----------
        strain : (3, 3) float64
            A position x becomes x (1 + strain).

        Returns
        -------
        Configuration

        Raises
        ------
        ShapeError, DTypeError, InvalidValueError
        """
        moved = np.eye(3) + as_finite(strain, "strain", shape=(3, 3), xp=np)
        cell = None if self.cell is None else self.cell @ moved
        return replace(self, positions=self.positions @ moved, cell=cell, energy=None, forces=None, stress=None)
