"""Measures of crystals whose values are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.atomistic import Configuration
from sci.errors import InvalidValueError, MissingDependencyError, ShapeError
from sci.generative import (
    Crystals,
    atoms_apart,
    crystal,
    evaluate_crystals,
    ionic_crystals,
    neutral_composition,
)
from sci.generative.crystals.metrics import space_groups

SALTS = ionic_crystals()
CLOSE = crystal([11, 17], [[0, 0, 0], [0.95, 0, 0]], 4 * np.eye(3))  # 0.2 angstrom over the face


@pytest.mark.parametrize(
    ("formula", "neutral"),
    [
        ([11, 17], True),
        ([11, 17, 17], False),
        ([20, 22, 8, 8, 8], True),
        ([26] * 3 + [8] * 4, False),  # Fe3O4 needs two states of iron
        ([26] * 2 + [8] * 3, True),
        ([18], True),
        ([18, 11], False),
        ([29, 30], True),
        ([6, 1, 1, 1, 1], True),
    ],
)
def test_neutral_compositions(formula: list[int], neutral: bool) -> None:
    assert neutral_composition(formula) == neutral
    assert neutral_composition(formula * 3) == neutral


def test_alloys_pass_where_they_may() -> None:
    assert not neutral_composition([29, 30], alloys=False)
    assert neutral_composition([29, 29], alloys=False)
    with pytest.raises(InvalidValueError, match="1 to 118"):
        neutral_composition([0, 11])
    with pytest.raises(ShapeError, match="one at least"):
        neutral_composition(np.zeros(0, int))


def test_atoms_are_apart_through_the_faces_too() -> None:
    assert not atoms_apart(CLOSE)
    assert atoms_apart(CLOSE, distance=0.19)
    assert not atoms_apart(crystal([11], [[0, 0, 0]], np.diag([0.4, 9, 9])))  # an atom and its own image
    assert not atoms_apart(crystal([11, 17], [[0, 0, 0], [0, 0, 0]], 4 * np.eye(3)))
    assert not atoms_apart(crystal([11], [[0, 0, 0]], np.diag([1e-4, 1e-4, 1e-4])))
    with pytest.raises(InvalidValueError, match="distance"):
        atoms_apart(CLOSE, distance=0.0)


def test_a_report_counts_what_is_wrong_double_and_known() -> None:
    training = Crystals(SALTS.configurations[:10])
    found = [
        *SALTS.configurations[8:12],
        SALTS.configurations[8],
        CLOSE,
        crystal([11, 8], [[0, 0, 0], [0.5] * 3], 3 * np.eye(3)),
    ]
    report = evaluate_crystals(found, training=training, draws=10)
    assert report.number == 10
    assert report.validity == pytest.approx(0.6)
    assert report.composition_validity == pytest.approx(0.6)
    assert report.uniqueness == pytest.approx(5 / 6)
    assert report.novelty == pytest.approx(3 / 6)
    assert report.density_distance is not None
    assert report.space_groups is None
    same = evaluate_crystals(list(training), training=training)
    assert (same.density_distance, same.novelty) == (0, 0)
    assert same.density[0] == pytest.approx(training.densities.mean())


def test_ranks_share_the_work_and_agree() -> None:
    some, few = [*SALTS.configurations[:5], CLOSE], Crystals(SALTS.configurations[3:8])
    alone = evaluate_crystals(some, training=few)
    for found in on_ranks(2, lambda comm: evaluate_crystals(some, training=few, comm=comm)):
        assert found == alone


def test_nothing_valid_is_told_and_not_divided_by() -> None:
    report = evaluate_crystals([CLOSE], training=Crystals(SALTS.configurations[:1]))
    assert report.validity == 0
    assert math.isnan(report.uniqueness)
    assert evaluate_crystals([], draws=3).validity == 0
    with pytest.raises(InvalidValueError, match="as many at least"):
        evaluate_crystals([CLOSE, CLOSE], draws=1)
    with pytest.raises(InvalidValueError, match="crystal 0: atom 0"):
        evaluate_crystals([Configuration(["Xx"], [[0, 0, 0]], np.eye(3))])


def test_space_groups_are_those_of_the_structure_types() -> None:
    try:
        found = space_groups(SALTS.configurations)
    except MissingDependencyError:
        pytest.skip("spglib is missing")
    by_formula = dict(zip(SALTS.formulas, found))
    expected = {"ClNa": 225, "ClCs": 221, "CaF2": 225, "CaO3Ti": 221, "BeTe": 216, "Li2O": 225}
    assert {name: by_formula[name] for name in expected} == expected


def test_molecules_are_refused_by_name() -> None:
    with pytest.raises(InvalidValueError, match=r"crystal 0 .*do not repeat along three axes"):
        evaluate_crystals([Configuration(["Na", "Na"], [[0, 0, 0], [0, 0, 3]])])
