"""Which arrays of a file are fields: by kind, size and dtype, or because somebody asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kinds import KINDS
from samples import make_objects

from sci.errors import DiskFullError, FileFormatError, InvalidValueError
from sci.io import save, save_samples, stored_fields
from sci.io.codecs.compressed.rules import full_disk_told, read_block
from sci.potentials import PotentialGrid


def reasons(path: Path, **options: Any) -> dict[str, str]:
    return {one.name: one.reason for one in stored_fields(path, **options)}


def test_large_fields_of_samples_are_compressed_and_small_ones_not(tmp_path: Path) -> None:
    save_samples(tmp_path / "s.h5", np.ones((10, 64, 64)), np.ones((10, 3)), grid_axes=None)
    assert reasons(tmp_path / "s.h5") == {"x": "", "y": "fewer than 4096 numbers"}


def test_fields_of_a_file_for_paraview_are_compressed(tmp_path: Path) -> None:
    save(tmp_path / "g.h5", PotentialGrid(np.ones((20, 20, 20)), (0, 0, 0), (1, 1, 1)))
    found = reasons(tmp_path / "g.h5")
    assert [name for name, reason in found.items() if not reason] == ["VTKHDF/PointData/potential"]
    assert found["VTKHDF/x"].startswith("no field")


EXACT = [name for name in make_objects() if name not in ("compressed_field", "field_in_chunks")]


@pytest.mark.parametrize("name", EXACT)
def test_only_what_a_codec_names_is_a_field(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, tensors, positions and indices are exact, however large: the size is no matter here."""
    monkeypatch.setattr("sci.io.codecs.compressed.rules.SMALLEST", 0)
    KINDS[name].write(tmp_path / "a.h5")
    fields = {one.name for one in stored_fields(tmp_path / "a.h5") if not one.reason}
    expected = {
        "samples": {"x", "y"},
        "poisson": {"b"},
        "solution": {"x"},
        "minimum": {"u"},
        "poisson_boltzmann": {"potential", "minimum/u"},
        "grid": {"VTKHDF/PointData/potential"},
        "float32_grid": {"VTKHDF/PointData/potential"},
    }
    if name == "smoke":
        assert {path.partition("/")[2] for path in fields} == {
            "density",
            "pressure",
            "source",
            "velocity_0",
            "velocity_1",
        }
    else:
        assert fields == expected.get(name, set())


def test_arrays_are_chosen_by_name(tmp_path: Path) -> None:
    KINDS["tucker"].write(tmp_path / "a.h5")
    found = reasons(tmp_path / "a.h5", datasets=["tucker/factor_*"])
    assert [name for name, reason in found.items() if not reason] == [f"tucker/factor_{k}" for k in range(3)]
    assert found["tucker/core"] == "not asked for"
    for name in ("nothing", "x"):
        with pytest.raises(InvalidValueError, match=r"no array of floats is named .*expected some of tucker/core"):
            stored_fields(tmp_path / "a.h5", datasets=[name])


def test_integers_are_never_chosen(tmp_path: Path) -> None:
    KINDS["composite"].write(tmp_path / "a.h5")
    with pytest.raises(InvalidValueError, match="no array of floats is named 'composite/phase'; expected some of none"):
        stored_fields(tmp_path / "a.h5", datasets=["composite/phase"])


def test_files_that_cannot_be_compressed_say_why(tmp_path: Path) -> None:
    for name, words in {
        "spread": "`sci join` makes one file",
        "packed_samples": "compressed already; `sci decompress` it first",
        "field_in_chunks": "compressed already",
        "foreign_samples": "no file of sci; expected one, or one array as .npy",
    }.items():
        KINDS[name].write(tmp_path / f"{name}.h5")
        with pytest.raises(FileFormatError, match=f"{name}.h5: .*{words}"):
            stored_fields(tmp_path / f"{name}.h5")
    with pytest.raises(FileFormatError, match="there is no such file"):
        stored_fields(tmp_path / "none.h5")


def _archive(path: Path) -> None:
    np.savez(path.with_suffix(".npz"), x=np.ones(5))
    path.with_suffix(".npz").rename(path)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: np.save(path, np.arange(5)), "holds int64"),
        (lambda path: np.save(path, np.float64(5)), r"shape \(\)"),
        (lambda path: np.save(path, np.array([{}]), allow_pickle=True), "cannot be read as .npy"),
        (lambda path: path.write_bytes(b"\x93NUMPY\x01\x00"), "cannot be read as .npy"),
        (lambda path: path.write_bytes(b""), "cannot be read as .npy"),
        (_archive, "this is a .npz archive"),
        (lambda path: path.mkdir(), "this is a directory"),
    ],
)
def test_bad_npy_files_are_named(tmp_path: Path, write: Any, words: str) -> None:
    write(tmp_path / "a.npy")
    with pytest.raises(FileFormatError, match=f"a.npy: .*{words}"):
        stored_fields(tmp_path / "a.npy")


def test_an_array_of_numpy_has_no_name(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones((3, 4)))
    assert stored_fields(tmp_path / "a.npy")[0].shape == (3, 4)
    with pytest.raises(InvalidValueError, match=r"a\.npy: holds one array without a name"):
        stored_fields(tmp_path / "a.npy", datasets=["x"])


def test_blocks_of_arrays(tmp_path: Path) -> None:
    values = np.arange(24.0).reshape(4, 6)
    np.save(tmp_path / "a.npy", values)
    save_samples(tmp_path / "a.h5", values, values, grid_axes=1)
    place = (slice(1, 3), slice(0, 2))
    np.testing.assert_array_equal(read_block(tmp_path / "a.npy", "", place), values[place])
    np.testing.assert_array_equal(read_block(tmp_path / "a.h5", "y", place), values[place])


def test_a_full_disk_is_that_of_the_output(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match=r"out\.h5: the disk is full"), full_disk_told(tmp_path / "out.h5"):
        raise OSError(28, "No space left on device")
