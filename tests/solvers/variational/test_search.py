"""The line search on parabolas, walls and functions that fall for ever."""

from __future__ import annotations

import math

import pytest

from sci.solvers.variational.search import ARMIJO, search


@pytest.mark.parametrize("best", [1e-6, 0.01, 0.3, 0.49])
def test_a_parabola_ends_near_its_minimum(best):
    step = search(-1.0, lambda t: t * t / (2 * best), refine=False)
    assert step.change <= -ARMIJO * step.length
    assert best / 2 <= step.length <= 2 * best


@pytest.mark.parametrize("best", [0.01, 0.6, 3.0])
def test_refinement_finds_the_minimum_of_a_parabola(best):
    assert search(-2.0, lambda t: t * t / best, refine=True).length == pytest.approx(best)


def test_a_full_step_is_taken_where_it_is_good():
    assert search(-1.0, lambda t: t * t / 2, refine=False) == (1.0, -0.5, 0.5, 1)


def test_infinite_energies_are_stepped_back_from():
    step = search(-1.0, lambda t: math.inf if t > 0.01 else t * t, refine=False)
    assert 0.001 <= step.length <= 0.01


def test_what_rises_in_every_trial_gives_no_step():
    assert search(-1.0, lambda t: 2 * t, refine=False).length == 0.0
