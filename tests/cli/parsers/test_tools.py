"""Tools for the machine."""

from __future__ import annotations

from sci.cli.parser import parse


def test_doctor_takes_no_file() -> None:
    assert parse(["doctor", "--json"]).json
