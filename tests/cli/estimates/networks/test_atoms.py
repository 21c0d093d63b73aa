"""Time and memory of potentials of atoms, told before and taken."""

from __future__ import annotations

import numpy as np
import pytest
from dry_runs import compared

from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration, PotentialTraining
from sci.cli.estimates.networks.atoms import evaluation_bound, evaluation_needs, potential_needs, training_bound
from sci.io import save, write_configurations


def metal(edge: int, seed: int) -> Configuration:
    """Return a disturbed cubic crystal with random labels."""
    rng = np.random.default_rng(seed)
    sites = 2.6 * np.stack(np.meshgrid(*[np.arange(edge)] * 3), axis=-1).reshape(-1, 3)
    places = sites + 0.1 * rng.normal(size=sites.shape)
    labels = {"energy": float(rng.normal()), "forces": rng.normal(size=sites.shape)}
    return Configuration(("Cu",) * len(sites), places, 2.6 * edge * np.eye(3), **labels)


@pytest.mark.parametrize("action", ["train", "evaluate"])
def test_a_dry_run_tells_what_the_job_takes(action, tmp_path) -> None:
    write_configurations(tmp_path / "d.extxyz", [metal(4 if action == "train" else 14, k) for k in range(4)])
    words = ("atoms", action, tmp_path / "d.extxyz", "-o", tmp_path / "out.h5")
    if action == "train":
        words = (*words, "--epochs", 12, "--batch", 2, "--channels", 8)
    else:
        save(tmp_path / "m.h5", AtomisticPotential(AtomisticConfig(["Cu"])))
        words = ("atoms", action, tmp_path / "m.h5", *words[2:])
    found = compared(f"sci.cli.commands.atoms.{action}", *words)
    assert found.misses == {}, found


def test_bounds_are_above_what_is_told() -> None:
    data, config = [metal(3, k) for k in range(3)], PotentialTraining(epochs=2, batch_size=2)
    for channels, layers in ((4, 1), (16, 2)):
        potential = AtomisticPotential(AtomisticConfig(["Cu"], channels=channels, layers=layers))
        assert potential_needs(potential, data, config).memory < training_bound(potential, data, 2)
        assert evaluation_needs(potential, data).memory < evaluation_bound(potential, data)
    learned = AtomisticPotential(AtomisticConfig(["Cu"], channels=4, layers=1, charges="learned"))
    plain = AtomisticPotential(AtomisticConfig(["Cu"], channels=4, layers=1))
    matrices = 3 * 32 * 27**2  # of three configurations without a stress
    assert training_bound(learned, data, 2) - training_bound(plain, data, 2) > matrices
    assert potential_needs(learned, data, config).memory < training_bound(learned, data, 2)
