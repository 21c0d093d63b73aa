"""What is left to the network of labels, and the loss of a batch with its gradients."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from atom_cases import crystal, molecule, potential

from sci.atomistic import AtomisticPotential, Configuration, PotentialTraining
from sci.atomistic.training.labels import Samples, batch_loss, labels_of, statistics_of
from sci.nn import value_and_gradients

RNG = np.random.default_rng(7)
MADE = potential()


def labelled(one: Configuration, **left_out: None) -> Configuration:
    """Return a configuration with random labels."""
    labels = {"energy": -3.0, "forces": RNG.normal(size=(one.n, 3))}
    labels["stress"] = None if one.cell is None else 0.01 * np.diag(RNG.normal(size=3))
    return Configuration(one.species, one.positions, one.cell, **{**labels, **left_out})


CONFIGURATIONS = [labelled(crystal()), labelled(molecule()), labelled(crystal(1), forces=None, stress=None)]
CONFIGURATIONS[2] = replace(CONFIGURATIONS[2], charges=np.full(12, 0.02))  # to which learned charges sum
LEARNS = potential(charges="learned", charge_start={"Na": 0.7, "Cl": -0.4}, tol=1e-11)


def samples_of(made: AtomisticPotential) -> Samples:
    """Return neighborhoods, and what a potential leaves of the labels."""
    near = [made.neighborhood(one) for one in CONFIGURATIONS]
    labels = [labels_of(one, made, k) for k, one in enumerate(CONFIGURATIONS)]
    return Samples(near, labels, 4.0).without(made.statistics["shift"])


SAMPLES = samples_of(MADE)


@pytest.mark.parametrize("made", [MADE, LEARNS], ids=["no charges", "learned charges"])
def test_the_loss_is_that_of_predictions(made):
    config = PotentialTraining(energy_weight=2.0, force_weight=3.0, stress_weight=0.5)
    samples, loss, scale = samples_of(made), batch_loss(made, config), 1.3
    expected = []
    for one in CONFIGURATIONS:
        found = made(one)
        terms = 2.0 * ((found.energy - one.energy) / one.n) ** 2
        if one.forces is not None:
            terms += 3.0 * ((found.forces - one.forces) ** 2).mean()
        if one.stress is not None:
            terms += 0.5 * (((found.stress - one.stress) * one.volume / one.n) ** 2).mean()
        expected.append(terms / scale**2)
    rel = 1e-11 if made is MADE else 1e-9
    assert float(loss(made.parameters, samples[np.arange(3)])) == pytest.approx(np.mean(expected), rel=rel)
    only = batch_loss(made, PotentialTraining(energy_weight=0.0))
    assert float(only(made.parameters, samples[np.array([2])])) == 0.0


@pytest.mark.parametrize("made", [MADE, LEARNS], ids=["no charges", "learned charges"])
def test_gradients_of_the_loss_against_differences(made):
    loss, batch = batch_loss(made, PotentialTraining()), samples_of(made)[np.arange(3)]
    _, gradients = value_and_gradients(lambda v: loss(v, batch), made.parameters)
    for name, parameter in made.parameters.items():
        d, h = RNG.normal(size=parameter.shape), 1e-5
        moved = [float(loss({**made.parameters, name: parameter + s * h * d}, batch)) for s in (1, -1)]
        assert np.vdot(gradients[name], d) == pytest.approx((moved[0] - moved[1]) / (2 * h), rel=2e-6, abs=1e-8), name


def test_statistics_are_those_of_the_labels():
    counts = np.array([[6, 6], [2, 3], [6, 6]])
    exact = [
        labelled(one, energy=float(n @ [-1.0, -2.0])) for one, n in zip([crystal(), molecule(), crystal(1)], counts)
    ]
    labels = [labels_of(one, MADE, k) for k, one in enumerate(exact)]
    found = statistics_of(SAMPLES.near, labels, 2)
    np.testing.assert_allclose(found["shift"], [-1.0, -2.0], atol=1e-12)
    forces = np.concatenate([one.forces.ravel() for one in labels])
    assert found["scale"][0] == pytest.approx(np.sqrt((forces**2).mean()))
    pairs = sum(int(near.present.sum()) for near in SAMPLES.near)
    assert found["neighbors"][0] == pytest.approx(pairs / 29)
    alone = [labels_of(labelled(crystal(), forces=None, stress=None), MADE, 0)]
    assert statistics_of(SAMPLES.near[:1], alone, 2)["scale"][0] == 1.0


def test_samples_say_how_many_they_are():
    assert repr(SAMPLES) == "Samples(3 configurations)"
    assert repr(SAMPLES.labels[2]) == "Labels(12 atoms: energy)"
