"""Damaged files of every kind: a clear error or the right answer, never a crash, a hang or a flood of memory.

SCI_FUZZ is the number of damaged copies of each kind, 6 unless set: each damage once. `SCI_FUZZ=1000 pytest
tests/io/test_fuzz.py` takes minutes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fuzz
import numpy as np
import pytest

pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="readers run in forked processes")

COUNT = int(os.environ.get("SCI_FUZZ", "6"))


def test_damaged_files_of_every_kind() -> None:
    command = [sys.executable, "-W", "error", fuzz.__file__, str(COUNT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60 + 2 * COUNT, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) > 20
    assert {entry["kind"]: entry["faults"] for entry in found if entry["faults"]} == {}
    refused, right = (sum(entry[end] for entry in found) for end in ("refused", "right"))
    assert refused + right == COUNT * len(found)
    assert min(refused, right) > COUNT * len(found) // 20, "the damage is all harmless, or hits the same place"


def test_faults_of_a_reader_are_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The harness itself tells a death, a hang, a flood, a wrong answer and a foreign error from an error of ours."""
    import fuzz
    from kinds import FileKind

    calls: list[int] = []

    def read(path: Path) -> object:
        calls.append(1)
        if len(calls) == 1:  # the intact file
            return 0
        number = int(path.read_bytes()[0])
        if number == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 1:
            while True:
                pass
        if number == 2:
            return np.ones(2**28).sum()
        return number if number == 3 else 1 / 0

    monkeypatch.setattr(fuzz, "SECONDS", 0.2)
    monkeypatch.setattr(fuzz, "damage", lambda good, rng, how: bytes([how]))
    monkeypatch.setattr(fuzz, "describe", lambda path: {})
    monkeypatch.setitem(fuzz.KINDS, "bad", FileKind(lambda path: path.write_bytes(b"x"), read))
    faults = fuzz.fuzz("bad", 5, 0, tmp_path)["faults"]
    expected = ("ended with -9", "ended with -27", "MemoryError", "a wrong answer", "ZeroDivisionError")
    assert len(faults) == len(expected)
    assert all(word in fault for word, fault in zip(expected, faults)), faults
