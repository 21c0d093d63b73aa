"""Moved and renamed crystals are the same crystals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.generative import CrystalFeatures, fingerprint, ionic_crystals
from sci.generative.crystals.denoiser.augment import shuffled, translated
from sci.nn import Draws

SALTS = ionic_crystals()


@pytest.mark.parametrize("change", [translated, shuffled])
@pytest.mark.parametrize("representation", ["circle", "fraction"])
def test_the_crystals_stay_the_same_and_the_vectors_do_not(change: Any, representation: Any) -> None:
    features = CrystalFeatures.fit(SALTS, representation)
    vectors = features.encode(SALTS)
    occupied = np.array([features.occupied(numbers) for numbers in SALTS.numbers])
    found = change(features, vectors, occupied, Draws(0, 3))
    part = change(features, vectors[40:], occupied[40:], Draws(0, 3, 40))
    np.testing.assert_array_equal(found[40:], part)  # whatever rank computes them
    moved = np.abs(found - vectors).max(axis=1) > 1e-3
    assert moved.mean() > 0.6
    for k in np.flatnonzero(moved)[::9]:
        one = features.decode(found[k], occupied[k])
        assert fingerprint(one).difference(fingerprint(SALTS.configurations[k])) < 1e-9
    np.testing.assert_array_equal(found[:, -6:], vectors[:, -6:])


def test_every_order_of_four_atoms_is_drawn() -> None:
    features = CrystalFeatures.fit(SALTS, "fraction")
    at = SALTS.formulas.index("ClNa")
    vector, occupied = features.encode(SALTS)[[at] * 2000], features.occupied(SALTS.numbers[at])
    found = shuffled(features, vector, np.array([occupied] * 2000), Draws(0, 0))
    slots = found[:, :-6].reshape(2000, -1, 3)[:, occupied & (features.owners == features.elements.index(11))]
    orders = {tuple(row.ravel().tolist()) for row in slots}
    assert len(orders) == 24
