"""The model: what it leaves empty, what it needs, and its state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, SciError, ShapeError
from sci.generative import CrystalConfig, CrystalDiffusion, ionic_crystals

SALTS = ionic_crystals()
RNG = np.random.default_rng(0)


def filled(**options: Any) -> CrystalDiffusion:
    """Return a model with random parameters."""
    model = CrystalDiffusion.create(SALTS, CrystalConfig(widths=[8], steps=20, **options), dtype=np.float64)
    return model.with_parameters({n: RNG.normal(size=p.shape) for n, p in model.parameters.items()})


@pytest.mark.parametrize("representation", ["circle", "fraction"])
def test_slots_that_are_known_to_be_empty_are_empty(representation: Any) -> None:
    model = filled(representation=representation)
    occupied = np.array([model.features.occupied(numbers) for numbers in SALTS.numbers[:4]])
    x = RNG.normal(size=(4, model.features.width))
    found = model(x, 10, occupied)
    slots = found[:, :-6].reshape(4, model.features.slots, -1)
    assert (slots[~occupied] == model.features.empty).all()
    assert (np.abs(slots[occupied] - model.features.empty) > 0).any()
    assert np.abs(found[:, -6:]).min() > 0


def test_an_unconditional_model_looks_at_no_slots() -> None:
    model = filled(compositions="joint")
    x, occupied = RNG.normal(size=(2, model.features.width)), np.zeros((2, model.features.slots), bool)
    np.testing.assert_array_equal(model(x, 3), model(x, 3, ~occupied))
    with pytest.raises(InvalidValueError, match="which slots"):
        filled()(x, 3)


@pytest.mark.parametrize(
    "config", [CrystalConfig(widths=[4]), CrystalConfig("unet", (2, 2), 1, compositions="joint")], ids=repr
)
def test_the_state_gives_the_model_back(config: CrystalConfig) -> None:
    model = CrystalDiffusion.create(SALTS, config, seed=3)
    back = CrystalDiffusion.from_state(model.to_state())
    assert repr(back) == repr(model)
    assert back.compositions == model.compositions
    assert back.to_state().options == model.to_state().options
    for name, array in model.parameters.items():
        np.testing.assert_array_equal(back.parameters[name], array)


def test_states_and_arrays_that_do_not_fit_are_refused() -> None:
    model = filled()
    with pytest.raises(ShapeError, match=r"expected \(n, "):
        model(np.zeros((1, 3)), 3, np.zeros((1, model.features.slots), bool))
    with pytest.raises(DTypeError, match="dtype"):
        CrystalDiffusion.create(SALTS, dtype=np.int64)
    with pytest.raises(InvalidValueError, match="compositions"):
        CrystalDiffusion(model.config, model.features, {})
    with pytest.raises(InvalidValueError, match="representation"):
        CrystalDiffusion(CrystalConfig(representation="fraction"), model.features, model.compositions)
    with pytest.raises(InvalidValueError, match=r"compositions: atom 0 .* is He"):
        CrystalDiffusion(model.config, model.features, {((2, 1),): 1})
    with pytest.raises(SciError):
        model.with_parameters({})
