"""The choices of the parser are those of the library, which the parser does not import."""

from __future__ import annotations

from typing import get_args

from sci.cli.parsers.potentials import ACCURACIES, STRUCTURES, WEIGHTS
from sci.io import STRUCTURE_FORMATS
from sci.potentials.lattice import sums
from sci.potentials.range_separated.build import Accuracy


def test_choices_are_those_of_the_library() -> None:
    assert tuple(STRUCTURE_FORMATS) == STRUCTURES
    assert get_args(Accuracy) == ACCURACIES
    assert sums.WEIGHTS == WEIGHTS
