"""Needs of potentials of atoms: time from a step on few configurations, memory from their neighbors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sci.atomistic import AtomisticPotential, Configuration, PotentialTraining, train_potential
from sci.cli.estimates.needs import Needs
from sci.cli.estimates.trial import attempt

__all__ = ["evaluation_bound", "evaluation_needs", "potential_needs", "training_bound"]

PACKING = 0.12
"""Atoms per cubic angstrom that no matter exceeds by much: a bound for the number of neighbors."""
SMALL = 2000
"""Atoms of the largest configuration that a trial computes."""


def _neighbors(potential: AtomisticPotential, one: Configuration) -> float:
    """Return more neighbors of an atom than there are."""
    ball = 4.19 * potential.config.cutoff**3
    density = PACKING
    if all(one.periodic or ()):
        density = max(density, 2 * one.n / one.volume)
    return ball * density if any(one.periodic or ()) else min(one.n, ball * density)


def _interactions(potential: AtomisticPotential, one: Configuration) -> float:
    """Return the bytes of the matrices of learned charges of a training."""
    if potential.config.charges != "learned":
        return 0.0
    return (32.0 if one.stress is None else 104.0) * one.n**2


def _bytes_of(potential: AtomisticPotential, one: Configuration) -> float:
    """Return more bytes than one evaluation takes."""
    config = potential.config
    functions = config.n_radial + (config.degree + 1) ** 2
    of_pairs = 8 * functions * (8 + len(config.species))
    points = (config.correlation * config.degree + 2) ** 2
    of_atoms = 8 * config.channels * (8 * points + 40 * (config.degree + 1) ** 2) * config.layers
    return one.n * (of_pairs * _neighbors(potential, one) + of_atoms)


def training_bound(potential: AtomisticPotential, configurations: Sequence[Configuration], batch: int) -> float:
    """Return more bytes than a training takes.

    Parameters
    ----------
    potential : AtomisticPotential
    configurations : sequence of Configuration
    batch : int
    """
    largest = sorted((_bytes_of(potential, one) for one in configurations), reverse=True)[:batch]
    held = sum(80.0 * one.n * _neighbors(potential, one) + _interactions(potential, one) for one in configurations)
    return 4 * sum(largest) + held + 128.0 * potential.n_parameters


def evaluation_bound(potential: AtomisticPotential, configurations: Sequence[Configuration]) -> float:
    """Return more bytes than an evaluation takes.

    Parameters
    ----------
    potential : AtomisticPotential
    configurations : sequence of Configuration
    """
    atoms = sum(one.n for one in configurations)
    return max(_bytes_of(potential, one) for one in configurations) + 400.0 * atoms


def potential_needs(
    potential: AtomisticPotential, configurations: Sequence[Configuration], config: PotentialTraining, ranks: int = 1
) -> Needs:
    """Return the needs of a training, from steps on one configuration of middle size.

    Parameters
    ----------
    potential : AtomisticPotential
    configurations : sequence of Configuration
    config : PotentialTraining
    ranks : int
        Processes that share every batch.
    """
    atoms = np.array([one.n for one in configurations])
    one = configurations[int(np.argsort(atoms, kind="stable")[len(atoms) // 2])]
    quick = replace(config, epochs=1, batch_size=1, patience=None)

    def steps(count: int) -> None:
        train_potential(potential, [one], replace(quick, epochs=count))

    steps(1)
    few, more = (attempt(lambda count=count: steps(count)).seconds for count in (1, 4))  # type: ignore[misc]
    step, rest = max(0.0, more - few) / 3, max(0.0, few - max(0.0, more - few) / 3)
    peak = attempt(lambda: steps(1), memory=True).peak
    share = atoms.sum() / one.n
    batch = min(config.batch_size, len(configurations)) / ranks
    held = sum(80.0 * c.n * _neighbors(potential, c) + _interactions(potential, c) for c in configurations)
    seconds = {"start": rest * share, "training": config.epochs * step * share / ranks}
    return Needs(peak * max(1.0, batch) + held, seconds)


def evaluation_needs(potential: AtomisticPotential, configurations: Sequence[Configuration], ranks: int = 1) -> Needs:
    """Return the needs of an evaluation, from the largest configuration that is small enough to try.

    Parameters
    ----------
    potential : AtomisticPotential
    configurations : sequence of Configuration
    ranks : int
        Processes that share the configurations, or the atoms of each.
    """
    largest = max(configurations, key=lambda c: c.n)
    small = [c for c in configurations if c.n <= SMALL]
    tried = max(small, key=lambda c: c.n) if small else min(configurations, key=lambda c: c.n)
    potential(tried)
    shown, watched = attempt(lambda: potential(tried)), attempt(lambda: potential(tried), memory=True)
    atoms = sum(c.n for c in configurations)
    memory = watched.peak * largest.n / tried.n + 400.0 * atoms
    return Needs(memory, {"evaluation": shown.seconds * atoms / tried.n / ranks})
