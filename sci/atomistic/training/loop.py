"""The training of a potential on energies, forces and stresses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.atomistic.configuration import Configuration
from sci.atomistic.errors import errors_of_sums
from sci.atomistic.potential import AtomisticPotential
from sci.atomistic.training.config import PotentialTraining
from sci.atomistic.training.labels import Samples, batch_loss, labels_of, sample_errors, statistics_of
from sci.distributed import Comm, agreed, allreduce_sum, size, split
from sci.distributed.canonical import canonical
from sci.errors import InvalidValueError
from sci.nn import Adam, Checkpoint, cosine, train
from sci.nn.training.data import digest

__all__ = ["train_potential"]


@collective_entry
def train_potential(
    potential: AtomisticPotential,
    configurations: Sequence[Configuration],
    config: PotentialTraining,
    *,
    tests: Mapping[str, Sequence[Configuration]] | None = None,
    seed: int = 0,
    save: Callable[[Checkpoint], None] | None = None,
    resume: Checkpoint | None = None,
    comm: Comm = None,
) -> tuple[AtomisticPotential, Checkpoint]:
    """Train a potential on the energies, forces and stresses of configurations.

    Parameters
    ----------
    potential : AtomisticPotential
        Where to start; not changed.
    configurations : sequence of Configuration
        With an energy, forces or a stress, each.
    config : PotentialTraining
    tests : dict of sequences of Configuration, optional
        After every epoch their errors go to the metrics: "energy_<name>" in eV an atom, "force_<name>" in eV/angstrom,
        both root mean squares.
    seed : int
        Of the order of the configurations.
    save, resume, comm
        See `sci.nn.train`; ranks share every batch. A checkpoint of other configurations, another potential or other
        settings is refused; `epochs` may grow where `config.horizon` stays.

    Returns
    -------
    potential : AtomisticPotential
        Of the last step, or of the average or the best epoch where `config` says so.
    history : Checkpoint

    Raises
    ------
    InvalidValueError, ShapeError, ConvergenceError
        On every rank; for configurations without labels, and atoms of a species that the potential does not know.

    Notes
    -----
    Collective over `comm`. Neighbors are found, and Coulomb's energies computed, once for all epochs.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration, PotentialTraining, train_potential
    >>> def pair(r):  # a spring of length 2
    ...     forces = np.outer([1.0, -1.0], [r - 2.0, 0.0, 0.0])
    ...     return Configuration(["H", "H"], [[0, 0, 0], [r, 0, 0]], energy=(r - 2.0) ** 2 / 2, forces=forces)
    >>> springs = [pair(r) for r in np.linspace(1.5, 2.5, 9)]
    >>> start = AtomisticPotential(AtomisticConfig(["H"], cutoff=4.0, layers=1, channels=4, degree=0, message_degree=0))
    >>> trained, history = train_potential(start, springs, PotentialTraining(epochs=60, learning_rate=0.02))
    >>> bool(abs(trained(pair(2.1)).forces[0, 0] - 0.1) < 0.05)
    True
    """
    with agreed(comm, "train_potential") as agreement:
        samples, start = _prepared(potential, configurations, config)
        shown = {name: _shown(start, name, some) for name, some in (tests or {}).items()}
        if config.patience is not None and not tests:
            raise InvalidValueError(f"patience is {config.patience} without tests; expected configurations to watch")
        found = digest(np.frombuffer(canonical(list(configurations)), np.uint8), *_kept_statistics(potential, config))
        if size(comm) > 1:
            agreement.same(potential=potential.to_state(), config=config, configurations=found)
            agreement.same(tests={name: list(some) for name, some in (tests or {}).items()})
            agreement.same(save=save and "given", resume=resume and "given")

    def evaluate(parameters: dict[str, Any]) -> dict[str, float]:
        made = start.with_parameters(parameters)
        metrics: dict[str, float] = {}
        for name, some in shown.items():
            own = range(*split(len(some), comm).indices(len(some)))
            errors = errors_of_sums(allreduce_sum(sample_errors(made, some, own), comm))
            metrics |= {f"{kind}_{name}": error for kind, error in errors.items()}
        return metrics

    first = next(iter(tests or ()), None)
    history = train(
        *(batch_loss(start, config), start.parameters, samples),
        optimizer=Adam(config.learning_rate),
        epochs=config.epochs,
        batch_size=config.batch_size,
        schedule=cosine(config.horizon or config.epochs),
        schedule_each="step",
        seed=seed,
        clip=config.clip,
        average=config.average,
        monitor=None if config.patience is None else f"force_{first}",
        patience=config.patience,
        evaluate=evaluate if tests else None,
        save=save,
        resume=resume,
        settings={"potential": potential.config.to_options(), "training": config.fixed(), "samples": found},
        comm=comm,
    )
    chosen = history.parameters if config.average is None else history.averaged
    if config.patience is not None:
        chosen = history.best
    return start.with_parameters(chosen), history


def _kept_statistics(potential: AtomisticPotential, config: PotentialTraining) -> list[np.ndarray]:
    """Return the statistics that a training takes from the potential, not from the configurations."""
    return [] if config.standardize else [potential.statistics[name] for name in sorted(potential.statistics)]


def _prepared(
    potential: AtomisticPotential, configurations: Sequence[Configuration], config: PotentialTraining
) -> tuple[Samples, AtomisticPotential]:
    """Return neighborhoods with the labels that are left to the network, and the potential with their statistics."""
    if not configurations:
        raise InvalidValueError("there are no configurations; expected one or more")
    near = [potential.neighborhood(one, which) for which, one in enumerate(configurations)]
    labels = [labels_of(one, potential, which) for which, one in enumerate(configurations)]
    statistics = potential.statistics
    if config.standardize:
        statistics = statistics_of(near, labels, len(potential.config.species))
    samples = Samples(near, labels, potential.config.cutoff).without(statistics["shift"])
    return samples, potential.with_parameters(potential.parameters, statistics)


def _shown(start: AtomisticPotential, name: str, configurations: Sequence[Configuration]) -> Samples:
    """Return test configurations with what is left to the network of their labels."""
    near = [start.neighborhood(one, which) for which, one in enumerate(configurations)]
    for which, one in enumerate(configurations):
        if one.energy is None and one.forces is None:
            raise InvalidValueError(f"tests: configuration {which} of {name!r} has neither energy nor forces")
    labels = [labels_of(one, start, which) for which, one in enumerate(configurations)]
    return Samples(near, labels, start.config.cutoff).without(start.statistics["shift"])
