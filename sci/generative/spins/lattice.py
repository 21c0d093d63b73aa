"""Energies of the Ising and Potts models on periodic grids, each bond counted once."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from sci.arguments import entry
from sci.backend import Array, namespace
from sci.errors import InvalidValueError, ShapeError

__all__ = ["IsingModel", "LatticeModel", "PottsModel", "require_beta"]


_LARGEST = 1e100
"""Of energies and exponents: sums and squares of them are numbers, too."""


def require_beta(beta: float, model: LatticeModel) -> None:
    """Raise InvalidValueError unless beta is finite, 0 or more, and beta E is representable for all states."""
    if not 0 <= beta < math.inf:
        raise InvalidValueError(f"beta is {beta}; expected a finite inverse temperature of 0 or more")
    if beta > _LARGEST or not beta * _most_energy(model) <= _LARGEST:
        raise InvalidValueError(
            f"beta is {beta} for {model!r}; expected beta and beta E of at most {_LARGEST:g}: a colder lattice is in a "
            "ground state"
        )


def _most_energy(model: LatticeModel) -> float:
    return math.prod(model.shape) * (len(model.shape) * abs(model.coupling) + abs(model.field))


def _check(model: LatticeModel) -> None:
    if not 1 <= len(model.shape) <= 3 or min(model.shape, default=0) < 2:
        raise ShapeError(f"a grid of shape {model.shape}; expected 1 to 3 axes of at least 2 sites each")
    if not (math.isfinite(model.coupling) and math.isfinite(model.field)):
        raise InvalidValueError(f"coupling {model.coupling} and field {model.field}; expected finite numbers")
    if not _most_energy(model) <= _LARGEST:
        raise InvalidValueError(
            f"coupling {model.coupling} and field {model.field}; expected energies of at most {_LARGEST:g}"
        )


def _checked_states(model: LatticeModel, states: Array) -> Array:
    if tuple(states.shape[-len(model.shape) :]) != model.shape:
        raise ShapeError(f"states of shape {tuple(states.shape)}; expected (..., {', '.join(map(str, model.shape))})")
    xp = namespace(states)
    if not bool(xp.isin(states, xp.asarray(model.values)).all()):
        raise InvalidValueError(f"states hold other values than {', '.join(map(str, model.values.tolist()))}")
    return states.astype(np.int8, copy=False)


def _sums(model: LatticeModel, states: Array) -> tuple[Array, Array]:
    """Return the sums over bonds and over sites, (...), exact integers."""
    axes = tuple(range(-len(model.shape), 0))
    xp = namespace(states)
    bonds = sum(model.alike(states, xp.roll(states, -1, axis=axis)).sum(axis=axes, dtype=np.int64) for axis in axes)
    return bonds, model.lifted(states).sum(axis=axes, dtype=np.int64)


@entry
@dataclass(frozen=True)
class IsingModel:
    """The energy E = -J sum over bonds of s s' - h sum over sites of s, spins s = +1 or -1, on a periodic grid.

    A bond joins each site and the next one along each axis, and is counted once: a grid has sites times axes bonds.
    Where an axis has two sites, the ring through them has two bonds between the same pair.

    Parameters
    ----------
    shape : tuple of int
        Sites along 1 to 3 axes, at least 2.
    coupling, field : float
        J and h, in units of the temperature scale that `beta` is given in.

    Raises
    ------
    ShapeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import IsingModel
    >>> model = IsingModel((4, 4), 0.5, 0.1)
    >>> model, float(model.energy(np.ones((4, 4), np.int8)))
    (IsingModel(4 x 4, coupling=0.5, field=0.1), -17.6)
    """

    shape: tuple[int, ...]
    coupling: float = 1.0
    field: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        _check(self)

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        return f"IsingModel({size}, coupling={self.coupling:g}, field={self.field:g})"

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return math.prod(self.shape)

    @property
    def n_states(self) -> int:
        """Number of the states of a site: 2."""
        return 2

    @property
    def values(self) -> np.ndarray:
        """The states of a site: -1 and +1."""
        return np.array([-1, 1], np.int8)

    def alike(self, a: Array, b: Array) -> Array:
        """Return s s', for spins at the two ends of bonds."""
        return a * b

    def lifted(self, a: Array) -> Array:
        """Return s."""
        return a

    def energy(self, spins: Array) -> Array:
        """Return the energies of spins (..., *shape), float64.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        bonds, sites = _sums(self, _checked_states(self, spins))
        return -self.coupling * bonds - self.field * sites

    def magnetization(self, spins: Array) -> Array:
        """Return the mean of the spins (..., *shape), float64."""
        return _sums(self, _checked_states(self, spins))[1] / self.n_sites


@entry
@dataclass(frozen=True)
class PottsModel:
    """The energy E = -J sum over bonds of [s = s'] - h sum over sites of [s = 0], states s = 0 ... q - 1.

    Bonds are those of `IsingModel`, each counted once. With q = 2 it is an Ising model of half the coupling and field,
    less a constant.

    Parameters
    ----------
    shape : tuple of int
        Sites along 1 to 3 axes, at least 2.
    n_states : int
        q, from 2 to 127.
    coupling, field : float
        J and h.

    Raises
    ------
    ShapeError, InvalidValueError

    Examples
    --------
    >>> import numpy as np
    >>> from sci.generative import PottsModel
    >>> model = PottsModel((3, 3), 4)
    >>> model, float(model.energy(np.zeros((3, 3), np.int8)))
    (PottsModel(3 x 3, 4 states, coupling=1, field=0), -18.0)
    """

    shape: tuple[int, ...]
    n_states: int
    coupling: float = 1.0
    field: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))
        _check(self)
        if not 2 <= self.n_states <= 127:
            raise InvalidValueError(f"n_states is {self.n_states}; expected 2 to 127 states of a site")

    def __repr__(self) -> str:
        size = " x ".join(map(str, self.shape))
        return f"PottsModel({size}, {self.n_states} states, coupling={self.coupling:g}, field={self.field:g})"

    @property
    def n_sites(self) -> int:
        """Number of sites."""
        return math.prod(self.shape)

    @property
    def values(self) -> np.ndarray:
        """The states of a site: 0 ... q - 1."""
        return np.arange(self.n_states, dtype=np.int8)

    def alike(self, a: Array, b: Array) -> Array:
        """Return 1 where the states at the two ends of bonds are the same, else 0."""
        return a == b

    def lifted(self, a: Array) -> Array:
        """Return 1 for sites in state 0, else 0."""
        return a == 0

    def energy(self, states: Array) -> Array:
        """Return the energies of states (..., *shape), float64.

        Raises
        ------
        ShapeError, InvalidValueError
        """
        bonds, sites = _sums(self, _checked_states(self, states))
        return -self.coupling * bonds - self.field * sites

    def magnetization(self, states: Array) -> Array:
        """Return (q f - 1) / (q - 1), f the fraction of sites in the most frequent state, (...) float64."""
        xp, axes = namespace(states), tuple(range(-len(self.shape), 0))
        states = _checked_states(self, states)
        most = xp.stack([(states == s).mean(axis=axes) for s in range(self.n_states)]).max(axis=0)
        return (self.n_states * most - 1) / (self.n_states - 1)


LatticeModel: TypeAlias = IsingModel | PottsModel
"""A model of few states a site whose energy is a sum over sites and bonds of a periodic grid."""
