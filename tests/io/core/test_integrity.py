"""Damage that HDF5 itself does not survive is seen before HDF5 reads the file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from kinds import KINDS

from sci.errors import FileFormatError
from sci.io import load_grid, load_problem, read_header, read_slabs

RNG = np.random.default_rng(5)
MASK = RNG.random((5, 6, 4)) > 0.2
B = RNG.normal(size=MASK.shape) * MASK


def test_files_that_join_parts_are_sealed(tmp_path: Path) -> None:
    """A flipped bit where HDF5 keeps the names of the parts, or in the seal, is seen before HDF5 reads it."""
    path = tmp_path / "spread.h5"
    KINDS["spread"].write(path)
    whole = bytearray(path.read_bytes())
    assert whole.startswith(b"sci crc32 ")
    for place in (3, 12, whole.find(b"GCOL") + 20, len(whole) - 1):
        bad = whole.copy()
        bad[place] ^= 1
        path.write_bytes(bad)
        for read in (load_grid, read_slabs, read_header):
            with pytest.raises(FileFormatError, match="the checksum of the whole file is wrong"):
                read(path)
    path.write_bytes(whole)
    load_grid(path)


def test_a_damaged_heap_of_texts_does_not_hang_hdf5(tmp_path):
    """HDF5 loops for ever over free space of length zero."""
    path = tmp_path / "plain.h5"
    with h5py.File(path, "w") as file:
        file["mask"], file["b"] = MASK, B
        file.attrs["boundary"] = '["dirichlet", "neumann", "periodic"]'
    load_problem(path)
    data = bytearray(path.read_bytes())
    start = data.find(b"GCOL")
    for place, length in ((16, 4000), (8, 8), (26, 1)):
        bad = data.copy()
        bad[start + place : start + place + length] = bytes(length) if length > 1 else b"\xff"
        path.write_bytes(bad)
        with pytest.raises(FileFormatError, match=r"plain\.h5: damaged"):
            load_problem(path)
