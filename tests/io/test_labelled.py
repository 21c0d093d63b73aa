"""Arrays with names of axes and units, of every kind of file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from kinds import GRID, KINDS, RESULTS
from samples import make_objects

from sci.errors import FileFormatError
from sci.io import describe, load_arrays, save

FILES = sorted((Path(__file__).parents[1] / "data").glob("*_v*.h5"))


@pytest.mark.parametrize("name", [name for name, kind in KINDS.items() if kind.checked])
def test_every_array_of_a_file_is_there(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.h5"
    KINDS[name].write(path)
    found = load_arrays(path)
    for label, array in found.items():
        assert len(array.dims) == array.values.ndim, label
        assert len(set(array.dims)) == len(array.dims), label
    ends = {label.rpartition("/")[2] for label in found}
    missing = {label.rpartition("/")[2] for label in describe(path)["datasets"]} - ends
    assert missing <= {"checksums", "energy_errors", "force_errors"}, "those of frames without errors are empty"


@pytest.mark.parametrize("path", [p for p in FILES if ".part" not in p.name], ids=lambda p: p.stem)
def test_files_of_every_schema_are_read(path: Path) -> None:
    assert load_arrays(path)


def test_a_grid_in_parts_and_the_results_of_a_potential(tmp_path: Path) -> None:
    for name in ("spread", "potential_file"):
        path = tmp_path / f"{name}.h5"
        KINDS[name].write(path)
        found = load_arrays(path)
        np.testing.assert_array_equal(found["VTKHDF/PointData/potential"].values, GRID.values)
        assert (found["VTKHDF/PointData/potential"].dims, found["VTKHDF/PointData/potential"].units) == (
            ("x", "y", "z"),
            "kT/e",
        )
        np.testing.assert_array_equal(found["VTKHDF/y"].values, -2.0 + 0.25 * np.arange(4))
    np.testing.assert_array_equal(found["results/forces"].values, RESULTS["forces"])
    assert found["particles/charges"].units == "e"
    assert repr(found["particles/charges"]) == "LabelledArray(particle: 4; float64, units 'e')"


def test_the_finished_frames_of_a_trajectory(tmp_path: Path) -> None:
    trajectory = make_objects()["trajectory"]
    save(tmp_path / "a.h5", trajectory)
    found = load_arrays(tmp_path / "a.h5")
    np.testing.assert_array_equal(found["trajectory/forces"].values, trajectory.forces)
    assert found["trajectory/forces"].dims == ("frames", "particle", "xyz")
    assert found["trajectory/energies"].units == "e^2/angstrom"
    assert "trajectory/force_errors" not in found
    errors = np.arange(12.0).reshape(3, 2, 2)
    save(tmp_path / "b.h5", replace(trajectory, errors=errors))
    np.testing.assert_array_equal(load_arrays(tmp_path / "b.h5")["trajectory/force_errors"].values, errors[:, 1])


def test_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    save(path, make_objects()["cp"])
    data = bytearray(path.read_bytes())
    weights = make_objects()["cp"].weights.tobytes()
    data[data.index(weights)] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileFormatError, match="checksum"):
        load_arrays(path)
