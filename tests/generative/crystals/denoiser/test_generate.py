"""Generated crystals: compositions that were asked for, ranks that agree, draws that fail."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError
from sci.generative import (
    CrystalConfig,
    CrystalDiffusion,
    Crystals,
    CrystalTraining,
    evaluate_crystals,
    generate_crystals,
    ionic_crystals,
    noise_losses,
    train_crystals,
)

SALTS = ionic_crystals()
MODEL = CrystalDiffusion.create(SALTS, CrystalConfig(widths=[8], steps=10))


def test_the_composition_is_the_one_that_was_asked_for() -> None:
    found = generate_crystals(MODEL, 3, composition={"Na": 4, "Br": 4})
    assert [sorted(one.species) for one in found.configurations] == [["Br"] * 4 + ["Na"] * 4] * 3


def test_compositions_come_as_often_as_in_the_training() -> None:
    model = CrystalDiffusion(MODEL.config, MODEL.features, {((11, 1), (17, 1)): 3, ((20, 2),): 1})
    found = generate_crystals(model, 400, steps=1, batch_size=400)
    calcium = sum(one.species == ("Ca", "Ca") for one in found.configurations)
    assert 70 <= calcium <= 130
    assert all(one.species in (("Ca", "Ca"), ("Na", "Cl")) for one in found.configurations)


def test_ranks_draw_the_same_crystals() -> None:
    alone = generate_crystals(MODEL, 5, seed=4, batch_size=2)
    for found in on_ranks(2, lambda comm: generate_crystals(MODEL, 5, seed=4, batch_size=2, comm=comm)):
        assert found.draws == alone.draws
        for one, other in zip(found.configurations, alone.configurations):
            np.testing.assert_array_equal(one.positions, other.positions)
            np.testing.assert_array_equal(one.cell, other.cell)


def test_draws_that_are_no_crystal_are_told() -> None:
    model = CrystalDiffusion.create(SALTS, CrystalConfig(widths=[8], steps=10, compositions="joint"))
    silent = model.with_parameters({n: 0 * p for n, p in model.parameters.items()})
    found = generate_crystals(silent, 3, steps=1)
    assert (len(found.configurations), found.number) == (0, 3)
    assert set(found.failures.values()) == {"no slot holds an atom; expected one at least"}


def test_what_the_model_cannot_make_is_refused() -> None:
    with pytest.raises(InvalidValueError, match=r"composition: atom 0 .* He, an element of no crystal"):
        generate_crystals(MODEL, 1, composition={"He": 1})
    with pytest.raises(InvalidValueError, match="at most"):
        generate_crystals(MODEL, 1, composition={"Na": 9})
    with pytest.raises(InvalidValueError, match="1 or more"):
        generate_crystals(MODEL, 1, composition={"Na": 0})
    with pytest.raises(InvalidValueError, match="number is 0"):
        generate_crystals(MODEL, 0)
    other = CrystalDiffusion.create(SALTS, CrystalConfig(widths=[8], compositions="joint"))
    with pytest.raises(InvalidValueError, match="leave composition out"):
        generate_crystals(other, 1, composition={"Na": 1})


def test_a_model_that_was_trained_makes_crystals_of_its_set() -> None:
    """A part of the training that the benchmark does, with the bound of its first hundred epochs."""
    some = Crystals(SALTS.configurations[:20])
    model = CrystalDiffusion.create(some, CrystalConfig(widths=[64], depth=2, steps=50))
    model, _ = train_crystals(model, some, CrystalTraining(150, 20, 5e-3))
    found = generate_crystals(model, 40, batch_size=40)
    report = evaluate_crystals(found.configurations, training=some, draws=found.number)
    assert report.validity >= 0.95
    assert report.composition_validity == 1
    assert abs(report.density[0] - some.densities.mean()) < 1


def test_compositions_of_more_atoms_than_memory_holds_are_refused_at_once() -> None:
    salts = ionic_crystals()
    model = CrystalDiffusion.create(salts, CrystalConfig(widths=[8], steps=5))
    with pytest.raises(InvalidValueError, match="at most 8 atoms of an element"):
        generate_crystals(model, 1, composition={"Li": 10**12})
    with pytest.raises(InvalidValueError, match="seed -1"):
        generate_crystals(model, 1, seed=-1)
    with pytest.raises(InvalidValueError, match="repeats 0"):
        noise_losses(model, salts, np.array([1]), repeats=0)
