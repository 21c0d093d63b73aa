"""The choices of the parser are those of the library, which the parser does not import."""

from __future__ import annotations

from sci.cli.parsers.operators import FACTORIZATIONS
from sci.operators.spectral import weights


def test_choices_are_those_of_the_library() -> None:
    assert weights.FACTORIZATIONS == FACTORIZATIONS
