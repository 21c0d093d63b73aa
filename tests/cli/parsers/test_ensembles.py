"""The choices of the parser are those of the library, which the parser does not import."""

from __future__ import annotations

from typing import get_args

from sci.cli.parsers.ensembles import METHODS, MODES
from sci.ensembles import Method, Mode


def test_choices_are_those_of_the_library() -> None:
    assert get_args(Mode) == MODES
    assert {"both", *get_args(Method)} == set(METHODS)
