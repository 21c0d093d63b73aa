"""Exports of the command hold the grid of the file."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from command_cases import run

from sci.cli import main
from sci.io import load_grid, save, save_samples
from sci.potentials import Particles, PotentialGrid
from sci.units import potential_factor


def _numbers_after(path: Path, skipped: int, count: int) -> np.ndarray:
    return np.array(" ".join(path.read_text().splitlines()[skipped:]).split()[:count], dtype=float)


@pytest.mark.parametrize("units", ["e/angstrom", "kT/e"])
def test_exports_hold_the_grid_of_the_file(pqr, tmp_path, units):
    out = tmp_path / "small.h5"
    words = ["potential", str(pqr), "-o", str(out), "--grid", "7", "6", "5", "--export", "dx,cube", "--units", units]
    assert main([*words, "--quiet"]) == 0
    grid = load_grid(out)
    lines = (tmp_path / "small.dx").read_text().splitlines()
    start = next(i for i, line in enumerate(lines) if "data follows" in line) + 1
    scale = np.abs(grid.values).max()
    values = _numbers_after(tmp_path / "small.dx", start, grid.values.size).reshape(grid.shape)
    np.testing.assert_allclose(values, grid.values, rtol=0, atol=1e-6 * scale)
    assert "counts 7 6 5" in "\n".join(lines)
    factor = potential_factor("hartree/e", 298.15) / potential_factor(units, 298.15)
    values = _numbers_after(tmp_path / "small.cube", 6 + 3, grid.values.size).reshape(grid.shape)
    np.testing.assert_allclose(values, grid.values * factor, rtol=0, atol=1e-5 * scale * factor)


def test_a_grid_without_atoms_has_no_cube_file(tmp_path, capsys):
    save(tmp_path / "a.h5", PotentialGrid(np.zeros((2, 2, 2)), (0, 0, 0), (1, 1, 1)))
    assert run("export", tmp_path / "a.h5", "--to", "cube") == 2
    assert "a grid without atoms" in capsys.readouterr().err
    assert run("export", tmp_path / "a.h5", "--to", "dx", "-o", tmp_path / "b.h5") == 0
    assert (tmp_path / "b.dx").exists()
    assert run("export", tmp_path / "a.h5", "--to", "plt") == 2


def test_fields_of_every_kind_become_vtkhdf(pqr, tmp_path, capsys):
    assert run("potential", pqr, "-o", tmp_path / "p.h5", "--grid", 4, "--export", "dx,vtkhdf", "--quiet") == 0
    grid = load_grid(tmp_path / "p.h5")
    assert load_grid(tmp_path / "p.vtkhdf").values.tobytes() == grid.values.tobytes()
    x = np.arange(24.0).reshape(2, 3, 4)
    save_samples(tmp_path / "s.h5", x, 2 * x, grid_axes=2)
    assert run("export", tmp_path / "s.h5", "--to", "vtkhdf") == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "s.vtkhdf")]
    with h5py.File(tmp_path / "s.vtkhdf") as file:
        np.testing.assert_array_equal(file["VTKHDF/CellData/y"][1, 0], 2 * x[1].T)
    save(tmp_path / "ion.h5", Particles([[0.0, 0.0, 0.0]], [1.0]))
    assert run("export", tmp_path / "ion.h5", "--to", "vtkhdf") == 2
    assert "a Particles is no field on a grid" in capsys.readouterr().err
