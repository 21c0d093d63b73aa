"""Text input: files that never end, and what is said of them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from sci.errors import FileFormatError
from sci.io import count_frames, read_crystal, read_frames, read_structure
from sci.io.readers.text import line_of, number


def test_pipes_and_devices_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.xyz")
    os.symlink("/dev/zero", tmp_path / "zero.xyz")
    for name, what in (("pipe", "pipe"), ("zero", "device")):
        path = tmp_path / f"{name}.xyz"
        reads = [partial(read_structure, format=f) for f in ("pqr", "xyz", "pdb", "mmcif")]
        for read in (*reads, count_frames, lambda p: next(read_frames(p))):
            with pytest.raises(FileFormatError, match=rf"{name}\.xyz: this is a {what}; expected a file"):
                read(path)


def test_crystals_from_a_device(tmp_path):
    pytest.importorskip("gemmi")
    with pytest.raises(FileFormatError, match="this is a device"):
        read_crystal(Path("/dev/zero"))


def test_lines_are_found_by_their_fields():
    lines = ["a b", "", "x  1.0 y 2", "x 2 y"]
    assert line_of(lines, "x", "2") == 3
    assert line_of(lines, "2", "y") == 4
    assert line_of(lines, "y", "1.0") is None


def test_numbers():
    assert number("-1.5e3") == -1500.0
    assert number("1_0") is None
    with pytest.raises(ValueError, match="nan is not a finite number"):
        number("nan")
