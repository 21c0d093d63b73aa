"""What commands share over ranks, on one process and on ranks that are threads."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

from sci.cli.sharing import from_first, on_first_alone, rows_from_first, rows_to_first
from sci.errors import FileFormatError


def test_one_process_reads_for_itself() -> None:
    assert from_first(None, lambda: 3) == 3

    def bad() -> int:
        raise FileFormatError("damaged")

    with pytest.raises(FileFormatError, match="damaged"):
        from_first(None, bad)


def test_one_process_has_all_rows() -> None:
    x = np.arange(6.0).reshape(3, 2)
    assert np.array_equal(rows_from_first(None, x, [0, 3]), x)
    assert np.array_equal(rows_to_first(None, x), x)


def test_a_command_that_runs_alone_has_no_communicator(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[object] = []
    on_first_alone(lambda a: seen.append(a.comm))(argparse.Namespace(comm=None))
    assert seen == [None]
    assert capsys.readouterr().err == ""
