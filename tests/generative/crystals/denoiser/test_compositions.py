"""Compositions from a network: of slots that there are, neutral where that is asked, the same on ranks, in files."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError
from sci.generative import (
    CrystalConfig,
    CrystalDiffusion,
    Crystals,
    CrystalTraining,
    generate_crystals,
    ionic_crystals,
    neutral_composition,
    train_crystals,
)
from sci.generative.crystals.denoiser.compositions import composer, counts_of, draw_counts, slots_of_counts
from sci.generative.crystals.elements import atomic_numbers
from sci.io import load, save

SALTS = Crystals(ionic_crystals().configurations[:12])
CONFIG = CrystalConfig(widths=[4], depth=1, steps=4, compositions="first", composer=32)


@pytest.fixture(scope="module")
def trained() -> CrystalDiffusion:
    start = CrystalDiffusion.create(SALTS, CONFIG)
    return train_crystals(start, SALTS, CrystalTraining(150, 12, 2e-2))[0]


def test_slots_and_counts_are_one_another() -> None:
    features = CrystalDiffusion.create(SALTS, CONFIG).features
    occupied = np.array([features.occupied(n) for n in SALTS.numbers])
    counts = counts_of(features, occupied)
    assert counts.sum() == sum(map(len, SALTS.numbers))
    np.testing.assert_array_equal(slots_of_counts(features, counts), occupied)


def test_a_trained_network_draws_compositions_like_those_of_its_training(trained: CrystalDiffusion) -> None:
    """An untrained one draws nearly none of them."""
    known = {tuple(sorted(Counter(one.species).items())) for one in SALTS}

    def part(model: CrystalDiffusion) -> float:
        found = generate_crystals(model, 60, steps=1, batch_size=60)
        assert len(found.configurations) == 60
        return float(np.mean([tuple(sorted(Counter(c.species).items())) in known for c in found.configurations]))

    assert part(CrystalDiffusion.create(SALTS, CONFIG)) < 0.1
    assert part(trained) > 0.8


def test_neutral_ones_are_drawn_again_until_they_are_and_the_part_is_told(trained: CrystalDiffusion) -> None:
    found = generate_crystals(trained, 40, neutral=True, steps=1, batch_size=40)
    assert 0.5 < found.accepted < 1
    assert all(neutral_composition(atomic_numbers(one.species)) for one in found.configurations)
    asked = generate_crystals(trained, 2, composition={"Li": 4, "F": 4}, steps=1)
    assert (asked.accepted, asked.configurations[1].species) == (1.0, ("Li",) * 4 + ("F",) * 4)


def test_ranks_and_files_give_the_same_compositions(trained: CrystalDiffusion, tmp_path: Path) -> None:
    save(tmp_path / "model.h5", trained)
    alone = generate_crystals(trained, 5, seed=3, batch_size=2)
    again = generate_crystals(load(tmp_path / "model.h5"), 5, seed=3, batch_size=2)
    for found in [again, *on_ranks(2, lambda comm: generate_crystals(trained, 5, seed=3, batch_size=2, comm=comm))]:
        for one, other in zip(found.configurations, alone.configurations):
            assert one.species == other.species
            np.testing.assert_array_equal(one.positions, other.positions)


def test_what_does_not_fit_is_refused(trained: CrystalDiffusion) -> None:
    given = CrystalDiffusion.create(SALTS, CrystalConfig(widths=[4], steps=4))
    for model, options in ((given, {}), (trained, {"composition": {"Li": 4}})):
        with pytest.raises(InvalidValueError, match="neutral is for compositions that the model draws"):
            generate_crystals(model, 1, neutral=True, **options)
    with pytest.raises(InvalidValueError, match="has no network of compositions"):
        _ = given.composer
    empty = composer(trained.features, 4)
    empty.parameters["conditional"]["head_bias"][:: empty.n_values] = 50.0  # no atom of any element
    with pytest.raises(InvalidValueError, match="200 compositions for draw 0 have no slots; train the model longer"):
        draw_counts(empty, trained.features, 1, neutral=False, seed=0)
