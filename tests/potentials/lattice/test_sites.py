"""Sites of a lattice with defects, against the list of all of them."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.potentials import Interstitial, Particles, Substitution, Vacancy
from sci.potentials.lattice.sites import LatticeSites, as_repeats, orthogonal_periods

CELL = Particles([[0.0, 0.0, 0.0], [1.0, 1.5, 2.0]], [1.0, -0.5], cell=np.diag([2.0, 3.0, 4.0]))
DEFECTS = (Vacancy(0, (1, 0, 1)), Substitution(1, (0, 1, 0), 2.0), Interstitial((0.5, 0.5, 0.5), -1.0))


def sites(defects=(), weights: str = "plain") -> LatticeSites:
    return LatticeSites.of(CELL, orthogonal_periods(CELL), (3, 2, 2), defects, weights)


def test_all_sites_of_a_plain_lattice():
    found = sites()
    positions, charges = found.within(np.full(3, -1.0), np.full(3, 20.0))
    shifts = np.array([(i, j, k) for i in range(3) for j in range(2) for k in range(2)]) * [2.0, 3.0, 4.0]
    expected = np.concatenate([shifts + p for p in CELL.positions])
    assert found.count == len(charges) == 24
    assert np.array_equal(positions[np.lexsort(positions.T)], expected[np.lexsort(expected.T)])
    assert charges.sum() == pytest.approx(12 * 0.5)
    assert np.allclose(found.bounds(), [[0, 0, 0], [5.0, 4.5, 6.0]])
    assert found.position(1, (2, 1, 0)) == [5.0, 4.5, 2.0]
    assert "24 ions, 2 a cell, 0 defects" in repr(found)


def test_a_box_holds_its_sites_alone():
    positions, charges = sites().within(np.array([1.5, -0.5, -0.5]), np.array([2.5, 3.5, 0.5]))
    assert positions.tolist() == [[2.0, 0.0, 0.0], [2.0, 3.0, 0.0]]
    assert charges.tolist() == [1.0, 1.0]
    assert len(sites().within(np.full(3, 50.0), np.full(3, 60.0))[1]) == 0


def test_defects_change_their_sites():
    found = sites(DEFECTS)
    positions, charges = found.within(np.full(3, -1.0), np.full(3, 20.0))
    at = {tuple(p): q for p, q in zip(positions.tolist(), charges.tolist())}
    assert (2.0, 0.0, 4.0) not in at
    assert at[1.0, 4.5, 2.0] == 2.0
    assert at[0.5, 0.5, 0.5] == -1.0
    added = dict(found.defect_charges())
    assert added == {(2.0, 0.0, 4.0): -1.0, (1.0, 4.5, 2.0): 2.5, (0.5, 0.5, 0.5): -1.0}
    found.check_places()


def test_ions_at_one_place_are_refused():
    with pytest.raises(InvalidValueError, match="two ions are both at"):
        sites([Interstitial((2.0, 3.0, 0.0), 1.0)]).check_places()


def test_sites_that_do_not_exist_are_refused():
    with pytest.raises(InvalidValueError, match="no particle 2"):
        sites().position(2, (0, 0, 0))
    with pytest.raises(InvalidValueError, match="no particle 0 in cell"):
        sites([Vacancy(0, (3, 0, 0))])


@pytest.mark.parametrize("repeats", [(1, 2), (0, 1, 1), (1.5, 1, 1), "abc", None])
def test_repeats_are_three_positive_integers(repeats):
    with pytest.raises(InvalidValueError, match="three integers"):
        as_repeats(repeats)
    assert as_repeats((1, 2.0, 3)) == (1, 2, 3)


def test_cells_must_be_orthogonal():
    assert orthogonal_periods(CELL) == (2.0, 3.0, 4.0)
    with pytest.raises(InvalidValueError, match="no cell"):
        orthogonal_periods(Particles([[0.0, 0.0, 0.0]], [1.0]))
    with pytest.raises(InvalidValueError, match="orthogonal supercell"):
        orthogonal_periods(Particles([[0.0, 0.0, 0.0]], [1.0], cell=[[1, 0.1, 0], [0, 1, 0], [0, 0, 1]]))
