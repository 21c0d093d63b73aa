"""Darcy flow against exact solutions, its scheme written out, and its seed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from sci.errors import SciError
from sci.problems import (
    darcy_flow,
    solve_darcy,
)


def test_darcy_solution_matches_a_manufactured_one_to_second_order() -> None:
    errors = []
    for n in (17, 33, 65):
        x = np.linspace(0, 1, n)
        x, y = np.meshgrid(x, x, indexing="ij")
        exact = np.sin(np.pi * x) * np.sin(2 * np.pi * y)
        a = 1 + 0.5 * x + y**2
        gradient = 0.5 * np.pi * np.cos(np.pi * x) * np.sin(2 * np.pi * y)
        gradient += 2 * y * 2 * np.pi * np.sin(np.pi * x) * np.cos(2 * np.pi * y)
        force = a * 5 * np.pi**2 * exact - gradient
        errors.append(abs(solve_darcy(a, force) - exact).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)


def test_darcy_matrix_is_the_scheme_written_out() -> None:
    rng = np.random.default_rng(0)
    a, f = rng.uniform(1, 2, (7, 7)), rng.normal(size=(7, 7))
    u = solve_darcy(a, f)
    for i in range(1, 6):
        for j in range(1, 6):
            faces = [(a[i, j] + a[p, q]) / 2 * (u[i, j] - u[p, q]) for p, q in _neighbors(i, j)]
            assert sum(faces) * 36 == pytest.approx(f[i, j], abs=1e-11)
    assert not u[[0, -1]].any()
    assert not u[:, [0, -1]].any()


def _neighbors(i: int, j: int) -> list[tuple[int, int]]:
    return [(i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]


def test_darcy_flow_of_constant_coefficient_scales_inversely() -> None:
    """With a = c everywhere u is that of a = 1 over c, and the middle of the square is the known 0.0736713."""
    _, one = darcy_flow(1, 64, low=1.0, high=1.0)
    _, twelve = darcy_flow(1, 64, low=12.0, high=12.0)
    np.testing.assert_allclose(one, 12 * twelve, rtol=1e-10)
    assert one[0, 31:33, 31:33].mean() == pytest.approx(0.0736713, rel=2e-3)


def test_darcy_flow_obeys_the_maximum_principle_and_the_seed() -> None:
    a, u = darcy_flow(3, 48, subsample=3, seed=4)
    assert a.shape == u.shape == (3, 16, 16)
    assert u.min() > 0
    assert u.max() < 0.0736713 / 3 * 1.05
    again, _ = darcy_flow(2, 48, subsample=3, seed=4)
    np.testing.assert_array_equal(a[:2], again)
    assert (a[0] != a[1]).any()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: darcy_flow(1, 1), "size is 1"),
        (lambda: darcy_flow(-1, 8), "n_samples is -1"),
        (lambda: darcy_flow(1, 8, low=0.0), "low is 0"),
        (lambda: solve_darcy(np.ones((4, 4)), np.ones((4, 5))), "expected"),
        (lambda: solve_darcy(-np.ones((4, 4)), np.ones((4, 4))), "positive"),
        (lambda: solve_darcy(np.full((4, 4), np.nan), np.ones((4, 4))), "finite"),
    ],
)
def test_bad_arguments_are_named(call: Callable[[], object], text: str) -> None:
    with pytest.raises(SciError, match=text):
        call()
