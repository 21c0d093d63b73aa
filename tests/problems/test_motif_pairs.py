"""Pairs of motifs: their labels, their distances, and the best accuracy of any rule that sees a window."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.problems import MotifPairs


def _sites(problem: MotifPairs, tokens: np.ndarray) -> dict[int, tuple[int, int, int, int]]:
    """Return places and orientations of the upstream and the downstream site of each family, found word by word."""
    found: dict[int, dict[int, tuple[int, int]]] = defaultdict(dict)
    for place, word in enumerate(tokens.tolist()):
        if word >= problem.background:
            family, rest = divmod(word - problem.background, 4)
            assert rest // 2 not in found[family], "a site twice"
            found[family][rest // 2] = (place, rest % 2)
    return {f: (*sides[0], *sides[1]) for f, sides in found.items()}


def test_a_sequence_is_what_the_definition_says() -> None:
    problem = MotifPairs(length=64, pairs=3, background=5)
    tokens, labels = problem.draw(50, seed=3)
    assert problem.vocabulary == 17
    for row, told in zip(tokens, labels):
        sites = _sites(problem, row)
        assert sorted(sites) == [0, 1, 2]
        expected = np.full(64, -1)
        for upstream, first, downstream, second in sites.values():
            assert 1 <= downstream - upstream <= 32
            expected[downstream] = first == second
        np.testing.assert_array_equal(told, expected)
    np.testing.assert_array_equal(tokens[:10], problem.draw(10, seed=3)[0])
    assert (tokens[0] != problem.draw(1, seed=4)[0][0]).any()
    assert problem.draw(0)[0].shape == (0, 64)


def test_distances_fall_as_one_over_the_distance() -> None:
    problem, count = MotifPairs(length=24, pairs=2, background=3, longest=9), Counter[int]()
    tokens, labels = problem.draw(2000, seed=0)
    for row in tokens:
        count.update(d - u for u, _, d, _ in _sites(problem, row).values())
    weights = 1 / np.arange(1, 10)
    expected = 4000 * weights / weights.sum()
    found = np.array([count[d] for d in range(1, 10)])
    assert (((found - expected) ** 2) / expected).sum() < 30  # chi squared of 8 degrees: beyond it once in 5000
    assert abs((labels == 1).sum() - 2000) < 4 * 0.5 * np.sqrt(4000)


@pytest.mark.parametrize("context", [1, 2, 3, 4, 5])
def test_the_bound_is_the_best_of_all_rules(context: int) -> None:
    """Enumerate every sequence of a small case and take, for each content of the window, the likelier label."""
    problem = MotifPairs(length=5, pairs=1, background=2, longest=3)
    total = sum(Fraction(1, d) for d in (1, 2, 3))
    chance: dict[tuple[int, ...], list[Fraction]] = defaultdict(lambda: [Fraction(0), Fraction(0)])
    for distance in (1, 2, 3):
        places = range(5 - distance)
        for upstream, first, second in itertools.product(places, (0, 1), (0, 1)):
            for rest in itertools.product((0, 1), repeat=3):
                words = iter(rest)
                site = {upstream: 2 + first, upstream + distance: 4 + second}
                row = [site[i] if i in site else next(words) for i in range(5)]
                seen = row[max(0, upstream + distance - context + 1) : upstream + distance + 1]
                weight = Fraction(1, distance) / total / len(places) / 4 / 8
                # The place of the site is known to a rule too: it is the best that can be.
                chance[(upstream + distance, *seen)][first == second] += weight
    assert sum(map(sum, chance.values())) == 1
    assert problem.best_accuracy(context) == pytest.approx(float(sum(map(max, chance.values()))), abs=1e-15)


@pytest.mark.parametrize("context", [1, 2, 8, 40, 65, 128])
def test_the_best_rule_reaches_the_bound_and_no_more(context: int) -> None:
    problem = MotifPairs(length=128, pairs=4)
    tokens, labels = problem.draw(300, seed=5)
    found = problem.decide(tokens, context)
    np.testing.assert_array_equal(found >= 0, labels >= 0)
    right, best = (found == labels)[labels >= 0], problem.best_accuracy(context)
    assert abs(right.mean() - best) <= 4 * np.sqrt(best * (1 - best) / right.size)


def test_the_best_rule_sees_no_word_outside_of_its_window() -> None:
    problem = MotifPairs(length=64, pairs=4)
    tokens, _ = problem.draw(1, seed=1)
    before = problem.decide(tokens, 9)
    (place,) = np.nonzero(before[0] >= 0)[0][-1:]
    changed = tokens.copy()
    changed[0, : max(0, place - 8)] = 0
    assert problem.decide(changed, 9)[0, place] == before[0, place]


def test_what_cannot_be() -> None:
    for options in ({"length": 4, "pairs": 2}, {"length": 9, "pairs": 3, "longest": 8}):  # no places for all
        with pytest.raises(InvalidValueError, match=r"pairs\^2 <= length - longest"):
            MotifPairs(**options)
    for options in ({"length": 8, "pairs": 3}, {"length": 8, "longest": 8}, {"pairs": 0}, {"background": 0}):
        with pytest.raises(InvalidValueError, match="expected"):
            MotifPairs(**options)
    problem = MotifPairs(length=16, pairs=2)
    with pytest.raises(InvalidValueError, match="expected"):
        problem.best_accuracy(0)
    with pytest.raises(InvalidValueError, match="expected"):
        problem.draw(-1)
    with pytest.raises(ShapeError, match="expected"):
        problem.decide(np.zeros((2, 15), int), 3)
    with pytest.raises(InvalidValueError, match="expected"):
        problem.decide(np.full((2, 16), 56), 3)


@pytest.mark.parametrize("dtype", ["u1", "u8", "i1"])
def test_words_of_every_integer_dtype_have_the_same_labels(dtype: str) -> None:
    problem = MotifPairs(length=64, pairs=3)
    tokens, labels = problem.draw(3)
    np.testing.assert_array_equal(problem.decide(tokens.astype(dtype), 10**30), labels)


def test_the_closest_places_that_are_allowed_are_found() -> None:
    for length, pairs, longest in ((2, 1, 1), (7, 2, 3), (18, 3, 9), (20, 4, 4)):
        problem = MotifPairs(length=length, pairs=pairs, longest=longest)
        assert (problem.draw(20)[1] >= 0).sum() == 20 * pairs
