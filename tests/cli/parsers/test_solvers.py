"""The choices of the parser are those of the command, which the parser does not import."""

from __future__ import annotations

from sci.cli.commands import solve, spectrum
from sci.cli.parsers.solvers import METHODS, PRECONDITIONERS


def test_choices_are_those_of_the_command() -> None:
    assert tuple(solve.METHODS) == METHODS
    assert tuple(spectrum.PRECONDITIONERS) == PRECONDITIONERS
    assert set(spectrum.SPREAD) <= set(PRECONDITIONERS)
