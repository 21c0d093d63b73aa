"""State dicts in npz files: bombs, damage and odd archives are errors of ours."""

from __future__ import annotations

import contextlib
import os
import zipfile

import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.io import read_state_dict

ARRAYS = {"w": np.random.default_rng(0).normal(size=(20, 30)), "b": np.zeros(7, "f4")}


def test_arrays_come_back_compressed_or_not(tmp_path):
    for write in (np.savez, np.savez_compressed):
        write(tmp_path / "a.npz", **ARRAYS)
        found = read_state_dict(tmp_path / "a.npz")
        assert list(found) == list(ARRAYS)
        assert all(found[name].tobytes() == array.tobytes() for name, array in ARRAYS.items())


def test_a_bomb_is_refused_before_it_unpacks(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("w.npy", "w") as entry:
        np.lib.format.write_array_header_1_0(entry, {"descr": "<f8", "fortran_order": False, "shape": (25_000_000,)})
        for _ in range(200):
            entry.write(bytes(1_000_000))
    assert path.stat().st_size < 300_000
    with pytest.raises(FileFormatError, match=r"bomb\.npz: it unpacks to 200 MB; expected at most 67 MB"):
        read_state_dict(path)


def _flip(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 0xFF
    path.write_bytes(data)


def test_odd_and_damaged_members_are_errors_of_ours(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, **ARRAYS)
    size = path.stat().st_size
    whole = path.read_bytes()
    for place in range(30, size, 97):
        path.write_bytes(whole)
        _flip(path, place)
        with contextlib.suppress(FileFormatError):  # any other class fails the test
            read_state_dict(path)
    path.write_bytes(whole)
    data = bytearray(whole)
    data[6] |= 1  # encrypted, says the local header
    start = whole.find(b"PK\x01\x02")
    data[start + 8] |= 1  # and so does the directory
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="not an npz file of plain arrays"):
        read_state_dict(path)
    data = bytearray(whole)
    data[8] = data[start + 10] = 99  # an unknown method of compression
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="not an npz file of plain arrays"):
        read_state_dict(path)


def test_a_claim_of_more_memory_than_there_is(tmp_path):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive, archive.open("w.npy", "w") as entry:
        np.lib.format.write_array_header_1_0(entry, {"descr": "<f8", "fortran_order": False, "shape": (2**50,)})
    with pytest.raises(FileFormatError, match=r"claims shape|not an npz file"):
        read_state_dict(path)


def test_a_pipe_is_no_archive(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(FileFormatError, match="this is a pipe"):
        read_state_dict(tmp_path / "pipe.npz")
