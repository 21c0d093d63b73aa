"""Formulas as words, and bounds of the parser that the library takes."""

from __future__ import annotations

import argparse

import pytest

from sci.cli.parsers.generative.crystals import DEPTH, STEPS, formula
from sci.generative import CrystalConfig


def test_what_the_parser_takes_the_library_takes() -> None:
    for depth in (DEPTH.low, DEPTH.high):
        CrystalConfig(depth=int(depth))
    for steps in (STEPS.low, STEPS.high):
        CrystalConfig(steps=int(steps))


def test_formulas_are_words() -> None:
    assert formula("Ca(OH)2") == "Ca(OH)2"
    for text in ("", "Xx2", "na", "Na=1"):
        with pytest.raises(argparse.ArgumentTypeError, match="formula"):
            formula(text)
