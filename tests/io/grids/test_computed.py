"""Grids that are computed while they are written: the file of the whole grid, refusals, and memory."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from sci.errors import FileFormatError, InvalidValueError, ShapeError
from sci.io import ComputedGrid, load, save, save_computed_grid
from sci.io.grids import vtkhdf
from sci.potentials import PotentialGrid

X, Y, Z = np.linspace(-1, 1, 4), np.linspace(0, 2, 5), np.linspace(3, 7, 37)


def waves(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    return np.sin(x)[:, None, None] + np.cos(y)[:, None] * z


def test_the_file_is_that_of_the_whole_grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vtkhdf, "_SLAB_BYTES", 4 * 5 * 8 * 8)
    grid = ComputedGrid(X, Y, Z, waves, "V")
    save_computed_grid(tmp_path / "computed.h5", grid, command="x", parent_uuid="p")
    save(tmp_path / "whole.h5", PotentialGrid.on_axes(waves(X, Y, Z), X, Y, Z, "V"))
    found, expected = load(tmp_path / "computed.h5"), load(tmp_path / "whole.h5")
    assert found.values.tobytes() == expected.values.tobytes()
    assert (found.origin, found.spacing, found.units) == (expected.origin, expected.spacing, expected.units)
    with h5py.File(tmp_path / "computed.h5") as a, h5py.File(tmp_path / "whole.h5") as b:
        one, other = (f["VTKHDF/PointData/potential"] for f in (a, b))
        first, second = ({k: v for k, v in d.attrs.items() if k != "DIMENSION_LIST"} for d in (one, other))
        assert first == second


@pytest.mark.parametrize(("nz", "count"), [(1, 1), (7, 7), (16, 16), (17, 9), (1000, 16)])
def test_the_slabs_cover_the_grid_and_are_many(nz: int, count: int) -> None:
    grid = ComputedGrid(X, Y, np.arange(float(nz)), waves)
    parts = grid.parts()
    assert [k for part in parts for k in range(nz)[part]] == list(range(nz))
    assert len(parts) == count
    assert grid.nbytes == 8 * 4 * 5 * nz


def test_slabs_of_a_large_grid_are_small() -> None:
    axis = np.arange(1500.0)
    parts = ComputedGrid(axis, axis, axis, waves).parts()
    assert max(8 * 1500 * 1500 * (p.stop - p.start) for p in parts) <= 2 * vtkhdf._SLAB_BYTES


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "bad.h5"
    with pytest.raises(InvalidValueError, match="NaN"):
        save_computed_grid(path, ComputedGrid(X, Y, Z, lambda x, y, z: waves(x, y, np.where(z > 5, np.nan, z))))
    with pytest.raises(ShapeError, match="compute returned"):
        save_computed_grid(path, ComputedGrid(X, Y, Z, lambda x, y, z: np.zeros(3)))
    with pytest.raises(FileFormatError):
        save_computed_grid(tmp_path / "none" / "bad.h5", ComputedGrid(X, Y, Z, waves))
    with pytest.raises(InvalidValueError, match="not equally spaced"):
        ComputedGrid(X**2, Y, Z, waves)
    assert list(tmp_path.iterdir()) == []
