"""Crystals as vectors: round trips, circles and the average of 0.99 and 0.01, elements that are unknown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.generative import CrystalFeatures, Crystals, crystal, fingerprint, ionic_crystals

SALTS = ionic_crystals()


@pytest.mark.parametrize("representation", ["circle", "fraction"])
def test_crystals_come_back(representation: Any) -> None:
    features = CrystalFeatures.fit(SALTS, representation)
    vectors = features.encode(SALTS)
    assert vectors.shape == (120, features.width)
    np.testing.assert_allclose(vectors[:, -6:-3].std(axis=0), 1)
    for vector, one, numbers in list(zip(vectors, SALTS, SALTS.numbers))[::10]:
        for occupied in (None, features.occupied(numbers)):
            found = features.decode(vector, occupied)
            assert sorted(found.species) == sorted(one.species)
            assert fingerprint(found).difference(fingerprint(one)) < 1e-10


def test_the_mean_of_two_sides_of_zero_is_zero_on_circles_alone() -> None:
    """The best estimate at much noise is the mean of the set; atoms at 0.99 and 0.01 are close."""
    pair = Crystals([crystal([11], [[x, 0.2, 0.3]], 3 * np.eye(3)) for x in (0.99, 0.01)])
    middle = {}
    for name in ("circle", "fraction"):
        features = CrystalFeatures.fit(pair, name)  # type: ignore[arg-type]
        found = features.decode(features.encode(pair).mean(axis=0))
        middle[name] = float(np.asarray(found.positions)[0, 0] / 3)
    assert abs((middle["circle"] + 0.5) % 1 - 0.5) < 1e-12
    assert middle["fraction"] == pytest.approx(0.5)


def test_atoms_take_slots_in_the_order_of_their_coordinates() -> None:
    places = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [1 - 1e-12, 0.0, 0.0]])
    ones = [crystal([29] * 3, places[order], 4 * np.eye(3)) for order in ([0, 1, 2], [2, 0, 1])]
    features = CrystalFeatures.fit(Crystals(ones), "fraction")
    first, second = features.encode(Crystals(ones))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_allclose(np.cos(2 * np.pi * first[:3]), 1)


def test_what_the_features_do_not_know_is_refused_with_its_atom() -> None:
    features = CrystalFeatures.fit(Crystals([crystal([11, 17], [[0, 0, 0], [0.5, 0.5, 0.5]], 3 * np.eye(3))]))
    with pytest.raises(InvalidValueError, match=r"atom 1 .* K, an element of no crystal .* expected Na, Cl"):
        features.occupied(np.array([11, 19]))
    with pytest.raises(InvalidValueError, match=r"atom 2 .* number 2 of Na, .* at most 1"):
        features.occupied(np.array([11, 17, 11]))
    with pytest.raises(InvalidValueError, match="no slot"):
        features.decode(np.zeros(features.width))
    with pytest.raises(InvalidValueError, match="cell parameters"):
        features.decode(np.concatenate([np.ones(features.width - 6), np.full(6, 500.0)]))
    for wrong in ([[17, 11], [1, 1]], [[0], [1]], [[11], [0]]):
        with pytest.raises(InvalidValueError):
            CrystalFeatures(*wrong, [0.0] * 6, [1.0] * 6)
    with pytest.raises(ShapeError):
        CrystalFeatures([11], [1, 1], [0.0] * 6, [1.0] * 6)


def test_places_on_the_table_are_those_of_the_elements() -> None:
    features = CrystalFeatures([1, 11], [2, 1], [0.0] * 6, [1.0] * 6)
    assert features.on_table(4).tolist() == [0, 9 * 18, 2 * 18]
