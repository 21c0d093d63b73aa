"""Files of every kind that is a field become VTKHDF; what is drawn of each is in tests/io/grids/test_fields.py."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from kinds import KINDS
from samples import make_objects, same

from sci.errors import FileFormatError, InvalidValueError
from sci.io import Quantity, describe, export_vtkhdf, load, load_grid, load_results, read_header, save


def test_old_files_are_exported(tmp_path: Path) -> None:
    for name in ("smoke_v1", "poisson_v1", "solution_v1", "grid_v1", "spread_v1"):
        old = Path(__file__).parents[2] / "data" / f"{name}.h5"
        export_vtkhdf(old, tmp_path / f"{name}.vtkhdf")
        assert read_header(tmp_path / f"{name}.vtkhdf").parent_uuid == read_header(old).uuid
        if name != "spread_v1":
            assert same(load(tmp_path / f"{name}.vtkhdf"), load(old))


def test_parts_are_joined(tmp_path: Path) -> None:
    KINDS["spread"].write(tmp_path / "a.h5")
    export_vtkhdf(tmp_path / "a.h5", tmp_path / "b.vtkhdf")
    assert load_grid(tmp_path / "b.vtkhdf").values.tobytes() == load_grid(tmp_path / "a.h5").values.tobytes()
    with h5py.File(tmp_path / "b.vtkhdf") as file:
        assert not file["VTKHDF/PointData/potential"].is_virtual


def test_results_and_spacing_go_along(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", make_objects()["solution"], results={"t": Quantity(2.0, "s")}, spacing=(0.5, 1.0, 2.0))
    export_vtkhdf(tmp_path / "a.h5", tmp_path / "a.vtkhdf")
    assert load_results(tmp_path / "a.vtkhdf") == {"t": 2.0}
    with h5py.File(tmp_path / "a.vtkhdf") as file:
        assert file["results/t"].attrs["units"] == b"s"
        np.testing.assert_array_equal(file["VTKHDF"].attrs["Spacing"], (0.5, 1.0, 2.0))
    assert "VTKHDF/CellData/x" in describe(tmp_path / "a.vtkhdf")["datasets"]


def test_what_cannot_be_drawn_or_read_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", make_objects()["potential"])
    with pytest.raises(FileFormatError, match="holds no grid"):
        export_vtkhdf(tmp_path / "a.h5", tmp_path / "a.vtkhdf")
    save(tmp_path / "b.h5", make_objects()["tucker"])
    with pytest.raises(InvalidValueError, match="is no field on a grid"):
        export_vtkhdf(tmp_path / "b.h5", tmp_path / "b.vtkhdf")
    with pytest.raises(FileFormatError, match="no such file"):
        export_vtkhdf(tmp_path / "none.h5", tmp_path / "none.vtkhdf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.h5", "b.h5"]
