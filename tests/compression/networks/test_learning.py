"""Codebooks and codes: neither step makes an error larger, and both together make it smaller than either."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from sci.compression.networks.learning import descend, learn, polish
from sci.compression.networks.problems import Quadratic
from sci.compression.networks.uses import Rows
from sci.nn import CodebookWeight

RNG = np.random.default_rng(15)


def problem_and_map(
    rows: int = 24, columns: int = 20, bits: int = 2, groups: int = 2, mixed: float = 1.0
) -> tuple[Quadratic, CodebookWeight]:
    """Return a layer whose inputs are correlated: `mixed` times falling random columns, and the identity."""
    w = RNG.normal(size=(rows, columns))
    spread = RNG.normal(size=(columns, columns)) * np.exp(-np.arange(columns) / 4)
    x = RNG.normal(size=(300, columns)) @ (mixed * spread + (1 - mixed) * np.eye(columns))
    problem = Quadratic("w", w, (0,), 1)
    problem.add(Rows("w", x), Rows("w", x))
    problem.reduce(None)
    return problem, CodebookWeight(w, bits, groups=groups, mapping=True)


@pytest.mark.parametrize("bits", [1, 2, 3, 4])
def test_every_way_lowers_the_error(bits: int) -> None:
    problem, weight_map = problem_and_map(bits=bits)

    def error(coded: object) -> float:
        return problem.value_and_gradients({"w": coded["w"].decode()})[0]  # type: ignore[index]

    start = {"w": weight_map.coded(weight_map.start())}
    by_gradients = descend(problem, {"w": weight_map}, 150)
    by_codes = {"w": polish(problem, start["w"], 10)}
    both = learn(problem, {"w": weight_map}, 150, 10)
    assert error(by_gradients) < error(start)
    assert error(by_codes) < 0.85 * error(start)
    assert error(both) <= min(error(by_gradients), error(by_codes))
    assert error(learn(problem, {"w": weight_map}, 0, 0)) == error(start)


def test_codes_move_as_well_as_values() -> None:
    problem, weight_map = problem_and_map(mixed=0.2)
    fixed = CodebookWeight(weight_map.weight, 2, groups=weight_map.groups)
    values_only = descend(problem, {"w": fixed}, 150)["w"]
    np.testing.assert_array_equal(values_only.codes, fixed.codes)
    moved = descend(problem, {"w": weight_map}, 150)["w"]
    assert (moved.codes != weight_map.codes).any()
    errors = [problem.value_and_gradients({"w": c.decode()})[0] for c in (moved, values_only)]
    assert errors[0] < errors[1]


def test_no_single_code_is_better_after_polish() -> None:
    """The exact statement: with the last codebooks refit, no change of one code lowers the error by much."""
    problem, weight_map = problem_and_map(4, 5, groups=1)
    found = polish(problem, weight_map.coded(weight_map.start()), 100)
    least = problem.value(found.decode()[None])
    for r, c in itertools.product(range(4), range(5)):
        for value in found.codebooks[found.groups[r]]:
            other = found.decode()
            other[r, c] = value
            assert problem.value(other[None]) >= least * (1 - 1e-6)


def test_polish_is_monotone_in_sweeps() -> None:
    problem, weight_map = problem_and_map()
    start = weight_map.coded(weight_map.start())
    errors = [problem.value(polish(problem, start, sweeps).decode()[None]) for sweeps in range(6)]
    assert (np.diff(errors) <= 1e-9).all()
