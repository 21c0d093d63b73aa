"""What is left to the network of the labels of configurations, their statistics, and the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from sci.atomistic.configuration import Configuration
from sci.atomistic.interactions import Interactions, coulomb_terms, interactions_of
from sci.atomistic.long_range import coulomb_energy
from sci.atomistic.neighbors import Neighborhood, joined
from sci.atomistic.potential import AtomisticPotential
from sci.atomistic.training.config import PotentialTraining
from sci.errors import InvalidValueError
from sci.nn import matmul, reshape

__all__ = ["Labels", "Samples", "batch_loss", "labels_of", "sample_errors", "statistics_of"]

ROUNDING = 1e-10
"""Part of the energies of atoms below which the rest of energies says nothing."""


@dataclass(frozen=True, eq=False)
class Labels:
    """Energy, forces and virial of a configuration without the parts that are not the network's; None if unknown.

    Parameters
    ----------
    n : int
        Atoms.
    energy : float, eV, optional
    forces : (n, 3) float64, eV/angstrom, optional
    virial : (3, 3) float64, eV, optional
        dE / d(strain).
    interactions : Interactions, optional
        Of charges that are learned; the labels have Coulomb's part, then.
    charge : float, e
        What learned charges sum to.
    """

    n: int
    energy: float | None
    forces: np.ndarray | None
    virial: np.ndarray | None
    interactions: Interactions | None = None
    charge: float = 0.0

    def __repr__(self) -> str:
        known = [name for name in ("energy", "forces", "virial") if getattr(self, name) is not None]
        return f"Labels({self.n} atoms: {', '.join(known)})"


def labels_of(configuration: Configuration, potential: AtomisticPotential, which: int) -> Labels:
    """Return the labels of a configuration without Coulomb's part, or with what makes it of charges that are learned.

    Raises
    ------
    InvalidValueError
        For a configuration without any, or without charges that are to be given.
    """
    energy, forces = configuration.energy, configuration.forces
    virial = None if configuration.stress is None else configuration.volume * np.asarray(configuration.stress)
    if energy is None and forces is None and virial is None:
        raise InvalidValueError(
            f"configuration {which} (counted from 0) has no energy, forces or stress; expected one at least"
        )
    if potential.config.charges in (None, "learned"):
        plain = Labels(configuration.n, energy, None if forces is None else np.asarray(forces), virial)
        if potential.config.charges is None:
            return plain
        charge = 0.0 if configuration.charges is None else float(np.sum(configuration.charges))
        made = interactions_of(configuration, strain=virial is not None)
        return replace(plain, interactions=made, charge=charge)
    long = coulomb_energy(configuration, potential.config, stress=virial is not None)
    return Labels(
        configuration.n,
        None if energy is None else energy - long.energy,
        None if forces is None else forces - long.forces,
        None if virial is None or long.stress is None else virial - configuration.volume * long.stress,
    )


def statistics_of(near: Sequence[Neighborhood], labels: Sequence[Labels], n_species: int) -> dict[str, np.ndarray]:
    """Return the energies of single atoms, the scale and the mean number of neighbors of configurations.

    Notes
    -----
    "shift" is the least-squares solution, of least norm, of the energies by composition; "scale" the root mean square
    of the force components, or without forces of the rest of the energies per atom.
    """
    shift, rest = np.zeros(n_species), np.zeros(0)
    rows = [k for k, one in enumerate(labels) if one.energy is not None]
    if rows:
        counts = np.array([np.bincount(near[k].species, minlength=n_species) for k in rows], dtype=float)
        energies, atoms = np.array([labels[k].energy for k in rows]), counts.sum(axis=1)
        shift = np.linalg.lstsq(counts / atoms[:, None], energies / atoms, rcond=1e-10)[0]
        rest = (energies - counts @ shift) / atoms
    forces = [one.forces.ravel() for one in labels if one.forces is not None]
    values = np.concatenate(forces) if forces else rest
    scale = float(np.sqrt((values**2).mean())) if values.size else 0.0
    if not forces and scale < ROUNDING * np.abs(shift).max(initial=0.0):
        scale = 0.0  # compositions explain the energies but for rounding
    pairs, atoms = sum(int(n.present.sum()) for n in near), sum(len(n.species) for n in near)
    found = {"shift": shift, "scale": np.array([scale or 1.0]), "neighbors": np.array([max(1.0, pairs / atoms)])}
    return found


@dataclass(frozen=True, eq=False)
class Samples:
    """Neighborhoods and labels of configurations; a batch is those of several."""

    near: Sequence[Neighborhood]
    labels: Sequence[Labels]
    cutoff: float

    def __repr__(self) -> str:
        return f"Samples({len(self)} configurations)"

    def __len__(self) -> int:
        return len(self.near)

    def __getitem__(self, indices: np.ndarray) -> tuple[Neighborhood, list[Labels]]:
        chosen = [int(k) for k in indices]
        return joined([self.near[k] for k in chosen], self.cutoff), [self.labels[k] for k in chosen]

    def without(self, shift: np.ndarray) -> Samples:
        """Return the samples without the energies of single atoms."""
        left = [
            one if one.energy is None else replace(one, energy=one.energy - float(shift[at.species].sum()))
            for one, at in zip(self.labels, self.near)
        ]
        return Samples(self.near, left, self.cutoff)


def sample_errors(potential: AtomisticPotential, samples: Samples, own: range) -> np.ndarray:
    """Return the sums of `sci.atomistic.errors.error_sums` of energy per atom and forces over some of the samples."""
    sums = np.zeros(7)
    for k in own:
        truth = samples.labels[k]
        energy, forces, _ = _outputs(potential, potential.parameters, samples.near[k], [truth])
        if truth.energy is not None:
            sums[:2] += ((float(energy[0]) - truth.energy) / truth.n) ** 2, 1
        if truth.forces is not None:
            sums[2:4] += ((forces - truth.forces) ** 2).sum(), forces.size
    return sums


def batch_loss(potential: AtomisticPotential, config: PotentialTraining) -> Any:
    """Return the loss of a batch of `Samples`: the mean over its configurations, in units of the scale."""
    scale, dtype = float(potential.statistics["scale"][0]), potential.dtype

    def loss(variables: Mapping[str, Any], batch: Any) -> Any:
        near, labels = batch
        energy, forces, virials = _outputs(potential, variables, near, labels)
        total: Any = None
        for found, truth, weight in (
            (energy, *_of_energies(labels, config.energy_weight)),
            (forces, *_of_forces(labels, config.force_weight)),
            (virials, *_of_virials(labels, config.stress_weight)),
        ):
            if weight.any():
                root = np.sqrt(weight / len(labels)) / scale
                part = (((found - truth.astype(dtype)) * root.astype(dtype)) ** 2).sum()
                total = part if total is None else total + part
        return energy.sum() * 0.0 if total is None else total  # no label of this batch has a weight

    return loss


def _outputs(
    potential: AtomisticPotential, parameters: Mapping[str, Any], near: Neighborhood, labels: Sequence[Labels]
) -> tuple[Any, Any, Any]:
    """Return energies, forces and virials of a batch, with Coulomb's part of charges that are learned."""
    if potential.config.charges != "learned":
        return potential.forward(parameters, near)
    sums = (near.owner == np.arange(len(labels))[:, None]).astype(potential.dtype)
    counts = sums.sum(axis=1, keepdims=True)
    made = potential.network_charges(parameters, near)
    totals = np.array([[one.charge] for one in labels], dtype=potential.dtype)
    charges = made + matmul(sums.T, (totals - matmul(sums, made)) / counts)
    parts: Any = [one.interactions for one in labels]
    potentials, pulls, strains = coulomb_terms(charges, parts=parts)
    slopes = potentials - matmul(sums.T, matmul(sums, potentials) / counts)
    energy, forces, virials = potential.forward(parameters, near, slopes)
    rest = matmul(sums, charges * potentials * 0.5 - made * slopes)
    return energy + reshape(rest, shape=(len(labels),)), forces + pulls, virials + strains


def _of_energies(labels: Sequence[Labels], weight: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the energies of a batch, and the weight of each square."""
    truth = np.array([one.energy or 0.0 for one in labels])
    return truth, np.array([weight / one.n**2 if one.energy is not None else 0.0 for one in labels])


def _of_forces(labels: Sequence[Labels], weight: float) -> tuple[np.ndarray, np.ndarray]:
    truth = [np.zeros((one.n, 3)) if one.forces is None else one.forces for one in labels]
    weights = [np.full((one.n, 1), 0.0 if one.forces is None else weight / (3 * one.n)) for one in labels]
    return np.concatenate(truth), np.concatenate(weights)


def _of_virials(labels: Sequence[Labels], weight: float) -> tuple[np.ndarray, np.ndarray]:
    truth = [np.zeros((3, 3)) if one.virial is None else one.virial for one in labels]
    weights = [0.0 if one.virial is None else weight / (9 * one.n**2) for one in labels]
    return np.array(truth), np.array(weights)[:, None, None]
