"""The action is a subcommand."""

from __future__ import annotations

import pytest

from sci.cli.parser import parse


def test_bench_is_an_action() -> None:
    assert parse(["sequence", "bench"]).length == 4096
    with pytest.raises(SystemExit):
        parse(["sequence"])
