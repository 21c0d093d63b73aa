"""Predictions of a potential for many configurations, beside what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sci.arguments import collective_entry, entry
from sci.atomistic.configuration import Configuration
from sci.atomistic.errors import error_sums, errors_of_sums
from sci.atomistic.potential import AtomisticPotential, Prediction
from sci.distributed import Comm, agreed, allgather_rows, size, split
from sci.errors import InvalidValueError, ShapeError

__all__ = ["Predictions", "predict_configurations"]


@entry
@dataclass(frozen=True, eq=False)
class Predictions:
    """Predictions for configurations.

    Parameters
    ----------
    configurations : sequence of Configuration
        With the labels that are known.
    predictions : sequence of Prediction
        One for each.

    Raises
    ------
    ShapeError
        Unless they fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import Configuration, Prediction, Predictions
    >>> atom = Configuration(["H"], [[0.0, 0.0, 0.0]], energy=-13.5)
    >>> found = Predictions([atom], [Prediction(-13.6, np.zeros((1, 3)))])
    >>> found
    Predictions(1 configuration, 1 atom)
    >>> round(found.errors["energy"], 6)
    0.1
    """

    configurations: Sequence[Configuration]
    predictions: Sequence[Prediction]

    def __post_init__(self) -> None:
        object.__setattr__(self, "configurations", tuple(self.configurations))
        object.__setattr__(self, "predictions", tuple(self.predictions))
        if len(self.configurations) != len(self.predictions) or not self.configurations:
            raise ShapeError(
                f"{len(self.predictions)} predictions for {len(self.configurations)} configurations; expected one for "
                "each, one at least"
            )
        for k, (one, found) in enumerate(zip(self.configurations, self.predictions)):
            if found.forces.shape != (one.n, 3):
                raise ShapeError(f"configuration {k} has {one.n} atoms, its prediction forces {found.forces.shape}")

    def __repr__(self) -> str:
        n, atoms = len(self.configurations), sum(one.n for one in self.configurations)
        return f"Predictions({n} configuration{'s' * (n > 1)}, {atoms} atom{'s' * (atoms > 1)})"

    @property
    def errors(self) -> dict[str, float]:
        """Errors beside the labels that are known, as `prediction_errors`."""
        return errors_of_sums(sum(map(error_sums, self.predictions, self.configurations), np.zeros(7)))


@collective_entry
def predict_configurations(
    potential: AtomisticPotential, configurations: Sequence[Configuration], *, comm: Comm = None
) -> Predictions:
    """Return the predictions of a potential for many configurations; the ranks share them.

    Parameters
    ----------
    potential : AtomisticPotential
    configurations : sequence of Configuration
        The same on all ranks.
    comm : mpi4py communicator, optional

    Returns
    -------
    Predictions
        The same on all ranks, and for any number of them.

    Raises
    ------
    InvalidValueError
        On every rank.

    Notes
    -----
    Collective over `comm`. A single large configuration is shared by `predict_on_ranks`.

    Examples
    --------
    >>> from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration, predict_configurations
    >>> atom = Configuration(["H"], [[0.0, 0.0, 0.0]])
    >>> predict_configurations(AtomisticPotential(AtomisticConfig(["H"])), [atom, atom])
    Predictions(2 configurations, 2 atoms)
    """
    with agreed(comm, "predict_configurations") as agreement:
        if not configurations:
            raise InvalidValueError("there are no configurations; expected one or more")
        if size(comm) > 1:
            agreement.same(potential=potential.to_state(), configurations=list(configurations))
        own = range(*split(len(configurations), comm).indices(len(configurations)))
        found = []
        for k in own:
            potential.numbers(configurations[k], k)
            found.append(potential(configurations[k]))
    if size(comm) == 1:
        return Predictions(configurations, found)
    return Predictions(configurations, _gathered(configurations, found, comm))


def _gathered(configurations: Sequence[Configuration], own: list[Prediction], comm: Comm) -> list[Prediction]:
    """Return the predictions of all ranks, in the order of the configurations."""
    head = np.array([[p.energy, *(np.zeros(9) if p.stress is None else p.stress.ravel())] for p in own]).reshape(-1, 10)
    rows = allgather_rows(head, comm)
    forces = allgather_rows(np.concatenate([np.zeros((0, 3)), *(p.forces for p in own)]), comm)
    ends = np.cumsum([one.n for one in configurations])
    found = []
    for one, row, end in zip(configurations, rows, ends):
        stress = row[1:].reshape(3, 3) if all(one.periodic or ()) else None
        found.append(Prediction(float(row[0]), forces[end - one.n : end], stress))
    return found
