"""Pictures appear whole or not at all, and the missing extra is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from sci.errors import FileFormatError, MissingDependencyError
from sci.plotting.figures import new_figure, require_matplotlib, save_figure

figure_module = pytest.importorskip("matplotlib.figure")


def test_a_picture_that_cannot_be_written_says_so(tmp_path):
    with pytest.raises(FileFormatError, match=r"the folder .* does not exist; create it first"):
        save_figure(new_figure((2, 2)), tmp_path / "missing" / "a.png")
    (tmp_path / "a.png").mkdir()
    with pytest.raises(FileFormatError, match="this is a directory"):
        save_figure(new_figure((2, 2)), tmp_path / "a.png")


def test_a_failure_leaves_the_old_picture(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(self: Any, target: Path, **_: Any) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(figure_module.Figure, "savefig", full)
    with pytest.raises(FileFormatError, match="the disk is full"):
        save_figure(new_figure((2, 2)), path, overwrite=True)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_without_matplotlib_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    with pytest.raises(MissingDependencyError, match=r'pip install "sci-hpc\[plot\]"'):
        require_matplotlib("a.png")
