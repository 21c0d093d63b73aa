"""Outputs are checked before any work; nothing is replaced unasked; a file's texts do not reach the terminal raw."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import h5py
import numpy as np
import pytest
from command_cases import run

from sci.cli.outcome import size_in_words, to_accuracy
from sci.io import load, save
from sci.potentials import Particles


def test_an_output_that_exists_needs_overwrite(pqr, tmp_path, capsys):
    out = tmp_path / "out.h5"
    words = ("potential", pqr, "-o", out, "--grid", 4, "--export", "dx", "--quiet")
    assert run(*words) == 0
    before = out.read_bytes()
    assert run(*words) == 2
    assert "exists; choose another name, or replace it with --overwrite" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert run(*words, "--overwrite") == 0
    out.unlink()
    assert run(*words) == 2, "the export exists as well"
    assert run("export", tmp_path / "none.h5", "--to", "dx", "-o", out) == 2


def test_finished_frames_are_not_replaced_unasked(tmp_path, capsys):
    path, out = tmp_path / "a.xyz", tmp_path / "a.h5"
    path.write_text("2\nProperties=species:S:1:pos:R:3:charge:R:1\nA 0 0 0 1\nB 0 0 2 -1\n" * 3)
    words = ("trajectory", path, "-o", out, "--quiet")
    assert run(*words) == 0
    assert run(*words, "--frames", "0:1") == 2
    assert "--overwrite" in capsys.readouterr().err
    assert len(load(out).frames) == 3
    assert run(*words, "--resume") == 0
    assert run(*words, "--frames", "0:1", "--overwrite") == 0
    assert len(load(out).frames) == 1


def test_hard_links_and_links_to_the_input_are_refused(pqr, tmp_path, capsys):
    before = pqr.read_bytes()
    os.link(pqr, tmp_path / "hard.h5")
    (tmp_path / "soft.h5").symlink_to(pqr)
    for name in ("hard.h5", "soft.h5"):
        assert run("potential", pqr, "-o", tmp_path / name, "--overwrite") == 2
        assert "is the input" in capsys.readouterr().err
    assert pqr.read_bytes() == before


def test_places_that_take_no_file_are_named_before_the_work(pqr, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for out, said in (
        (tmp_path / "pipe", "this is a pipe"),
        ("/dev/null", "this is a device"),
        (tmp_path, "this is a directory"),
        (tmp_path / "none" / "a.h5", "does not exist; create it first"),
        (tmp_path / ("a" * 256), "a name of 256 bytes"),
    ):
        assert run("potential", pqr, "-o", out, "--overwrite") == 2
        assert said in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pipe", "small.pqr"]


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path, capsys):
    path = tmp_path / "a.h5"
    evil = "\x1b]0;mine\x07\x1b[2J\x9b31m"
    save(path, Particles([[0.0, 0.0, 0.0]], [1.0]), command=evil, units=evil, results={"note": evil})
    with h5py.File(path, "r+") as file:
        file.create_dataset(f"particles/{evil}", data=np.ones(1))
    for more in ((), ("--json",)):
        assert run("info", path, *more) == 0
        said = capsys.readouterr().out
        assert "mine" in said
        assert [c for c in said if not (c.isprintable() or c == "\n")] == []
        if more:
            assert json.loads(said)["command"] == evil
    with h5py.File(path, "r+") as file:
        file.attrs["kind"] = np.bytes_(evil.encode())
    assert run("export", path, "--to", "dx") == 2
    said = capsys.readouterr().err
    assert [c for c in said if not (c.isprintable() or c == "\n")] == []


def test_two_writers_of_one_output(pqr, tmp_path, capsys):
    """The second is refused before it computes; a writer that was killed holds nothing."""
    pytest.importorskip("fcntl")
    out = tmp_path / "out.h5"
    hold = "from pathlib import Path; from sci.cli.outcome import require_writable; "
    hold += f"require_writable([Path({str(out)!r})], overwrite=False); print(flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", hold], **pipes) as holder:
        holder.stdout.readline()
        (tmp_path / "link.h5").symlink_to(out)
        for name in (out, tmp_path / "link.h5"):
            assert run("potential", pqr, "-o", name, "--quiet") == 2
            assert "another process or thread writes this file; wait for it, or end it" in capsys.readouterr().err
        assert not out.exists()
        holder.kill()
        holder.wait()
    assert list(tmp_path.glob(".*.lock")), "the killed writer leaves its lock file, which locks nothing"
    assert run("potential", pqr, "-o", out, "--quiet") == 0
    assert list(tmp_path.glob(".*")) == []


def test_numbers_in_words():
    assert [to_accuracy(-73.30729114, tol) for tol in (1e-2, 1e-6, 1e-30)] == ["-73.31", "-73.307291", "-73.30729114"]
    assert [size_in_words(n) for n in (0, 999, 1500, 2e7, 3e12)] == ["0 B", "999 B", "1.5 kB", "20 MB", "3 TB"]
