"""Coulomb's energy of a configuration, with forces and stress, over all distances and images."""

from __future__ import annotations

from typing import Any

import numpy as np

from sci.atomistic.config import AtomisticConfig
from sci.atomistic.configuration import Configuration
from sci.atomistic.neighbors import completed_cell
from sci.distributed import Comm, agreed, allgather_rows, rank_of, size
from sci.errors import InvalidValueError
from sci.potentials import (
    Particles,
    PeriodicPotential,
    direct_sum,
    energy_and_forces,
    periodic_stress,
    plan_frames,
)
from sci.units import COULOMB

__all__ = ["Coulomb", "charges_of", "coulomb_energy", "coulomb_on_rows"]


class Coulomb:
    """Energy in eV, forces in eV/angstrom, and stress in eV/angstrom^3 of periodic charges.

    Parameters
    ----------
    energy : float
    forces : (n, 3) array
    stress : (3, 3) array, optional
    potentials : (n,) array, optional
        dE / dq of each charge, eV/e.
    """

    def __init__(
        self, energy: float, forces: np.ndarray, stress: np.ndarray | None, potentials: np.ndarray | None = None
    ) -> None:
        self.energy, self.forces, self.stress, self.potentials = energy, forces, stress, potentials

    def __repr__(self) -> str:
        return f"Coulomb({self.energy:.6g} eV, {len(self.forces)} charges)"


def charges_of(configuration: Configuration, config: AtomisticConfig) -> np.ndarray:
    """Return the charge of each atom, e.

    Raises
    ------
    InvalidValueError
        For a configuration without the charges that are to be given.
    """
    if config.charges == "given":
        if configuration.charges is None:
            raise InvalidValueError(f"{configuration!r} has no charges; the potential takes those of the configuration")
        return np.asarray(configuration.charges)
    table: Any = config.charges
    return np.array([table[name] for name in configuration.species])


def coulomb_energy(
    configuration: Configuration, config: AtomisticConfig, *, stress: bool = True, charges: np.ndarray | None = None
) -> Coulomb:
    """Return the Coulomb energy of a configuration and its derivatives; by strain where `stress` asks for it.

    Derivatives by the charges come with charges that are passed, as learned ones are.

    Raises
    ------
    InvalidValueError
        For atoms that repeat along one axis, or charges that are missing.
    """
    learned = charges is not None
    charges = charges_of(configuration, config) if charges is None else charges
    axes = _axes(configuration)
    if not charges.any():
        tensor = np.zeros((3, 3)) if axes == 3 else None
        return Coulomb(0.0, np.zeros((configuration.n, 3)), tensor, np.zeros(configuration.n))
    if axes:
        phi = _periodic(configuration, np.asarray(configuration.positions), charges, config)
        if learned:
            found = COULOMB * phi.at_particles(gradient=True)
            tensor = COULOMB * periodic_stress(phi) if stress and axes == 3 else None
            return _of_sums(charges, found[:, 0], found[:, 1:], tensor)
        energy, forces = phi.energy_and_forces()
        tensor = COULOMB * periodic_stress(phi) if stress and axes == 3 else None
        return Coulomb(COULOMB * energy, COULOMB * forces, tensor)
    particles = Particles(configuration.positions, charges)
    if learned:
        value, slope = direct_sum(particles, configuration.positions, gradient=True)
        return _of_sums(charges, COULOMB * value, COULOMB * slope, None)
    energy, forces = energy_and_forces(particles, plan_frames(particles, config.tol, accuracy="forces"))
    return Coulomb(COULOMB * energy, COULOMB * forces, None)


def _of_sums(charges: np.ndarray, value: np.ndarray, slope: np.ndarray, stress: np.ndarray | None) -> Coulomb:
    """Return energy and derivatives from the potential at the charges and its gradient."""
    return Coulomb(0.5 * float((charges * value).sum()), -charges[:, None] * slope, stress, value)


def _axes(configuration: Configuration) -> int:
    """Return the number of axes along which atoms with charges repeat; one is refused."""
    axes = sum(configuration.periodic or ())
    if axes == 1:
        raise InvalidValueError(
            f"{configuration!r}: Coulomb's energy of atoms that repeat along one axis alone; expected none, two or "
            "three axes"
        )
    return axes


def _periodic(
    frame: Configuration, positions: np.ndarray, charges: np.ndarray, config: AtomisticConfig
) -> PeriodicPotential:
    """Return the potential of charges that repeat along two or three axes of a cell."""
    axes = np.array(frame.periodic)
    cell = completed_cell(np.asarray(frame.cell), axes)[np.argsort(~axes, kind="stable")]
    return PeriodicPotential(Particles(positions, charges, cell=cell), config.tol, slab=not axes.all())


def coulomb_on_rows(
    positions: np.ndarray, charges: np.ndarray, config: AtomisticConfig, frame: Configuration, comm: Comm
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return this rank's part of Coulomb's energy and virial, (10,), the forces on its atoms, and dE / dq (collective).

    Parameters
    ----------
    positions : (n, 3) float64
    charges : (n,) float64
        Of this rank's atoms.
    config : AtomisticConfig
    frame : Configuration
        With the cell of all.
    comm : communicator
    """
    with agreed(comm, "Coulomb's energy"):
        axes = _axes(frame)
        mine = np.column_stack([positions, charges])
    everything = np.ascontiguousarray(allgather_rows(mine, comm))
    with agreed(comm, "Coulomb's energy"):
        sums, forces = np.zeros(10), np.zeros((len(mine), 3))
        if not everything[:, 3].any():
            return sums, forces, np.zeros(len(mine))
        places, all_charges = np.ascontiguousarray(everything[:, :3]), everything[:, 3].copy()
        points = np.ascontiguousarray(mine[:, :3])
        if axes:
            phi = _periodic(frame, places, all_charges, config)
            found = phi.evaluate(points, gradient=True)
            value, slope = found[:, 0], found[:, 1:]
            if axes == 3 and rank_of(comm) == size(comm) - 1:  # a sum over all charges, which one rank adds
                sums[1:] = COULOMB * phi.volume * periodic_stress(phi).ravel()
        else:
            value, slope = direct_sum(Particles(places, all_charges), points, gradient=True)
        sums[0] = 0.5 * COULOMB * float((charges * value).sum())
        return sums, -COULOMB * charges[:, None] * slope, COULOMB * value
