"""A job that does not fit is refused by what it needs, what there is, and the option that makes it fit."""

from __future__ import annotations

import argparse
import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_cases import run
from dry_runs import compared

from sci.cli.estimates import needs as module
from sci.cli.estimates.needs import Needs, goes_on
from sci.cli.outcome import Failure
from sci.datasets import dataset_path

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
    with pytest.raises(Failure, match=r"needs 6\.96 GB of memory, and 4 GB are available on this .*; use a smaller"):
        _ask(tmp_path, dry=False, bound=100 * GB, memory=6 * GB)
    with pytest.raises(Failure, match=r"6\.96 GB of memory"):
        _ask(tmp_path, dry=True, memory=6 * GB)


def test_a_disk_that_is_too_small(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"needs 216 GB of space on the disk, and 10 GB are free in .*; use a smaller"):
        _ask(tmp_path, dry=False, disk=216 * GB)


def test_ranks_share_the_memory_of_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_on_this_node", lambda comm: 4)
    with pytest.raises(Failure, match=r"needs 9\.44 GB of memory for 4 processes on this node, and 4 GB"):
        _ask(tmp_path, dry=False, bound=2 * GB, memory=2 * GB)


def test_a_dry_run_tells_the_needs(tmp_path: Path, capsys: Any) -> None:
    assert not _ask(tmp_path, dry=True, about={"atoms": 3})
    said = capsys.readouterr().out
    assert "atoms    3" in said
    assert "about 3.4 min (build 1.5, write 2e+02)" in said
    assert "disk     about 1 MB" in said
    assert not _ask(tmp_path, dry=True, json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["seconds"] == 201.5
    assert found["memory_bytes"] > 1e6
    assert found["disk_bytes"] == 1e6
    assert found["processes_on_node"] == 1


def _command(*words: object, limit: int | None = None, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run the real command, with a limit on its address space and on its CPU time."""

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (int(seconds), int(seconds)))
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    command = [sys.executable, "-m", "sci", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=lower)


def test_a_grid_that_fits_on_no_disk_is_refused_at_once(tmp_path: Path) -> None:
    words = ("potential", dataset_path("ubiquitin"), "-o", tmp_path / "a.h5", "--grid", 100_000)
    for more in ((), ("--dry-run",)):
        done = _command(*words, *more, seconds=20)
        assert done.returncode == 1
        assert "TB of space on the disk" in done.stderr
        assert "; use a smaller --grid" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_dry_run_of_what_does_not_fit_tells_it_all(tmp_path: Path) -> None:
    """Only the refusal was told."""
    words = ("potential", dataset_path("ubiquitin"), "-o", tmp_path / "a.h5", "--grid", 30_000, "--dry-run")
    done = _command(*words)
    assert done.returncode == 1
    for line in (r"time +about .* h .*", r"memory +about .*", r"disk +about .* TB", r"fits +no: the job needs .*"):
        assert re.search(f"^{line}$", done.stdout, re.MULTILINE), done.stdout
    assert len(done.stderr.splitlines()) == 1
    found = json.loads(_command(*words, "--json").stdout)
    assert found["fits"] is False
    assert found["disk_bytes"] == pytest.approx(8 * 30_000**3, rel=0.5)
    assert found["memory_bytes"] < 2e9  # it would be written in slabs
    assert found["seconds"] > 1e4


@pytest.mark.parametrize(
    ("module", "words"),
    [
        ("potential", ("potential", "{ions}", "--grid", 8, "--tol", 1e-3)),
        ("trajectory", ("trajectory", "{ions}")),
        ("lattice", ("lattice", "{nacl}", "--repeats", 3, 3, 3, "--grid", 8)),
        ("operators.generate", ("operator", "generate", "darcy", "--samples", 1, "--grid", 8)),
        ("operators.operator", ("operator", "train", "{darcy}", "--modes", 4, "--hidden", 4, "--epochs", 2)),
        ("solve", ("solve", "train", "--sizes", 8, "--steps", 2)),
    ],
)
def test_a_dry_run_of_a_small_job_tells_memory_and_disk(module, words, tmp_path) -> None:
    """64 MB of disk were asked for 150 kB; the time of such a job is that of its imports."""
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    ions = tmp_path / "in" / "ions.xyz"
    ions.write_text("2\nProperties=species:S:1:pos:R:3:charge:R:1\nA 0 0 0 1\nB 0 0 2 -1\n")
    names = {"ions": str(ions), "nacl": str(dataset_path("nacl")), "darcy": str(dataset_path("darcy"))}
    given = [str(word).format(**names) for word in words]
    found = compared(f"sci.cli.commands.{module}", *given, "-o", tmp_path / "out" / "a.h5")
    assert found.written > 10_000
    assert set(found.misses) <= {"time_ratio"}, found


def test_a_job_beyond_the_memory_limit_is_refused_before_it_computes(tmp_path: Path) -> None:
    """An export holds the whole grid; without it the grid is written by parts, and fits."""
    words = ("potential", dataset_path("ubiquitin"), "-o", tmp_path / "a.h5", "--grid", 560, "--export", "cube")
    done = _command(*words, limit=3 * GB, seconds=20)
    assert done.returncode == 1
    assert "of memory, and" in done.stderr
    assert "ulimit -v" in done.stderr
    assert "--grid" in done.stderr
    assert list(tmp_path.iterdir()) == []
    done = _command(*words[:-2], "--dry-run", limit=3 * GB)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("potential", "{ubiquitin}", "-o", "out.h5", "--grid", "16", "--plot", "out.png"),
        ("trajectory", "{ions}", "-o", "out.h5"),
        ("lattice", "{nacl}", "--repeats", "5", "5", "5", "-o", "out.h5"),
        ("solve", "run", "{body}", "-o", "out.h5"),
        ("solve", "train", "-o", "out.h5", "--sizes", "8"),
        ("operator", "train", "{darcy}", "-o", "out.h5", "--modes", "4", "--checkpoint", "run.h5"),
        ("operator", "generate", "darcy", "-o", "out.h5"),
        ("sequence", "bench", "--length", "256"),
    ],
)
def test_a_dry_run_writes_nothing(words, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    names = {name: str(dataset_path(name)) for name in ("ubiquitin", "ions", "nacl", "body", "darcy")}
    assert run(*(word.format(**names) for word in words), "--dry-run", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["seconds"] > 0
    assert found["memory_bytes"] > 10e6
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trajectory", "{bad}", "-o", "out.h5"), "bad.xyz"),
        (("potential", "none.pqr", "-o", "out.h5"), "none.pqr"),
        (("operator", "generate", "darcy", "-o", "out.h5", "--subsample", "0"), "--subsample: '0'"),
        (("potential", "{ubiquitin}", "-o", "none/out.h5"), "does not exist"),
    ],
)
def test_a_dry_run_checks_the_input(words, said, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    good = "2\nProperties=species:S:1:pos:R:3:charge:R:1\nA 0 0 0 1\nB 0 0 2 -1\n"
    (tmp_path / "bad.xyz").write_text(2 * good + good.replace("2 -1", "two -1"))
    names = {"bad": "bad.xyz", "ubiquitin": str(dataset_path("ubiquitin"))}
    assert run(*(word.format(**names) for word in words), "--dry-run") == 2
    assert said in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["bad.xyz"]
