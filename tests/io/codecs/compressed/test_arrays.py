"""Arrays in chunks in files: a slab is read from its chunks alone, and damage is found where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from samples import same

from sci.compression import CompressedField, CompressedGrid, compress_grid
from sci.errors import FileFormatError, InvalidValueError
from sci.io import compress_file, describe, load, read_compressed, save, save_samples
from sci.io.codecs.compressed import arrays


def smooth(*shape: int) -> np.ndarray:
    return np.sin(0.01 * np.arange(np.prod(shape))).reshape(shape)


@pytest.fixture
def grid() -> CompressedGrid:
    return compress_grid(smooth(20, 12, 10), 1e-3, chunk=(6, 7))


def test_a_grid_comes_back_to_the_bit(tmp_path: Path, grid: CompressedGrid) -> None:
    save(tmp_path / "a.h5", grid)
    assert same(load(tmp_path / "a.h5"), grid)


def test_bytes_that_are_many_are_written_while_they_come(
    tmp_path: Path, grid: CompressedGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrays, "_HELD", 100)
    save(tmp_path / "a.h5", grid)
    with h5py.File(tmp_path / "a.h5") as file:
        assert file["compressed_grid/data"].chunks is not None
    assert same(load(tmp_path / "a.h5"), grid)


def test_a_slab_reads_its_chunks_alone(tmp_path: Path, grid: CompressedGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.h5", grid)
    found = read_compressed(tmp_path / "a.h5")
    decoded: list[int] = []
    kept = CompressedField.decompress
    monkeypatch.setattr(CompressedField, "decompress", lambda self: decoded.append(self.nbytes) or kept(self))
    slab = found[7:9]
    assert decoded == [chunk.nbytes for chunk in grid.chunks[2:4]]
    monkeypatch.undo()
    np.testing.assert_array_equal(slab, grid[7:9])
    assert (found.l2_error, found.maximum_error) == (grid.l2_error, grid.maximum_error)
    assert (found.l2_norm, found.ratio) == (pytest.approx(grid.l2_norm), grid.ratio)


def test_opening_a_file_reads_no_chunk(tmp_path: Path, grid: CompressedGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    save(tmp_path / "a.h5", grid)
    seen: list[int] = []
    kept = arrays._StoredChunks.read
    monkeypatch.setattr(arrays._StoredChunks, "read", lambda self, group, k: seen.append(k) or kept(self, group, k))
    found = read_compressed(tmp_path / "a.h5")
    assert seen == []
    assert found[7:9].shape == (2, 12, 10)
    assert seen == [2, 3]


def test_a_damaged_chunk_is_named_and_the_others_are_read(tmp_path: Path, grid: CompressedGrid) -> None:
    save(tmp_path / "a.h5", grid)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["compressed_grid/data"][-1] ^= 1
    found = read_compressed(tmp_path / "a.h5")
    np.testing.assert_array_equal(found[:6], grid[:6])
    with pytest.raises(
        FileFormatError, match=f"a.h5: /compressed_grid: chunk {len(grid.chunks) - 1} fails its checksum"
    ):
        found[19]
    with pytest.raises(FileFormatError, match="fails its checksum"):
        load(tmp_path / "a.h5")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"shape": [20, 12, 10]', '"shape": [20, 12, 11]'),
        ('"shape": [20, 12, 10]', '"shape": [-1, 12, 10]'),
        ('"dtype": "float64"', '"dtype": "object"'),
        ('"edges": [[0, 6', '"edges": [[0, 5'),
        ('"value_range"', '"other"'),
        ("{", "["),
    ],
)
def test_contents_that_do_not_fit_are_damage(tmp_path: Path, grid: CompressedGrid, old: str, new: str) -> None:
    save(tmp_path / "a.h5", grid)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        group = file["compressed_grid"]
        text = group.attrs["about"].decode()
        assert old in text
        group.attrs["about"] = np.bytes_(text.replace(old, new, 1))
    with pytest.raises(FileFormatError, match=r"a\.h5: "):
        load(tmp_path / "a.h5").decompress()


def test_an_array_of_several_is_chosen_by_name(tmp_path: Path) -> None:
    save_samples(tmp_path / "s.h5", smooth(5, 40, 40), 2 * smooth(5, 40, 40), grid_axes=2)
    compress_file(tmp_path / "s.h5", tmp_path / "c.h5", 1e-3)
    assert read_compressed(tmp_path / "c.h5", "y")[1].shape == (40, 40)
    for name in (None, "z"):
        with pytest.raises(InvalidValueError, match="expected one of x, y"):
            read_compressed(tmp_path / "c.h5", name)
    with pytest.raises(FileFormatError, match="no compressed array"):
        read_compressed(tmp_path / "s.h5")


def test_a_compressed_dataset_reads_as_a_dataset(tmp_path: Path) -> None:
    x = smooth(5, 40, 40)
    save_samples(tmp_path / "s.h5", x, x, grid_axes=2)
    compress_file(tmp_path / "s.h5", tmp_path / "c.h5", 1e-3)
    found: dict[str, Any] = describe(tmp_path / "c.h5")["datasets"]["x"]
    assert (found["shape"], found["dtype"], found["dims"]) == ([5, 40, 40], "float64", ["sample", "axis_0", "axis_1"])
    assert found["compressed_bytes"] < found["bytes"] / 10
    np.testing.assert_array_equal(load(tmp_path / "c.h5").x, read_compressed(tmp_path / "c.h5", "x").decompress())
