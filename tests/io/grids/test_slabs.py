"""Grids written and read in slabs: the same file, refusals, and memory that does not grow with the grid."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
from kinds import KINDS

from sci.errors import FileFormatError, InvalidValueError
from sci.io import join_parts, load, load_grid, read_header, read_slabs, save, save_slabs
from sci.io.grids import vtkhdf
from sci.potentials.grid import PotentialGrid

GRID = PotentialGrid(np.random.default_rng(1).normal(size=(4, 5, 17)), (1.0, -2.0, 3.0), (0.5, 0.25, 0.3), "V")


def cut(grid: PotentialGrid, *ends: int) -> Iterator[PotentialGrid]:
    """Yield the slabs of a grid between 0 and the `ends`."""
    x, y, z = grid.origin
    for start, stop in zip((0, *ends), ends):
        yield PotentialGrid(
            grid.values[:, :, start:stop], (x, y, z + start * grid.spacing[2]), grid.spacing, grid.units
        )


@pytest.mark.parametrize("compression", [None, 2])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_slabs_make_the_file_that_save_makes(tmp_path: Path, compression: int | None, dtype: type) -> None:
    grid = PotentialGrid(GRID.values.astype(dtype), GRID.origin, GRID.spacing, GRID.units)
    save(tmp_path / "whole.h5", grid)
    save_slabs(tmp_path / "slabs.h5", cut(grid, 1, 9, 17), 17, compression=compression, command="x", parent_uuid="p")
    found, expected = load(tmp_path / "slabs.h5"), load(tmp_path / "whole.h5")
    assert found.values.tobytes() == expected.values.tobytes()
    assert (found.origin, found.spacing, found.units) == (grid.origin, grid.spacing, grid.units)
    with h5py.File(tmp_path / "slabs.h5") as a, h5py.File(tmp_path / "whole.h5") as b:
        one, other = (f["VTKHDF/PointData/potential"] for f in (a, b))
        first, second = ({k: v for k, v in d.attrs.items() if k != "DIMENSION_LIST"} for d in (one, other))
        assert first == second
        assert (one.compression is None) == (compression is None)
    header = read_header(tmp_path / "slabs.h5")
    assert (header.kind, header.command, header.parent_uuid) == ("grid", "x", "p")


def test_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vtkhdf, "_SLAB_BYTES", 4 * 5 * 8 * 8)
    save(tmp_path / "a.h5", GRID)
    KINDS["spread"].write(tmp_path / "spread.h5")
    for path in (tmp_path / "a.h5", tmp_path / "spread.h5"):
        slabs, whole = read_slabs(path), load_grid(path)
        assert (slabs.shape, slabs.origin, slabs.spacing) == (whole.shape, whole.origin, whole.spacing)
        assert (slabs.units, slabs.dtype) == (whole.units, whole.values.dtype)
        found = list(slabs)
        assert np.concatenate([slab.values for slab in found], axis=2).tobytes() == whole.values.tobytes()
        at = 0
        for slab in found:
            assert slab.origin == pytest.approx((*whole.origin[:2], whole.origin[2] + at * whole.spacing[2]))
            at += slab.shape[2]
        assert len(list(slabs)) == len(found), "a second pass finds nothing"
    assert len(list(read_slabs(tmp_path / "a.h5"))) == 3
    join_parts(tmp_path / "spread.h5", tmp_path / "one.h5")
    assert load_grid(tmp_path / "one.h5").values.tobytes() == load_grid(tmp_path / "spread.h5").values.tobytes()
    save_slabs(tmp_path / "kt.h5", (slab.in_units("kT/e") for slab in read_slabs(tmp_path / "a.h5")), 17)
    np.testing.assert_array_equal(load(tmp_path / "kt.h5").values, GRID.in_units("kT/e").values)


def test_damage_is_seen(tmp_path: Path) -> None:
    save(tmp_path / "a.h5", GRID)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["VTKHDF/PointData/potential"][3, 2, 1] += 1
    with pytest.raises(FileFormatError, match="fails its checksum"):
        list(read_slabs(tmp_path / "a.h5"))
    KINDS["spread"].write(tmp_path / "spread.h5")
    (tmp_path / "spread.part001.h5").unlink()
    with pytest.raises(FileFormatError, match=r"part001\.h5 is missing"):
        next(iter(read_slabs(tmp_path / "spread.h5")))
    with pytest.raises(FileFormatError, match="is missing"):
        join_parts(tmp_path / "spread.h5", tmp_path / "one.h5")
    assert not (tmp_path / "one.h5").exists()


@pytest.mark.parametrize(
    ("parts", "nz", "says"),
    [
        (lambda: cut(GRID, 3, 9), 17, "end after 9 points along z; expected nz = 17"),
        (lambda: cut(GRID, 3, 17), 16, r"the slab from point 3 on has shape \(4, 5, 14\)"),
        (lambda: [*cut(GRID, 3, 9), *cut(GRID, 8)], 17, "the slab from point 9 on begins"),
        (lambda: [*cut(GRID, 3), *cut(GRID.in_units("kT/e"), 3)], 17, "from point 3 on .* units 'kT/e'"),
        (lambda: [], 17, "in no slab"),
        (lambda: cut(GRID, 17), 0, "a grid of 0 points"),
    ],
)
def test_slabs_that_do_not_fit_leave_nothing(tmp_path: Path, parts: object, nz: int, says: str) -> None:
    with pytest.raises(InvalidValueError, match=says):
        save_slabs(tmp_path / "a.h5", parts(), nz)
    assert not list(tmp_path.iterdir())


def test_memory_does_not_grow_with_the_grid(tmp_path: Path) -> None:
    """Write and join_parts 128 MiB; benchmarks/files.py does 4 GiB."""
    pytest.importorskip("resource")
    program = textwrap.dedent(f"""
        import pathlib
        import numpy as np
        from sci.io import join_parts, read_slabs, save_slabs
        from sci.potentials.grid import PotentialGrid
        folder, n = pathlib.Path({str(tmp_path)!r}), 256
        plane = np.random.default_rng(0).normal(size=(n, n, 8))
        slabs = (PotentialGrid(plane + k, (0, 0, 8 * k), (1, 1, 1)) for k in range(n // 8))
        save_slabs(folder / "a.h5", slabs, n)
        join_parts(folder / "a.h5", folder / "b.h5")
        first = next(iter(read_slabs(folder / "b.h5")))
        assert (first.values[:, :, 8:16] == plane + 1).all()
        print(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
    """)
    if not Path("/proc/self/status").exists():
        pytest.skip("the peak of the memory is read from /proc")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) / 1024 < 200
    assert (tmp_path / "a.h5").stat().st_size > 2**27
