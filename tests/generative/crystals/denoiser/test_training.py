"""Trainings that resume, are the same on ranks, and come near the best denoiser from above."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import InvalidValueError
from sci.generative import (
    CrystalConfig,
    CrystalDiffusion,
    Crystals,
    CrystalTraining,
    crystal,
    ionic_crystals,
    noise_losses,
    train_crystals,
)
from sci.generative.crystals.denoiser.training import entry_weights
from sci.nn import Checkpoint

FEW = Crystals(ionic_crystals().configurations[:12])
CONFIG = CrystalConfig(widths=[12], depth=1, steps=40)


def trained(comm: Any = None, **options: Any) -> tuple[CrystalDiffusion, Checkpoint]:
    model = CrystalDiffusion.create(FEW, CONFIG, dtype=np.float64)
    return train_crystals(model, FEW, CrystalTraining(3, 5, shuffle_slots=True, translate=True), comm=comm, **options)


def test_a_training_that_stopped_goes_on_to_the_same_bits() -> None:
    kept: list[Checkpoint] = []

    def keep(checkpoint: Checkpoint) -> None:
        if checkpoint.step == 3:
            arrays = {n: p.copy() for n, p in checkpoint.parameters.items()}
            state = {k: {n: a.copy() for n, a in g.items()} for k, g in checkpoint.optimizer.items()}
            kept.append(Checkpoint(3, arrays, state, checkpoint.losses, checkpoint.metrics, checkpoint.settings))

    whole, history = trained(save=keep)
    again, later = trained(resume=kept[0])
    np.testing.assert_array_equal(later.losses, history.losses)
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(again.parameters[name], array)
    model = CrystalDiffusion.create(FEW, CONFIG, dtype=np.float64)
    with pytest.raises(InvalidValueError, match="shuffle_slots"):
        train_crystals(model, FEW, CrystalTraining(3, 5, translate=True), resume=kept[0])


def test_ranks_train_the_same_model() -> None:
    _, alone = trained()
    for _, history in on_ranks(2, lambda comm: trained(comm)):
        np.testing.assert_allclose(history.losses, alone.losses, rtol=1e-10)


def test_the_loss_comes_near_that_of_the_exact_denoiser_from_above() -> None:
    """Two crystals and a network that learns which of them it sees."""
    pair = Crystals(
        [crystal([11, z], [[0, 0, 0], [x, x, x]], a * np.eye(3)) for z, x, a in ((17, 0.5, 2.8), (9, 0.4, 2.3))]
    )
    config = CrystalConfig(widths=[48], depth=2, steps=40, compositions="joint")
    model = CrystalDiffusion.create(pair, config)
    many = Crystals([*pair, *pair] * 8)
    steps = np.array([5, 15, 25, 35])
    before, least = noise_losses(model, pair, steps, repeats=200)
    model, _ = train_crystals(model, many, CrystalTraining(250, 32, 5e-3))
    ours, again = noise_losses(model, pair, steps, repeats=200)
    np.testing.assert_array_equal(again, least)
    assert (ours > 0.98 * least).all()
    assert (ours < 0.25 * before + least).all()
    assert ours[2] < 1.5 * least[2] + 0.01


@pytest.mark.parametrize("conditional", [True, False])
def test_atoms_empty_slots_and_cell_weigh_the_same(conditional: bool) -> None:
    model = CrystalDiffusion.create(FEW, CrystalConfig(widths=[4], compositions="given" if conditional else "joint"))
    occupied = np.array([model.features.occupied(numbers) for numbers in FEW.numbers])
    weights = entry_weights(model, CrystalTraining(1, empty_weight=0.5), occupied)
    held = np.repeat(occupied, 6, axis=1)
    np.testing.assert_allclose((weights[:, :-6] * held).sum(axis=1), 1)
    np.testing.assert_allclose((weights[:, :-6] * ~held).sum(axis=1), 0 if conditional else 0.5)
    np.testing.assert_allclose(weights[:, -6:].sum(axis=1), 1)


def test_crystals_of_another_set_and_numbers_without_sense_are_refused() -> None:
    model = CrystalDiffusion.create(FEW, CONFIG)
    with pytest.raises(InvalidValueError, match="an element of no crystal"):
        train_crystals(model, ionic_crystals(), CrystalTraining(1))
    for options in ({"epochs": 0}, {"learning_rate": 0.0}, {"clip": -1.0}, {"empty_weight": -1.0}):
        with pytest.raises(InvalidValueError):
            CrystalTraining(**{"epochs": 1, **options})


def test_ranks_with_other_crystals_are_refused() -> None:
    def body(comm: ThreadComm) -> str:
        some = Crystals(FEW.configurations[: 12 - comm.rank])
        model = CrystalDiffusion.create(FEW, CONFIG)
        with pytest.raises(InvalidValueError) as caught:
            train_crystals(model, some, CrystalTraining(1), comm=comm)
        return str(caught.value)

    first, second = on_ranks(2, body)
    assert first == second
    assert "vectors" in first
