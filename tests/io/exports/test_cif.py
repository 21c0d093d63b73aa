"""CIF files that the library writes, read by gemmi, by ASE, and by the library."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.atomistic import Configuration
from sci.datasets import dataset_path
from sci.errors import InvalidValueError
from sci.generative import crystal, fingerprint, ionic_crystals
from sci.generative.crystals.crystals import fractions_of
from sci.generative.crystals.table import cell_parameters
from sci.io import read_cif, read_crystal, write_cif
from sci.io.exports.cif import cif_text

pytest.importorskip("gemmi")
SALTS = ionic_crystals()
RNG = np.random.default_rng(0)
SKEW = crystal([11, 17, 8, 8], RNG.uniform(size=(4, 3)), np.eye(3) * 5 + RNG.normal(size=(3, 3)))


@pytest.mark.parametrize(
    "one", [SKEW, SALTS.configurations[7], SALTS.configurations[-1]], ids=["skew", "salt", "oxide"]
)
def test_crystals_come_back_from_three_readers(one: Configuration, tmp_path: Path) -> None:
    write_cif(tmp_path / "a.cif", one)
    ours = read_cif(tmp_path / "a.cif")
    assert ours.species == one.species
    np.testing.assert_allclose(cell_parameters(ours.cell), cell_parameters(one.cell), rtol=1e-13)
    np.testing.assert_allclose(np.exp(2j * np.pi * fractions_of(ours)[0]), np.exp(2j * np.pi * fractions_of(one)[0]))
    assert fingerprint(ours).difference(fingerprint(one)) < 1e-10
    ase = pytest.importorskip("ase.io")
    atoms = ase.read(tmp_path / "a.cif")
    assert atoms.get_chemical_symbols() == list(one.species)
    np.testing.assert_allclose(atoms.get_all_distances(mic=True), _nearest(one), atol=1e-8)
    charges = {symbol: 1.0 if symbol in ("Na", "Ca") else -1.0 for symbol in one.species}
    assert read_crystal(tmp_path / "a.cif", charges=charges).n == one.n


def _nearest(one: Configuration) -> np.ndarray:
    """Return the distances of all atoms to the nearest images of the others."""
    places, cell = fractions_of(one)
    steps = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3), axis=-1).reshape(-1, 3)
    vectors = (places[None, :, None] - places[:, None, None] + steps) @ cell
    return np.linalg.norm(vectors, axis=-1).min(axis=2)


def test_symmetry_of_a_file_makes_all_atoms(tmp_path: Path) -> None:
    salt = read_cif(dataset_path("nacl"))
    assert sorted(salt.species) == ["Cl"] * 4 + ["Na"] * 4
    assert cif_text(salt).startswith("data_ClNa\n_chemical_formula_sum 'Cl4 Na4'\n_cell_length_a 5.64")


def test_what_is_no_crystal_is_not_written(tmp_path: Path) -> None:
    for wrong in (Configuration(["Na"], [[0, 0, 0]]), Configuration(["Xx"], [[0, 0, 0]], np.eye(3))):
        with pytest.raises(InvalidValueError, match="crystal 0"):
            write_cif(tmp_path / "a.cif", wrong)
    write_cif(tmp_path / "a.cif", SKEW)
    with pytest.raises(InvalidValueError, match="exists"):
        write_cif(tmp_path / "a.cif", SKEW)
    write_cif(tmp_path / "a.cif", SALTS.configurations[0], overwrite=True)
    assert read_cif(tmp_path / "a.cif").n == 8
