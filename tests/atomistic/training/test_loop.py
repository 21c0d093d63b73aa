"""Trainings: exact gradients, learning, stops and starts bit for bit, ranks, and what the long range is worth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from atom_cases import potential
from thread_ranks import on_ranks

from sci.atomistic import (
    AtomisticConfig,
    AtomisticPotential,
    Configuration,
    PotentialTraining,
    ionic_melt,
    predict_configurations,
    prediction_errors,
    salt_energy,
    train_potential,
)
from sci.errors import InvalidValueError
from sci.io import load, save
from sci.nn import Checkpoint

IONS = {"Na": 1.0, "Cl": -1.0}
MELT = ionic_melt(4, 4, between=2, start=2, seed=3)
START = AtomisticPotential(AtomisticConfig(["Na", "Cl"], cutoff=3.6, channels=3, n_radial=3, hidden=4), seed=2)
QUICK = PotentialTraining(epochs=4, batch_size=2)


def far_pairs(count: int, seed: int) -> list[Configuration]:
    """Return two sodium and two chloride ions in a wide cell, many farther from each other than a cutoff."""
    rng, found = np.random.default_rng(seed), []
    while len(found) < count:
        places, cell = rng.uniform(0, 11.0, size=(4, 3)), 11.0 * np.eye(3)
        gaps = places[:, None] - places
        gaps -= 11.0 * np.round(gaps / 11.0)
        if np.linalg.norm(gaps, axis=-1)[np.triu_indices(4, 1)].min() < 2.6:
            continue
        plain = Configuration(("Na", "Na", "Cl", "Cl"), places, cell)
        exact = salt_energy(plain)
        found.append(replace(plain, energy=exact.energy, forces=exact.forces, stress=exact.stress))
    return found


def test_forces_that_come_from_far_need_the_charges():
    """With the same network, data and steps: alone it does not learn them, with the charges it does."""
    data, others = far_pairs(40, 0), far_pairs(6, 1)
    config = PotentialTraining(epochs=15, batch_size=4, learning_rate=0.02)
    errors = {}
    for name, charges in (("alone", None), ("sum", IONS)):
        plain = AtomisticConfig(["Na", "Cl"], cutoff=5.0, layers=1, channels=4, n_radial=8, charges=charges)
        trained, history = train_potential(AtomisticPotential(plain, seed=0), data, config, tests={"t": others})
        errors[name] = prediction_errors(trained, others)
        assert history.metrics["force_t"][-1] == pytest.approx(errors[name]["force"])
    assert errors["alone"]["force_relative"] > 0.5, errors
    assert errors["sum"]["force_relative"] < 0.1, errors
    assert errors["sum"]["energy"] < 0.1 * errors["alone"]["energy"], errors


def test_charges_are_learned_from_forces_that_come_from_far():
    """From half the charges of the ions, with no word about charges in the data."""
    data, others = far_pairs(40, 0), far_pairs(6, 1)
    start = {name: 0.5 * q for name, q in IONS.items()}
    plain = AtomisticConfig(["Na", "Cl"], layers=1, channels=4, charges="learned", charge_start=start)
    config = PotentialTraining(epochs=15, batch_size=4, learning_rate=0.03)
    trained, history = train_potential(AtomisticPotential(plain, seed=0), data, config, tests={"t": others})
    errors = prediction_errors(trained, others)
    assert history.metrics["force_t"][-1] == pytest.approx(errors["force"], rel=1e-4)
    assert errors["force_relative"] < 0.15, errors
    for one in others:
        np.testing.assert_allclose(np.abs(trained.charges(one)), 1.0, atol=0.05)


def test_a_training_that_was_stopped_goes_on_to_the_same_bits(tmp_path):
    whole, history = train_potential(START, MELT, QUICK, seed=5)
    kept: list[Checkpoint] = []

    def keep(checkpoint):
        save(tmp_path / f"run{len(kept)}.h5", checkpoint)
        kept.append(checkpoint)

    train_potential(START, MELT, QUICK, seed=5, save=keep)
    again, second = train_potential(START, MELT, QUICK, seed=5, resume=load(tmp_path / "run1.h5"))
    np.testing.assert_array_equal(second.losses, history.losses)
    save(tmp_path / "model.h5", again)
    loaded = load(tmp_path / "model.h5")
    for name, parameter in whole.parameters.items():
        np.testing.assert_array_equal(loaded.parameters[name], parameter)
    for name, values in whole.statistics.items():
        np.testing.assert_array_equal(loaded.statistics[name], values)
    assert loaded(MELT[0]).energy == whole(MELT[0]).energy
    for changed, words in (
        ({"config": replace(QUICK, force_weight=1.0)}, "force_weight"),
        ({"configurations": MELT[:3]}, "samples"),
        ({"configurations": [replace(one, species=one.species[::-1]) for one in MELT]}, "samples"),
        ({"potential": AtomisticPotential(replace(START.config, correlation=2), seed=2)}, "correlation"),
    ):
        given = {"potential": START, "configurations": MELT, "config": QUICK, **changed}
        with pytest.raises(InvalidValueError, match=words):
            train_potential(**given, seed=5, resume=kept[0])


def test_ranks_train_the_potential_of_one_process():
    alone, history = train_potential(START, MELT, QUICK, tests={"t": MELT[:3]})
    found = on_ranks(2, lambda comm: train_potential(START, MELT, QUICK, tests={"t": MELT[:3]}, comm=comm))
    for trained, own in found:
        np.testing.assert_allclose(own.losses, history.losses, rtol=1e-9)
        np.testing.assert_allclose(own.metrics["force_t"], history.metrics["force_t"], rtol=1e-8)
        np.testing.assert_allclose(trained.parameters["out"], alone.parameters["out"], atol=1e-9)


def test_averages_best_epochs_and_kept_statistics():
    tests = {"t": MELT[2:]}
    averaged, _ = train_potential(START, MELT, replace(QUICK, average=0.5))
    last, _ = train_potential(START, MELT, QUICK)
    assert (averaged.parameters["out"] != last.parameters["out"]).any()
    best, history = train_potential(START, MELT[:2], replace(QUICK, patience=2, learning_rate=0.2), tests=tests)
    least = history.metrics["force_t"].min()
    assert prediction_errors(best, MELT[2:])["force"] == pytest.approx(least, rel=1e-12)
    kept, _ = train_potential(last, MELT, replace(QUICK, epochs=1, standardize=False))
    np.testing.assert_array_equal(kept.statistics["shift"], last.statistics["shift"])


def test_single_precision_trains_too():
    start = AtomisticPotential(START.config, seed=2, dtype=np.float32)
    trained, history = train_potential(start, MELT, QUICK)
    _, exact = train_potential(START, MELT, QUICK)
    assert trained.parameters["out"].dtype == np.float32
    np.testing.assert_allclose(history.losses[:2], exact.losses[:2], rtol=1e-4)


def test_predictions_of_ranks_are_those_of_one_process():
    made = potential(charges=IONS)
    found = predict_configurations(made, MELT)
    for shared in on_ranks(3, lambda comm: predict_configurations(made, MELT, comm=comm)):
        for one, two in zip(found.predictions, shared.predictions):
            assert one.energy == two.energy
            np.testing.assert_array_equal(one.forces, two.forces)
            np.testing.assert_array_equal(one.stress, two.stress)
    assert found.errors == prediction_errors(made, MELT)


def test_refusals():
    bare = [Configuration(one.species, one.positions, one.cell) for one in MELT]
    odd = [*MELT, Configuration(("Na", "K"), [[0, 0, 0], [3, 0, 0]], energy=1.0)]
    for configurations, options, words in (
        ([], {}, "no configurations"),
        (bare, {}, "configuration 0 .* has no energy, forces or stress"),
        (odd, {}, "atom 1 of configuration 4 .* is 'K'"),
        (MELT, {"tests": {"t": bare}}, "configuration 0 of 't' has neither"),
        (MELT, {"config": replace(QUICK, patience=2)}, "without tests"),
    ):
        with pytest.raises(InvalidValueError, match=words):
            train_potential(START, configurations, **{"config": QUICK, **options})
