"""Defects: the change of charge of each site, weighted as the site is, and sites that do not exist."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError
from sci.potentials import Interstitial, Substitution, Vacancy
from sci.potentials.lattice.defects import check_site, site_changes

CHARGES = np.array([1.0, -2.0])
WEIGHTS = [np.array([[0.5, 1.0, 0.5], [1.0, 1.0, 0.0]]), np.ones((2, 4)), np.ones((2, 2))]


def test_a_vacancy_takes_the_charge_and_a_substitution_the_difference() -> None:
    changes = site_changes([Vacancy(0, (1, 3, 1)), Substitution(1, (0, 0, 0), 0.5)], CHARGES, WEIGHTS)
    assert changes == {(0, (1, 3, 1)): -1.0, (1, (0, 0, 0)): 2.5}


def test_a_site_that_counts_half_changes_by_half() -> None:
    assert check_site(0, (2, 0, 0), WEIGHTS) == 0.5
    assert site_changes([Vacancy(0, (0, 0, 0))], CHARGES, WEIGHTS) == {(0, (0, 0, 0)): -0.5}


def test_an_interstitial_changes_no_site() -> None:
    assert site_changes([Interstitial((0.1, 0.2, 0.3), 1.0)], CHARGES, WEIGHTS) == {}


@pytest.mark.parametrize("site", [(2, (0, 0, 0)), (-1, (0, 0, 0)), (0, (3, 0, 0)), (0, (0, -1, 0)), (0, (0, 0))])
def test_a_site_that_does_not_exist_is_named(site: tuple) -> None:
    with pytest.raises(InvalidValueError, match=f"no particle {site[0]}"):
        check_site(*site, WEIGHTS)


@pytest.mark.parametrize(
    ("defects", "says"),
    [
        ([Vacancy(0, (0, 0, 0)), Substitution(0, (0, 0, 0), 1.0)], "two defects"),
        ([Substitution(0, (0, 0, 0), np.inf)], "Substitution.charge"),
        ([Interstitial((0.0, np.inf, 0.0), 1.0)], "an Interstitial"),
    ],
)
def test_what_makes_no_sense_is_refused(defects: list, says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        site_changes(defects, CHARGES, WEIGHTS)


def test_a_charge_that_is_no_number_is_refused_at_once() -> None:
    with pytest.raises(InvalidValueError, match="Substitution: charge is nan; expected a real number"):
        Substitution(0, (0, 0, 0), np.nan)
    with pytest.raises(DTypeError, match="Vacancy: cell is 3; expected"):
        Vacancy(0, 3)  # type: ignore[arg-type]
