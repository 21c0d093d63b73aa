"""The choices of a potential of atoms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sci.arguments import entry
from sci.atomistic.configuration import Names
from sci.errors import InvalidValueError

__all__ = ["AtomisticConfig"]

Charges: TypeAlias = Mapping[str, float] | Literal["given", "learned"]


@entry
@dataclass(frozen=True)
class AtomisticConfig:
    """What an `AtomisticPotential` is made of.

    Parameters
    ----------
    species : sequence of str
        Kinds of atoms that the potential knows.
    cutoff : float, angstrom
        Reach of a layer.
    layers : int
        Atoms feel others up to `layers` times the cutoff away.
    channels : int
        Features of an atom and degree.
    degree : int
        Largest degree L of the harmonics of neighbors; 0 knows distances alone.
    message_degree : int
        Largest degree of the features that neighbors send, at most `degree`.
    correlation : int
        Factors of the products of neighbor densities, 1 to 4: a layer sees up to `correlation` neighbors at once.
    n_radial : int
        Radial functions.
    hidden : int
        Width of the last readout.
    charges : dict of float, "given" or "learned", optional
        Charges in e of each species, those of each configuration, or charges that the network makes of the surroundings
        of each atom: their Coulomb energy over all distances, and all images, is added to that of the network. None
        adds none.
    tol : float
        Relative error of the Coulomb forces.
    charge_start : dict of float, optional
        Charges in e of each species that learned ones start from; 0 unless given.

    Raises
    ------
    InvalidValueError

    Examples
    --------
    >>> from sci.atomistic import AtomisticConfig
    >>> AtomisticConfig(["Na", "Cl"], cutoff=5.0, charges={"Na": 1.0, "Cl": -1.0})
    AtomisticConfig(Na, Cl; 2 layers of cutoff 5, 16 channels, degree 2, 3 factors; charges Na 1, Cl -1)
    """

    species: Names
    cutoff: float = 5.0
    layers: int = 2
    channels: int = 16
    degree: int = 2
    message_degree: int = 1
    correlation: int = 3
    n_radial: int = 8
    hidden: int = 16
    charges: Charges | None = None
    tol: float = 1e-6
    charge_start: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        names = tuple(str(name) for name in self.species)
        if isinstance(self.species, str) or not names or len(set(names)) != len(names):
            raise InvalidValueError(f"species is {self.species!r}; expected different names, one at least")
        object.__setattr__(self, "species", names)
        if not 0 < self.cutoff < math.inf:
            raise InvalidValueError(f"cutoff is {self.cutoff}; expected a positive number (angstrom)")
        bounds = {"layers": (1, 8), "channels": (1, 1024), "degree": (0, 8), "correlation": (1, 4)}
        bounds |= {"message_degree": (0, self.degree), "n_radial": (1, 64), "hidden": (1, 1024)}
        for name, (low, high) in bounds.items():
            if not low <= getattr(self, name) <= high:
                raise InvalidValueError(f"{name} is {getattr(self, name)}; expected an integer from {low} to {high}")
        if not 1e-11 <= self.tol <= 0.1:
            raise InvalidValueError(f"tol is {self.tol}; expected a number from 1e-11 to 0.1")
        self._check_charges()

    def _check_charges(self) -> None:
        if self.charge_start is not None:
            if self.charges != "learned":
                raise InvalidValueError(
                    f"charge_start is {self.charge_start!r} beside charges={self.charges!r}; expected it with "
                    "charges='learned' alone"
                )
            object.__setattr__(self, "charge_start", self._by_species(self.charge_start, "charge_start"))
        if self.charges is None or self.charges in ("given", "learned"):
            return
        if not isinstance(self.charges, Mapping):
            raise InvalidValueError(
                f"charges is {self.charges!r}; expected a dict by species, 'given', 'learned' or None"
            )
        object.__setattr__(self, "charges", self._by_species(self.charges, "charges"))

    def _by_species(self, charges: Mapping[str, float], name: str) -> dict[str, float]:
        """Return charges in the order of the species, each of which must have one."""
        found = {str(key): float(q) for key, q in charges.items()}
        if set(found) != set(self.species):
            odd = ", ".join(sorted(set(found) ^ set(self.species)))
            raise InvalidValueError(f"{name} and species differ in {odd}; expected a charge for each species")
        if not all(math.isfinite(q) for q in found.values()):
            raise InvalidValueError(f"{name} are {found}; expected finite numbers")
        return {key: found[key] for key in self.species}

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        long = ""
        if self.charges is not None:
            table = self.charges if isinstance(self.charges, Mapping) else {}
            long = f"; charges {', '.join(f'{k} {q:g}' for k, q in table.items()) or self.charges}"
        return (
            f"AtomisticConfig({', '.join(self.species)}; {self.layers} layer{'s' * (self.layers > 1)} of cutoff "
            f"{self.cutoff:g}, {self.channels} channels, degree {self.degree}, {self.correlation} factors{long})"
        )

    @property
    def reach(self) -> float:
        """Largest distance between atoms that feel each other through the network, angstrom."""
        return self.layers * self.cutoff

    def to_options(self) -> dict[str, Any]:
        """Return the fields as JSON has them.

        Returns
        -------
        dict
        """
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        tables = {name: dict(found[name]) for name in ("charges", "charge_start") if isinstance(found[name], Mapping)}
        return {**found, "species": list(self.species), **tables}

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> AtomisticConfig:
        """Return the configuration of `to_options`.

        Parameters
        ----------
        options : dict

        Returns
        -------
        AtomisticConfig

        Raises
        ------
        InvalidValueError
        """
        try:
            return cls(**options)
        except TypeError as error:
            raise InvalidValueError(f"the options of a potential are {sorted(options)}: {error}") from error


def names_in(species: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return the different names in the species of configurations, in alphabetical order."""
    return tuple(sorted({name for names in species for name in names}))
