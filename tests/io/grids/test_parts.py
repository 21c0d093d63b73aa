"""Boxes of a grid that do not tile it, and parts beside the file; ranks are in tests/mpi/programs/files.py."""

from __future__ import annotations

import numpy as np
import pytest
from kinds import KINDS, part_names

from sci.errors import FileFormatError, InvalidValueError
from sci.io import join_parts, load, load_grid, read_header, save_grid_parallel
from sci.potentials import PotentialGrid

GRID = PotentialGrid(np.arange(24.0).reshape(2, 3, 4), (0, 0, 0), (1, 1, 1), "V")


@pytest.mark.parametrize(
    ("shape", "start", "message"),
    [
        ((2, 3, 5), (0, 0, 0), "do not tile a grid"),
        ((2, 3, 4), (0, 0, 1), "do not tile a grid"),
        ((2, 3, 4), (-1, 0, 0), "do not tile a grid"),
        ((2, 3), (0, 0, 0), "expected three integers"),
    ],
)
def test_boxes_tile_the_grid(tmp_path, shape, start, message):
    with pytest.raises(InvalidValueError, match=message):
        save_grid_parallel(tmp_path / "a.h5", GRID, grid_shape=shape, local_start=start)
    assert list(tmp_path.iterdir()) == []


def test_parts_of_a_file_that_is_replaced_are_removed(tmp_path):
    for value in (1.0, 2.0):
        grid = PotentialGrid(GRID.values * value, GRID.origin, GRID.spacing, GRID.units)
        place = {"grid_shape": (2, 3, 4), "local_start": (0, 0, 0)}
        save_grid_parallel(tmp_path / "a.h5", grid, **place, command="x", overwrite=True)
        with pytest.raises(InvalidValueError, match=r"a\.h5 exists"):
            save_grid_parallel(tmp_path / "a.h5", grid, **place)
        np.testing.assert_array_equal(load(tmp_path / "a.h5").values, grid.values)
        assert len(list(tmp_path.iterdir())) == 2
    assert read_header(tmp_path / "a.h5").command == "x"


def test_a_part_of_another_file_is_refused(tmp_path):
    KINDS["spread"].write(tmp_path / "a.h5")
    KINDS["spread"].write(tmp_path / "b.h5")
    join_parts(tmp_path / "a.h5", tmp_path / "whole.h5")
    assert load_grid(tmp_path / "whole.h5").values.tobytes() == load_grid(tmp_path / "a.h5").values.tobytes()
    first, second = (tmp_path / part_names(tmp_path / name)[0] for name in ("a.h5", "b.h5"))
    first.write_bytes(second.read_bytes())
    with pytest.raises(FileFormatError, match="belongs to another file"):
        load_grid(tmp_path / "a.h5")
