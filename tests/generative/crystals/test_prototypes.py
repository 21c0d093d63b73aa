"""The set of ionic crystals: structures and lengths near nature, ions that touch and are neutral."""

from __future__ import annotations

import numpy as np
import pytest

from sci.generative import fingerprint, ionic_crystals, neutral_composition
from sci.generative.crystals.elements import SYMBOLS
from sci.generative.crystals.prototypes import RADII

SALTS = ionic_crystals()


def test_ions_of_each_crystal_touch_and_their_charges_add_up_to_zero() -> None:
    for one, numbers in list(zip(SALTS, SALTS.numbers))[::7]:
        assert neutral_composition(numbers, alloys=False)
        nearest = fingerprint(one).distances.min()
        radii = [RADII[SYMBOLS[z - 1]] for z in numbers]
        assert min(radii) + 0.6 < nearest <= 2 * max(radii)


def test_lengths_are_near_measured_ones() -> None:
    lengths = {name: one.cell[0, 0] for name, one in zip(SALTS.formulas, SALTS)}  # type: ignore[index]
    measured = {
        "ClNa": 5.64,
        "FLi": 4.03,
        "MgO": 4.21,
        "ClCs": 4.12,
        "CaF2": 5.46,
        "K2O": 6.44,
        "BaO": 5.52,
        "SZn": 5.41,
        "CaO3Ti": 3.9,
    }
    for name, length in measured.items():
        assert lengths[name] == pytest.approx(length, rel=0.06), name


def test_every_crystal_is_another_one() -> None:
    assert len(set(SALTS.formulas)) == 120
    assert max(map(len, SALTS.numbers)) == 12
    assert np.ptp(SALTS.densities) > 1
