"""A job that does not fit is refused by what it needs, what there is, and the option that makes it fit."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from sci.cli.estimates import needs as module
from sci.cli.estimates.needs import Needs, goes_on
from sci.cli.outcome import Failure

GB = 10**9


def _ask(tmp_path: Path, *, dry: bool, memory: float = 1e6, bound: float = 1e6, disk: float = 1e6, **more: Any) -> bool:
    arguments = argparse.Namespace(dry_run=dry, json=more.pop("json", False), quiet=False)
    asked = {"bound": bound, "disk": disk, "outputs": [tmp_path / "a.h5", None], "remedy": "use a smaller --grid"}
    return goes_on(arguments, lambda: Needs(memory, {"build": 1.5, "write": 200.0}), **asked, **more)


@pytest.fixture(autouse=True)
def _limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: (4 * GB, "available on this machine"))
    monkeypatch.setattr(module, "free_space", lambda folder: 10 * GB)


def test_a_job_that_surely_fits_is_not_looked_at(tmp_path: Path) -> None:
    def never() -> Needs:
        raise AssertionError

    arguments = argparse.Namespace(dry_run=False)
    assert goes_on(arguments, never, bound=GB, disk=0, outputs=[tmp_path / "a"], remedy="")


def test_a_bound_that_is_too_large_asks_for_the_needs(tmp_path: Path) -> None:
    assert _ask(tmp_path, dry=False, bound=100 * GB, memory=3 * GB)
    with pytest.raises(Failure, match=r"needs 6 GB of memory, and 4 GB are available on this machine; use a smaller"):
        _ask(tmp_path, dry=False, bound=100 * GB, memory=6 * GB)
    with pytest.raises(Failure, match="6 GB of memory"):
        _ask(tmp_path, dry=True, memory=6 * GB)


def test_a_disk_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"needs 216 GB of space on the disk, and 10 GB are free in .*; use a smaller"):
        _ask(tmp_path, dry=False, disk=216 * GB)


def test_ranks_share_the_memory_of_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_on_this_node", lambda comm: 4)
    with pytest.raises(Failure, match="needs 8 GB of memory for 4 processes on this node, and 4 GB"):
        _ask(tmp_path, dry=False, bound=2 * GB, memory=2 * GB)


def test_a_dry_run_tells_the_needs(tmp_path: Path, capsys: Any) -> None:
    assert not _ask(tmp_path, dry=True, about={"atoms": 3})
    said = capsys.readouterr().out
    assert "atoms    3" in said
    assert "about 3.4 min (build 1.5, write 2e+02)" in said
    assert "disk     1 MB" in said
    assert not _ask(tmp_path, dry=True, json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["seconds"] == 201.5
    assert found["memory_bytes"] > 1e6
    assert found["disk_bytes"] == 1e6
    assert found["processes_on_node"] == 1
