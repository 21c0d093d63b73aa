"""The bounds of the parser are those of the library."""

from __future__ import annotations

import argparse

import pytest

from sci.atomistic import AtomisticConfig
from sci.cli.parsers.atoms import DEGREE, FACTORS, LAYERS, RADIAL, TOL, WIDTH, charge_of
from sci.errors import InvalidValueError


def test_what_the_parser_takes_the_library_takes() -> None:
    for name, number in (("layers", LAYERS), ("correlation", FACTORS), ("n_radial", RADIAL), ("channels", WIDTH)):
        for value in (number.low, number.high):
            AtomisticConfig(["H"], **{name: value})
        for value in (number.low - 1, number.high + 1):
            with pytest.raises(InvalidValueError, match=name):
                AtomisticConfig(["H"], **{name: value})
    for degree in (DEGREE.low, DEGREE.high):
        AtomisticConfig(["H"], degree=degree, message_degree=0)
    for tol in (TOL.low, TOL.high):
        AtomisticConfig(["H"], tol=tol)


def test_charges_are_words() -> None:
    assert charge_of("Na=1") == ("Na", 1.0)
    assert charge_of("O=-0.82") == ("O", -0.82)
    assert [charge_of(word)[0] for word in ("given", "learned")] == ["given", "learned"]
    for text in ("Na", "=1", "Na=x", "Na=nan", "Na=1e9"):
        with pytest.raises(argparse.ArgumentTypeError, match="like Na=1"):
            charge_of(text)
