"""One compressed field in a file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import same

from sci.compression import compress
from sci.errors import FileFormatError
from sci.io import load, save


def test_a_field_comes_back_to_the_bit(tmp_path: Path) -> None:
    field = compress(np.sin(np.arange(60.0)).reshape(6, 10), 1e-3, bound="maximum")
    save(tmp_path / "a.h5", field)
    found = load(tmp_path / "a.h5")
    assert same(found, field)
    np.testing.assert_array_equal(found.decompress(), field.decompress())


def test_a_field_whose_header_says_otherwise_is_damaged(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", compress(np.ones((6, 10)), 1e-3))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        text = file["compressed_field"].attrs["about"].decode()
        file["compressed_field"].attrs["about"] = np.bytes_(text.replace("[6, 10]", "[6, 11]"))
    with pytest.raises(FileFormatError, match=r"is no compressed field .*expected"):
        load(tmp_path / "a.h5")
