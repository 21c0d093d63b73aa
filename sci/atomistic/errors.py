"""Errors of predictions beside the labels of configurations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sci.arguments import collective_entry
from sci.atomistic.configuration import Configuration
from sci.atomistic.potential import AtomisticPotential, Prediction
from sci.distributed import Comm, agreed, allreduce_sum, size, split
from sci.errors import InvalidValueError

__all__ = ["error_sums", "errors_of_sums", "prediction_errors"]


@collective_entry
def prediction_errors(
    potential: AtomisticPotential, configurations: Sequence[Configuration], *, comm: Comm = None
) -> dict[str, float]:
    """Return the errors of a potential on configurations with labels.

    Parameters
    ----------
    potential : AtomisticPotential
    configurations : sequence of Configuration
        The same on all ranks, which share them.
    comm : mpi4py communicator, optional

    Returns
    -------
    dict of float
        "energy": root mean square of the error of the energy per atom, eV; "force": of force components, eV/angstrom;
        "force_relative": the same over the root mean square of the forces; "stress": of entries, eV/angstrom^3. Only
        those of which there are labels.

    Raises
    ------
    InvalidValueError
        On every rank.

    Notes
    -----
    Collective over `comm`.

    Examples
    --------
    >>> from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration, prediction_errors
    >>> atom = Configuration(["H"], [[0.0, 0.0, 0.0]], energy=0.0, forces=[[0.0, 0.0, 0.0]])
    >>> sorted(prediction_errors(AtomisticPotential(AtomisticConfig(["H"])), [atom]))
    ['energy', 'force']
    """
    with agreed(comm, "prediction_errors") as agreement:
        if not configurations:
            raise InvalidValueError("there are no configurations; expected one or more")
        if size(comm) > 1:
            agreement.same(potential=potential.to_state(), configurations=list(configurations))
        total = np.zeros(7)
        for k in range(*split(len(configurations), comm).indices(len(configurations))):
            total += error_sums(potential(configurations[k]), configurations[k])
    return errors_of_sums(allreduce_sum(total, comm))


def error_sums(found: Prediction, truth: Configuration) -> np.ndarray:
    """Return squares of errors of energy per atom, forces and stress, their numbers, and the squares of forces."""
    sums = np.zeros(7)
    if truth.energy is not None:
        sums[:2] = ((found.energy - truth.energy) / truth.n) ** 2, 1
    if truth.forces is not None:
        sums[2:4] = ((found.forces - truth.forces) ** 2).sum(), found.forces.size
        sums[6] = (np.asarray(truth.forces) ** 2).sum()
    if truth.stress is not None and found.stress is not None:
        sums[4:6] = ((found.stress - truth.stress) ** 2).sum(), 9
    return sums


def errors_of_sums(sums: np.ndarray) -> dict[str, float]:
    """Return root mean squares from the sums of `error_sums`."""
    found = {}
    for name, at in (("energy", 0), ("force", 2), ("stress", 4)):
        if sums[at + 1] > 0:
            found[name] = float(np.sqrt(sums[at] / sums[at + 1]))
        if name == "force" and sums[6] > 0:
            found["force_relative"] = float(np.sqrt(sums[2] / sums[6]))
    return found
