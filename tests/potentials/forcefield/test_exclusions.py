"""Exclusions from bonds against a search of the graph, and what is refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.potentials import Exclusions, Particles


def _distances(bonds: list[list[int]], n: int) -> np.ndarray:
    """Numbers of bonds between atoms, by a search from each one."""
    found = np.full((n, n), 99)
    for start in range(n):
        shell, steps = {start}, 0
        while shell:
            for atom in shell:
                found[start, atom] = steps
            steps += 1
            ends = {b for a in shell for bond in bonds if a in bond for b in bond}
            shell = {atom for atom in ends if found[start, atom] == 99}
    return found


@pytest.mark.parametrize("seed", range(4))
def test_bonds_give_the_pairs_up_to_three_bonds_apart(seed: int) -> None:
    rng, n = np.random.default_rng(seed), 14
    bonds = [sorted(rng.choice(n, 2, replace=False).tolist()) for _ in range(12)]  # with rings, and repeated
    found = Exclusions.from_bonds(np.array(bonds), n, scale14=0.25)
    distances = _distances(bonds, n)
    expected = {(i, j): 0.0 if distances[i, j] < 3 else 0.25 for i in range(n) for j in range(i + 1, n)}
    expected = {pair: scale for pair, scale in expected.items() if distances[pair] <= 3}
    assert dict(zip(map(tuple, found.pairs.tolist()), found.scales.tolist())) == expected


def test_a_ring_of_five_has_no_1_4_pair_and_a_ring_of_six_has_three() -> None:
    five = Exclusions.from_bonds([[k, (k + 1) % 5] for k in range(5)], 5, scale14=0.5)
    six = Exclusions.from_bonds([[k, (k + 1) % 6] for k in range(6)], 6, scale14=0.5)
    assert five.scales.tolist() == [0.0] * 10
    assert six.pairs[six.scales == 0.5].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_pairs_are_sorted_once_and_cannot_be_written_to() -> None:
    found = Exclusions([[3, 1], [0, 2], [1, 3]], 4, [0.5, 0.0, 0.5])
    assert found.pairs.tolist() == [[0, 2], [1, 3]]
    assert found.scales.tolist() == [0.0, 0.5]
    with pytest.raises(ValueError, match="read-only"):
        found.pairs[0, 0] = 3
    assert repr(found) == "Exclusions(1 pairs left out and 1 scaled, of 4 atoms)"
    assert len(Exclusions(np.empty((0, 2), int), 3).pairs) == len(Exclusions.from_bonds([], 3).pairs) == 0


def test_a_part_of_the_atoms_keeps_the_pairs_among_them() -> None:
    found = Exclusions([[0, 1], [1, 2], [2, 3]], 4, [0.0, 0.5, 0.25]).of_atoms([3, 2, 0])
    assert (found.n, found.pairs.tolist(), found.scales.tolist()) == (3, [[0, 1]], [0.25])
    with pytest.raises(InvalidValueError, match="no atom 4"):
        found = Exclusions([[0, 1]], 4).of_atoms([4])
    with pytest.raises(InvalidValueError, match="twice"):
        Exclusions([[0, 1]], 4).of_atoms([1, 1])


@pytest.mark.parametrize(
    ("pairs", "scales", "words"),
    [
        ([[0, 1], [2, 4]], 0.0, "pair 1 is of the atoms 2 and 4; there are 4 atoms, 0 to 3"),
        ([[0, -1]], 0.0, "pair 0 is of the atoms 0 and -1"),
        ([[2, 2]], 0.0, "pair 0 is of the atoms 2 and 2; an atom has no interaction with itself"),
        ([[0, 1], [1, 0]], [0.5, 0.4], "atoms 0 and 1 have the scales 0.5 and 0.4"),
        ([[0, 1], [1, 2]], [0.0, 1.5], "the scale of pair 1 is 1.5"),
        ([[0, 1]], np.nan, "the scale of pair 0 is nan"),
    ],
)
def test_pairs_that_cannot_be_are_refused_with_the_atoms(pairs, scales, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words):
        Exclusions(pairs, 4, scales)


def test_shapes_and_classes_are_refused() -> None:
    with pytest.raises(ShapeError, match="two atoms a row"):
        Exclusions([[0, 1, 2]], 4)
    with pytest.raises(DTypeError, match="integers"):
        Exclusions([[0.0, 1.0]], 4)
    with pytest.raises(ShapeError, match="one for each of 1 pairs"):
        Exclusions([[0, 1]], 4, [0.0, 1.0])
    with pytest.raises(InvalidValueError, match="bond 0 is of the atoms 0 and 9"):
        Exclusions.from_bonds([[0, 9]], 4)
    with pytest.raises(InvalidValueError, match="scale14"):
        Exclusions.from_bonds([[0, 1]], 4, scale14=83.3)
    with pytest.raises(ShapeError, match="exclusions are of 4 atoms, and positions holds 2"):
        Particles([[0.0, 0, 0], [0, 0, 1]], [1.0, 1.0], exclusions=Exclusions([[0, 1]], 4))
