"""Lists of formats, and files that are given by name."""

from __future__ import annotations

import argparse

import pytest

from sci.cli.parser import parse
from sci.cli.parsers.files import export_format


def test_formats_of_an_export() -> None:
    assert export_format("cube, dx,cube") == ("cube", "dx")
    with pytest.raises(argparse.ArgumentTypeError, match="unknown format 'plt'"):
        export_format("dx,plt")


def test_the_output_of_a_join_is_an_option() -> None:
    assert parse(["join", "a.h5", "-o", "b.h5"]).output.name == "b.h5"
    with pytest.raises(SystemExit):
        parse(["join", "a.h5", "b.h5"])
