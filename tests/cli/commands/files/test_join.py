"""Parts of a grid become one file."""

from __future__ import annotations

import numpy as np
from command_cases import run
from kinds import KINDS

from sci.io import load_grid


def test_it_joins_and_keeps_its_input(tmp_path, capsys):
    spread, one = tmp_path / "spread.h5", tmp_path / "one.h5"
    KINDS["spread"].write(spread)
    capsys.readouterr()
    assert run("join", spread, "-o", one) == 0
    line = capsys.readouterr().out
    assert line.startswith(f"{one}  ")
    assert f"points of {spread}" in line
    np.testing.assert_array_equal(load_grid(one).values, load_grid(spread).values)
    assert run("join", spread, "-o", spread) == 2
    assert "is the input" in capsys.readouterr().err
    next(tmp_path.glob("*part001*")).unlink()
    assert run("join", spread, "-o", tmp_path / "other.h5") == 2
    assert not (tmp_path / "other.h5").exists()
