"""Records behind the end of an HDF5 file: whole ones are read, and what was cut short ends them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from sci.errors import FileFormatError
from sci.io.codecs.compressed.journal import encoded, end_of_hdf5, end_of_journal, records
from sci.io.core.hdf5 import LIBVER


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with h5py.File(tmp_path / "a.h5", "w", libver=LIBVER) as file:
        file["x"] = np.arange(5.0)
    with (tmp_path / "a.h5").open("ab") as raw:
        for k in range(3):
            raw.write(encoded({"number": k}, bytes([k]) * (k + 1)))
    return tmp_path / "a.h5"


def test_records_are_read_in_order_and_hdf5_does_not_mind(path: Path) -> None:
    found = list(records(path))
    assert [(record.about["number"], record.data) for record in found] == [(0, b"\0"), (1, b"\1\1"), (2, b"\2\2\2")]
    assert found[-1].end == end_of_journal(path) == path.stat().st_size
    with h5py.File(path) as file:
        np.testing.assert_array_equal(file["x"], np.arange(5.0))


def test_a_record_that_is_cut_anywhere_is_none(path: Path) -> None:
    whole = path.read_bytes()
    ends = [end_of_hdf5(path), *(record.end for record in records(path))]
    for size in range(ends[2], ends[3]):
        path.write_bytes(whole[:size])
        assert len(list(records(path))) == 2
        assert end_of_journal(path) == ends[2]


def test_a_flipped_bit_ends_the_journal(path: Path) -> None:
    whole, start = bytearray(path.read_bytes()), [r.end for r in records(path)][1]
    for at in range(start, len(whole)):
        damaged = bytes(whole[:at]) + bytes([whole[at] ^ 16]) + bytes(whole[at + 1 :])
        path.write_bytes(damaged)
        assert len(list(records(path))) == 2, at


def test_other_files_have_no_journal(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"no HDF5" * 20)
    assert list(records(tmp_path / "b")) == []
    with pytest.raises(FileFormatError, match="cannot be continued"):
        end_of_hdf5(tmp_path / "b")
