"""Files of samples: round trips, foreign files, and refusals that leave nothing behind."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from sci.errors import FileFormatError, InvalidValueError, SciError
from sci.io import Samples, load, load_inputs, load_samples, read_header, save, save_samples


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_round_trip(tmp_path: Path, dtype: type) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3, 4)).astype(dtype), rng.normal(size=(7, 5)).astype(dtype)
    save_samples(tmp_path / "s.h5", x, y, command="made here", units="1")
    save(tmp_path / "whole.h5", Samples(x, y))
    for found in (load_samples(tmp_path / "s.h5"), load(tmp_path / "s.h5"), load(tmp_path / "whole.h5")):
        assert type(found) is Samples
        for read, written in zip(found, (x, y)):
            np.testing.assert_array_equal(read, written)
            assert read.dtype == dtype
    header = read_header(tmp_path / "s.h5")
    assert (header.kind, header.command, header.units) == ("samples", "made here", "1")


def test_files_say_what_shapes_do_not(tmp_path: Path) -> None:
    """(5, 2, 8) is two channels on 8 points or one on 2 x 8: the file says which, on every way in and out."""
    for axes, periodic in ((1, True), (2, False)):
        samples = Samples(np.zeros((5, 2, 8)), np.ones((5, 2, 8)), axes, periodic)
        save(tmp_path / f"{axes}.h5", samples)
        save_samples(tmp_path / f"{axes}b.h5", *samples, grid_axes=axes, periodic=periodic)
        for name in (f"{axes}.h5", f"{axes}b.h5"):
            for found in (load(tmp_path / name), load_samples(tmp_path / name), load_inputs(tmp_path / name)):
                assert (found.grid_axes, found.periodic) == (axes, periodic)
                assert f"grid_axes={axes}" in repr(found)
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["x"], file.attrs["grid_axes"] = np.zeros((5, 2, 8)), 1
    found = load_inputs(tmp_path / "f.h5")
    assert (found.grid_axes, found.periodic, found.y) == (1, None, None)
    for name, value in (("grid_axes", 4), ("periodic", 2), ("grid_axes", [1, 1])):
        with h5py.File(tmp_path / "f.h5", "w") as file:
            file["x"], file.attrs[name] = np.zeros((5, 2, 8)), value
        with pytest.raises(FileFormatError, match=name):
            load_inputs(tmp_path / "f.h5")
    for shape, axes in (((5, 8), 2), ((5, 2, 2, 8), 1), ((5, 8), 0)):
        with pytest.raises(InvalidValueError, match="grid"):
            Samples(np.zeros(shape), np.zeros(shape), axes)


def test_foreign_file_keeps_its_dtypes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f.h5", "w") as file:
        file["x"], file["y"] = np.array([[True, False]]), np.ones((1, 3), np.float32)
    x, y = load_samples(tmp_path / "f.h5")
    assert (x.dtype, y.dtype) == (bool, np.float32)


@pytest.mark.parametrize(
    ("x", "y", "text"),
    [
        (np.zeros(3), np.zeros(4), "as many samples"),
        (np.zeros(3, int), np.zeros(3), "x has dtype int64"),
        (np.zeros(3), np.full(3, np.inf), "y holds NaN"),
        (np.float64(1), np.zeros(1), "as many samples"),
    ],
)
def test_unfit_samples_write_nothing(tmp_path: Path, x: np.ndarray, y: np.ndarray, text: str) -> None:
    with pytest.raises(SciError, match=text):
        save_samples(tmp_path / "s.h5", x, y)
    with pytest.raises(SciError, match=text):
        save(tmp_path / "s.h5", Samples(x, y))
    assert not list(tmp_path.iterdir())


def test_unfit_files_are_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "no_y.h5", "w") as file:
        file["x"] = np.zeros(3)
    with h5py.File(tmp_path / "nan.h5", "w") as file:
        file["x"], file["y"] = np.zeros(3), np.full(3, np.nan)
    with h5py.File(tmp_path / "lengths.h5", "w") as file:
        file["x"], file["y"] = np.zeros(3), np.zeros(2)
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file["x"], file["y"] = np.zeros(1), ["a"]
    (tmp_path / "text.txt").write_text("no HDF5")
    for name, text in {
        "no_y.h5": "y is missing",
        "nan.h5": "y holds NaN",
        "lengths.h5": "as many samples",
        "text.h5": "real numbers",
        "text.txt": "not an HDF5 file",
        "absent.h5": "no such file",
    }.items():
        with pytest.raises(FileFormatError, match=text) as caught:
            load_samples(tmp_path / name)
        assert name in str(caught.value)


def test_damage_is_seen(tmp_path: Path) -> None:
    save_samples(tmp_path / "s.h5", np.arange(5.0), np.arange(5.0))
    with h5py.File(tmp_path / "s.h5", "r+") as file:
        file["y"][2] = 7.0
    with pytest.raises(FileFormatError, match="checksum"):
        load_samples(tmp_path / "s.h5")
