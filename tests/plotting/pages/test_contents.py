"""What a page reads of a file, and grids that are thinned while they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.io import save
from sci.plotting.pages.contents import Contents, thinned
from sci.potentials import Particles, PotentialGrid


@pytest.mark.parametrize("slab", [1, 3, 7, 100])
def test_a_grid_is_thinned_over_slabs_of_any_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slab: int) -> None:
    values = np.arange(6 * 5 * 80.0).reshape(6, 5, 80)
    save(tmp_path / "g.h5", PotentialGrid(values, (1.0, 2.0, 3.0), (0.5, 0.5, 0.25), "V"))
    monkeypatch.setattr("sci.io.grids.vtkhdf._SLAB_BYTES", 6 * 5 * 8 * 8 * slab)
    found = Contents(tmp_path / "g.h5").grid()
    assert found is not None
    volume, units = found
    assert units == "V"
    assert volume.strides == (1, 1, 3)
    np.testing.assert_array_equal(volume.values, values[:, :, ::3].astype("f4"))
    np.testing.assert_array_equal(volume.axes[2], 3.0 + 0.25 * np.arange(80)[::3])


def test_a_file_without_a_grid(tmp_path: Path) -> None:
    save(tmp_path / "p.h5", Particles([[0.0, 0.0, 0.0]], [1.0]), results={"a": 1.0})
    contents = Contents(tmp_path / "p.h5")
    assert contents.grid() is None
    assert (contents.kind, contents.results) == ("particles", {"a": 1.0})
    assert contents.units("particles/positions") == "angstrom"
    assert contents.units("nothing", "?") == "?"


def test_thinned_keeps_at_most_the_limit() -> None:
    values, strides = thinned(np.zeros((10, 7)), (4, 7))
    assert (values.shape, strides) == ((4, 7), (3, 1))
