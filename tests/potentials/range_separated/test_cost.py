"""The model of seconds: it decides, so what is asked of it is the order of its answers."""

from __future__ import annotations

import numpy as np
import pytest

from sci.potentials import Coulomb, Yukawa, split_kernel
from sci.potentials.range_separated.cost import box_layout, build_seconds, choose_split, target_seconds

DOMAIN = ((0.0, 40.0), (0.0, 30.0), (0.0, 30.0))
COUNTS = np.full((16, 16, 16), 1)


def chosen(kernel, targets: float, tol: float = 1e-6):
    return choose_split(kernel, tol, 0.5 * tol, DOMAIN, COUNTS, targets)


def test_more_targets_pay_for_a_finer_long_range():
    alphas = [chosen(Coulomb(), targets).alpha for targets in (1e3, 1e5, 1e7)]
    assert alphas[0] < alphas[1] < alphas[2]


def test_the_choice_is_the_cheapest_of_its_kind():
    split = chosen(Coulomb(), 1e6)

    def seconds(alpha: float) -> float:
        other = split_kernel(Coulomb(), 1e-6, np.sqrt(40**2 + 2 * 30**2), alpha)
        build = build_seconds(other, DOMAIN, 5e-7, COUNTS.sum())
        return build + target_seconds(other, DOMAIN, COUNTS.sum() / 36000, 1e6, 1e-6)

    assert seconds(split.alpha) < min(seconds(split.alpha / 3), seconds(3 * split.alpha))


@pytest.mark.parametrize(("kappa", "all_short"), [(0.05, False), (30.0, True)])
def test_strong_screening_leaves_no_long_range(kappa, all_short):
    assert chosen(Yukawa(kappa), 1e6).all_short == all_short


def test_below_rounding_only_the_short_range_is_left():
    assert chosen(Yukawa(1.0), 1e4, tol=1e-30).all_short


@pytest.mark.parametrize("tol", [1e-3, 1e-6, 1e-10])
def test_boxes_resolve_the_long_range(tol):
    grid, degree = box_layout(0.6, DOMAIN, tol, 1e6)
    coarse, low = box_layout(0.6, DOMAIN, 1e-1, 1e6)
    assert grid.size * (degree + 1) ** 3 > coarse.size * (low + 1) ** 3
