"""OpenDX and cube files against readers that follow the published formats, and against ASE's reader."""

from __future__ import annotations

import re

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.io import write_cube, write_dx
from sci.io.exports import dx_cube
from sci.potentials.grid import PotentialGrid
from sci.potentials.particles import Particles
from sci.units import BOHR, potential_factor

PARTICLES = Particles(
    [[0.5, 1.5, -2.5], [-100.25, 3.0, 4.0], [1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]],
    [0.25, -1.0, 1.0, 0.0, 0.5],
    names=("CA", "Cl", "NA", "1HB", "*"),
)


def make_grid(shape=(3, 4, 7), units="kT/e", seed=1) -> PotentialGrid:
    values = np.random.default_rng(seed).normal(size=shape) * np.logspace(-110, 97, shape[-1])
    return PotentialGrid(values, (-12.5, 0.25, 1e-3), (0.5, 0.25, 0.3333333333333333), units)


def read_dx(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read as OpenDX's manual says: objects 1 to 3, the last index fastest."""
    counts = [int(n) for n in re.search(r"class gridpositions counts (\d+) (\d+) (\d+)\n", text).groups()]
    assert [int(n) for n in re.search(r"gridconnections counts (\d+) (\d+) (\d+)\n", text).groups()] == counts
    origin = np.array(re.search(r"^origin (\S+) (\S+) (\S+)$", text, re.M).groups(), float)
    deltas = np.array([m.groups() for m in re.finditer(r"^delta (\S+) (\S+) (\S+)$", text, re.M)], float)
    n = int(re.search(r"type double rank 0 items (\d+) data follows\n", text)[1])
    body = text[text.index("data follows\n") + 13 : text.index("attribute")].split("\n")
    assert {len(line.split()) for line in body[:-2]} <= {3}
    values = np.array(" ".join(body).split(), float)
    assert values.size == n == np.prod(counts)
    assert 'component "positions" value 1\ncomponent "connections" value 2\ncomponent "data" value 3\n' in text
    return values.reshape(counts), origin, deltas


@pytest.mark.parametrize("shape", [(3, 4, 7), (1, 1, 1), (2, 2, 2), (5, 1, 3)])
@pytest.mark.parametrize("block", [300_000, 10])
def test_dx(tmp_path, monkeypatch, shape, block):
    monkeypatch.setattr(dx_cube, "_BLOCK", block)
    grid = make_grid(shape)
    write_dx(tmp_path / "a.dx", grid)
    text = (tmp_path / "a.dx").read_text()
    values, origin, deltas = read_dx(text)
    assert "kT/e" in text.splitlines()[0]
    np.testing.assert_allclose(values, grid.values, rtol=6e-7)
    assert values.size == 1 or values[0, 0, 0] != 0
    np.testing.assert_allclose(origin, grid.origin, rtol=1e-8)
    np.testing.assert_allclose(deltas, np.diag(grid.spacing), rtol=1e-8)


def read_cube(text: str) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Read by the fixed columns of Gaussian's manual: I5, F12.6; values 6E13.5, a new line for each row along z."""
    lines = text.splitlines()
    header = [[int(line[:5])] + [float(line[i : i + 12]) for i in range(5, len(line), 12)] for line in lines[2:6]]
    n, origin = header[0][0], np.array(header[0][1:])
    counts = [row[0] for row in header[1:]]
    atoms = np.array(
        [[int(line[:5])] + [float(line[i : i + 12]) for i in range(5, 53, 12)] for line in lines[6 : 6 + n]]
    )
    rows = lines[6 + n :]
    per_row = -(-counts[2] // 6)
    assert len(rows) == counts[0] * counts[1] * per_row
    values = []
    for i, line in enumerate(rows):
        expected = 6 if (i + 1) % per_row else counts[2] - 6 * (per_row - 1)
        assert len(line) == 13 * expected
        values += [float(line[j : j + 13]) for j in range(0, len(line), 13)]
    return np.reshape(values, counts), origin, np.array([row[1:] for row in header[1:]]), atoms


@pytest.mark.parametrize("nz", [1, 5, 6, 7, 12, 13])
def test_cube(tmp_path, monkeypatch, nz):
    monkeypatch.setattr(dx_cube, "_BLOCK", 20)
    grid = make_grid((3, 4, nz))
    write_cube(tmp_path / "a.cube", grid, PARTICLES, temperature=310.0)
    values, origin, steps, atoms = read_cube((tmp_path / "a.cube").read_text())
    factor = potential_factor("hartree/e") / potential_factor("kT/e", 310.0)
    np.testing.assert_allclose(values, grid.values * factor, rtol=6e-6, atol=1e-99)
    np.testing.assert_allclose(origin * BOHR, grid.origin, atol=1e-6)
    np.testing.assert_allclose(steps * BOHR, np.diag(grid.spacing), atol=1e-6)
    np.testing.assert_allclose(atoms[:, 2:] * BOHR, PARTICLES.positions, atol=1e-6)
    np.testing.assert_allclose(atoms[:, 1], PARTICLES.charges)
    assert atoms[:, 0].tolist() == [6, 17, 11, 1, 0]


def test_cube_against_ase(tmp_path):
    cube = pytest.importorskip("ase.io.cube")
    grid = PotentialGrid(np.random.default_rng(2).normal(size=(4, 5, 8)), (1.0, 2.0, 3.0), (0.5, 0.6, 0.7))
    write_cube(tmp_path / "a.cube", grid, PARTICLES)
    with (tmp_path / "a.cube").open() as file:
        found = cube.read_cube(file)
    # 1 e/angstrom is 14.399645 V, and 27.211386 V make one hartree/e.
    np.testing.assert_allclose(found["data"], grid.values * 14.399645 / 27.211386, rtol=6e-6)
    np.testing.assert_allclose(found["origin"], grid.origin, atol=1e-5)
    np.testing.assert_allclose(found["spacing"], np.diag(grid.spacing), atol=1e-5)
    np.testing.assert_allclose(found["atoms"].positions, PARTICLES.positions, atol=1e-5)
    assert found["atoms"].get_chemical_symbols() == ["C", "Cl", "Na", "H", "X"]


def test_cube_that_overflows_its_columns(tmp_path):
    grid = PotentialGrid(np.zeros((1, 1, 100_000)), (0, 0, 0), (1, 1, 1))
    with pytest.raises(InvalidValueError, match="99,999"):
        write_cube(tmp_path / "a.cube", grid, PARTICLES)
    assert list(tmp_path.iterdir()) == []
