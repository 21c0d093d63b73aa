"""Compressed files become plain ones of the same kind, with the numbers that the compressed ones decode to."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from kinds import KINDS
from samples import same

from sci.compression import compress
from sci.errors import FileFormatError, InvalidValueError
from sci.io import compress_file, decompress_file, describe, load, read_header, save, save_samples
from sci.io.codecs.compressed.unpacking import compressed_fields

X = np.sin(np.linspace(0.0, 8.0, 6 * 32 * 32)).reshape(6, 32, 32).astype(np.float32)


@pytest.fixture
def small(tmp_path: Path) -> Path:
    save_samples(tmp_path / "s.h5", X, 2 * X, grid_axes=2)
    compress_file(tmp_path / "s.h5", tmp_path / "c.h5", 1e-3, chunk=(4, 20))
    return tmp_path / "c.h5"


def test_a_file_of_the_same_kind_with_plain_datasets(small: Path, tmp_path: Path) -> None:
    fields = decompress_file(small, tmp_path / "d.h5")
    assert [(one.name, one.shape, one.dtype) for one in fields] == [(n, X.shape, "float32") for n in "xy"]
    assert same(load(tmp_path / "d.h5"), load(small))
    assert read_header(tmp_path / "d.h5") == read_header(tmp_path / "s.h5")
    with h5py.File(tmp_path / "d.h5") as new, h5py.File(tmp_path / "s.h5") as old:
        assert set(new["x"].attrs) == set(old["x"].attrs)
        assert [scale.name for scale in new["x"].dims[1].values()] == [s.name for s in old["x"].dims[1].values()]
        assert set(new) == set(old)
    assert describe(tmp_path / "d.h5")["parameters"]["compression/tol"]["value"] == 1e-3
    with h5py.File(tmp_path / "d.h5", "r+") as new:
        new["x"][0, 0, 0] += 1
    with pytest.raises(FileFormatError, match="checksum"):
        load(tmp_path / "d.h5")


def test_what_was_lost_before_stays_noted(small: Path, tmp_path: Path) -> None:
    decompress_file(small, tmp_path / "d.h5")
    compress_file(tmp_path / "d.h5", tmp_path / "e.h5", 1e-2)
    found = describe(tmp_path / "e.h5")["parameters"]
    assert found["compression/tol"]["value"] == 1e-2
    assert found["compression/before/tol"]["value"] == 1e-3


@pytest.mark.parametrize("name", ["packed_samples"])
def test_golden_files(tmp_path: Path, name: str) -> None:
    KINDS[name].write(tmp_path / "c.h5")
    decompress_file(tmp_path / "c.h5", tmp_path / "d.h5")
    assert same(load(tmp_path / "d.h5"), load(tmp_path / "c.h5"))


def test_one_array_becomes_npy(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", X)
    compress_file(tmp_path / "a.npy", tmp_path / "c.h5", 1e-3, chunk=4)
    decompress_file(tmp_path / "c.h5", tmp_path / "b.npy")
    found = np.load(tmp_path / "b.npy")
    np.testing.assert_array_equal(found, load(tmp_path / "c.h5").decompress())
    assert found.dtype == X.dtype
    save(tmp_path / "f.h5", compress(X, 1e-3))
    decompress_file(tmp_path / "f.h5", tmp_path / "f.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "f.npy"), compress(X, 1e-3).decompress())


def test_wrong_names_and_files_are_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match="is the input"):
        decompress_file(small, small)
    with pytest.raises(InvalidValueError, match=r"expected a name like d\.h5, for a file of kind samples"):
        decompress_file(small, tmp_path / "d.npy")
    save(tmp_path / "f.h5", compress(X, 1e-3))
    with pytest.raises(InvalidValueError, match=r"expected a name like d\.npy, for one array"):
        compressed_fields(tmp_path / "f.h5", tmp_path / "d.h5")
    with pytest.raises(FileFormatError, match="is not compressed"):
        decompress_file(tmp_path / "s.h5", tmp_path / "d.h5")
    with pytest.raises(FileFormatError, match="no such file"):
        decompress_file(tmp_path / "none.h5", tmp_path / "d.h5")
    (tmp_path / "d.h5").write_text("mine")
    with pytest.raises(InvalidValueError, match="exists"):
        decompress_file(small, tmp_path / "d.h5")
    decompress_file(small, tmp_path / "d.h5", overwrite=True)


def test_damage_is_found_and_leaves_no_file(small: Path, tmp_path: Path) -> None:
    with h5py.File(small, "r+") as file:
        file["y/data"][0] ^= 255
    with pytest.raises(FileFormatError, match=r"c\.h5: /y: chunk 0 fails its checksum"):
        decompress_file(small, tmp_path / "d.h5")
    assert not (tmp_path / "d.h5").exists()
    small.write_bytes(small.read_bytes()[:-900])
    with pytest.raises(FileFormatError, match=r"c\.h5: "):
        decompress_file(small, tmp_path / "d.h5")
