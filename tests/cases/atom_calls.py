"""One right call of every public function and class of `sci.atomistic`, to be spoiled argument by argument."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from atom_cases import molecule, potential
from entry_calls import Call, call

from sci import atomistic
from sci.atomistic import Configuration

PLACES = np.array([[0.0, 0.0, 0.0], [2.4, 0.0, 0.0]])
CELL = 6.0 * np.eye(3)


def _atomistic() -> dict[str, Call]:
    made = potential(layers=1, channels=2, n_radial=2, hidden=2)
    learned = potential(layers=1, channels=2, n_radial=2, hidden=2, charges="learned")
    labels = {"charges": np.array([1.0, -1.0]), "energy": -4.0, "forces": 0.1 * PLACES, "stress": np.eye(3)}
    pair = Configuration(["Na", "Cl"], PLACES, CELL, **labels)
    config = atomistic.PotentialTraining(epochs=1, batch_size=1)
    near = made.neighborhood(pair)
    return {
        "AtomisticConfig": call(
            *(atomistic.AtomisticConfig, ["Na", "Cl"], 4.0), charges="learned", charge_start={"Na": 1.0, "Cl": -1.0}
        ),
        "AtomisticConfig.from_options": call(atomistic.AtomisticConfig.from_options, made.config.to_options()),
        "AtomisticPotential": call(atomistic.AtomisticPotential, made.config, seed=1, dtype=np.float64),
        "AtomisticPotential.charges": call(learned.charges, pair),
        "AtomisticPotential.forward": call(learned.forward, learned.parameters, near, np.ones((2, 1))),
        "AtomisticPotential.from_state": call(atomistic.AtomisticPotential.from_state, made.to_state()),
        "AtomisticPotential.neighborhood": call(made.neighborhood, pair, 0),
        "AtomisticPotential.network_charges": call(learned.network_charges, learned.parameters, near),
        "AtomisticPotential.numbers": call(made.numbers, pair, 0),
        "AtomisticPotential.with_parameters": call(made.with_parameters, made.parameters, made.statistics),
        "Configuration": call(Configuration, ["Na", "Cl"], PLACES, CELL, (True, True, True), **labels),
        "Configuration.strained": call(pair.strained, 0.01 * np.eye(3)),
        "PotentialTraining": call(atomistic.PotentialTraining, 2, 1, 0.01, clip=1.0, average=0.9),
        "Prediction": call(atomistic.Prediction, -4.0, 0.1 * PLACES, np.eye(3)),
        "Predictions": call(atomistic.Predictions, [pair], [made(pair)]),
        "ionic_melt": call(
            atomistic.ionic_melt, 2, 1, density=1.5, temperature=900.0, between=1, start=1, time_step=1.0, seed=0
        ),
        "neighbor_pairs": call(atomistic.neighbor_pairs, PLACES, 3.0, cell=CELL, periodic=(True, True, False)),
        "predict_configurations": call(atomistic.predict_configurations, made, [molecule()]),
        "predict_on_ranks": call(
            atomistic.predict_on_ranks, made, ["Na", "Cl"], PLACES, cell=CELL, periodic=(True, True, True)
        ),
        "prediction_errors": call(atomistic.prediction_errors, made, [pair]),
        "radial_basis": call(atomistic.radial_basis, np.array([1.0, 2.0]), 4.0, 3),
        "salt_energy": call(atomistic.salt_energy, pair, tol=1e-6),
        "train_potential": call(atomistic.train_potential, made, [pair], config, tests={"t": [pair]}, seed=1),
    }


ROOMS: dict[str, Callable[[], dict[str, Call]]] = {"atomistic": _atomistic}
