"""Configurations: what fits together, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from sci.atomistic import Configuration
from sci.errors import InvalidValueError, ShapeError

PAIR = (["Na", "Cl"], [[0.0, 0.0, 0.0], [2.8, 0.0, 0.0]])


def test_what_is_known_is_told():
    one = Configuration(*PAIR, 5.6 * np.eye(3), energy=-7, forces=np.zeros((2, 3)))
    assert repr(one) == "Configuration(2 atoms: Cl 1, Na 1; periodic along 3 axes; energy, forces)"
    assert (one.n, one.periodic, one.energy) == (2, (True,) * 3, -7.0)
    assert one.volume == pytest.approx(5.6**3)
    assert repr(Configuration(*PAIR)) == "Configuration(2 atoms: Cl 1, Na 1; isolated)"


def test_a_strain_moves_atoms_and_cell():
    one = Configuration(*PAIR, 5.6 * np.eye(3), stress=np.eye(3))
    other = one.strained([[0.1, 0, 0], [0, 0, 0], [0, 0.2, 0]])
    assert other.stress is None
    np.testing.assert_allclose(other.positions[1], [3.08, 0, 0])
    np.testing.assert_allclose(other.cell, 5.6 * np.array([[1.1, 0, 0], [0, 1, 0], [0, 0.2, 1]]))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"species": ["Na"]}, ShapeError, "1 names for 2 atoms"),
        ({"species": "NaCl"}, ShapeError, "expected one for each"),
        ({"positions": np.zeros((0, 3)), "species": []}, InvalidValueError, "no atom"),
        ({"forces": np.zeros((3, 3))}, ShapeError, "forces"),
        ({"charges": [1.0]}, ShapeError, "charges"),
        ({"energy": np.inf}, InvalidValueError, "energy"),
        ({"positions": [[0, 0, np.nan], [1, 1, 1]]}, InvalidValueError, "positions"),
        ({"cell": np.ones((3, 3))}, InvalidValueError, "no volume"),
        ({"periodic": (True, True)}, ShapeError, "2 entries"),
        ({"periodic": (True, False, False)}, InvalidValueError, "without a cell"),
        ({"stress": np.eye(3)}, InvalidValueError, "do not repeat along three axes"),
        (
            {"cell": 5 * np.eye(3), "stress": np.eye(3, k=1)},
            InvalidValueError,
            "differs from its transpose by up to 1;",
        ),
    ],
)
def test_what_does_not_fit_is_refused(options, error, words):
    given = {"species": PAIR[0], "positions": PAIR[1], **options}
    with pytest.raises(error, match=words):
        Configuration(**given)
    with pytest.raises(InvalidValueError, match="has no volume"):
        _ = Configuration(*PAIR).volume
