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

Charges: TypeAlias = Mapping[str, float] | Literal["given"]


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
    charges : dict of float, or "given", optional
        Charges in e of each species, or those of each configuration: their Coulomb energy over all distances, and all
        images, is added to that of the network. None adds none.
    tol : float
        Relative error of the Coulomb forces.

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
        if self.charges is None or self.charges == "given":
            return
        if not isinstance(self.charges, Mapping):
            raise InvalidValueError(f"charges is {self.charges!r}; expected a dict by species, 'given' or None")
        found = {str(name): float(q) for name, q in self.charges.items()}
        if set(found) != set(self.species):
            odd = ", ".join(sorted(set(found) ^ set(self.species)))
            raise InvalidValueError(f"charges and species differ in {odd}; expected a charge for each species")
        if not all(math.isfinite(q) for q in found.values()):
            raise InvalidValueError(f"charges are {found}; expected finite numbers")
        object.__setattr__(self, "charges", {name: found[name] for name in self.species})

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        long = ""
        if self.charges is not None:
            given = "given" if self.charges == "given" else ", ".join(f"{k} {q:g}" for k, q in self.charges.items())
            long = f"; charges {given}"
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
        charges = dict(self.charges) if isinstance(self.charges, Mapping) else self.charges
        return {**found, "species": list(self.species), "charges": charges}

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
