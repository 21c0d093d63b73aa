"""The associative scan against a loop, with a product that does not commute, and its count of calls."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import ShapeError
from sci.linalg import associative_scan

RNG = np.random.default_rng(8)


def _affine(first: tuple, second: tuple) -> tuple:
    """x -> a x + b, the first map applied first."""
    (a1, b1), (a2, b2) = first, second
    return a2 @ a1, (a2 @ b1[..., None])[..., 0] + b2


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 13, 64, 100])
@pytest.mark.parametrize("reverse", [False, True])
def test_prefixes_of_maps_are_those_of_a_loop(n: int, reverse: bool) -> None:
    a, b = RNG.normal(size=(n, 3, 3)) / 2, RNG.normal(size=(n, 3))
    calls = []

    def combine(first: tuple, second: tuple) -> tuple:
        calls.append(len(first[0]))
        return _affine(first, second)

    found = associative_scan(combine, (a, b), reverse=reverse)
    order = range(n - 2, -1, -1) if reverse else range(1, n)
    expected = [(a[-1], b[-1])] if reverse else [(a[0], b[0])]
    for t in order:
        pair = ((a[t], b[t]), expected[-1]) if reverse else (expected[-1], (a[t], b[t]))
        expected.append(_affine(*pair))
    expected = expected[::-1] if reverse else expected
    for part, want in zip(found, zip(*expected)):
        np.testing.assert_allclose(part, np.array(want), rtol=1e-11, atol=1e-12)
    assert len(calls) <= 2 * np.log2(n)
    assert sum(calls) <= 2 * n


def test_parts_of_different_lengths_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"lengths \[3, 2\]"):
        associative_scan(_affine, (np.zeros((3, 2, 2)), np.zeros((2, 2))))
    with pytest.raises(ShapeError, match="one or more"):
        associative_scan(_affine, ())


def test_no_elements_have_no_prefixes() -> None:
    assert associative_scan(_affine, (np.zeros((0, 2, 2)), np.zeros((0, 2))))[1].shape == (0, 2)
