"""The actions are subcommands."""

from __future__ import annotations

import pytest

from sci.cli.parser import parse


def test_bench_is_an_action() -> None:
    assert parse(["sequence", "bench"]).length == 4096
    with pytest.raises(SystemExit):
        parse(["sequence"])


def test_import_takes_a_folder_and_one_output() -> None:
    assert parse(["sequence", "import", "folder", "-o", "m.h5"]).decays == "code"
    with pytest.raises(SystemExit):
        parse(["sequence", "import", "folder"])
