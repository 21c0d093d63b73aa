"""Sets of crystals in files of every format, and what is refused by file and atom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.atomistic import Configuration
from sci.errors import FileFormatError, InvalidValueError
from sci.generative import Crystals, ionic_crystals
from sci.io import read_crystals, save, write_configurations, write_crystals
from sci.potentials import Particles

SALTS = Crystals(ionic_crystals().configurations[:3])


@pytest.mark.parametrize("name", ["a.extxyz", "a.h5", "folder"])
def test_crystals_come_back_in_their_order(name: str, tmp_path: Path) -> None:
    if name == "folder":
        pytest.importorskip("gemmi")
    (save if name == "a.h5" else write_crystals)(tmp_path / name, SALTS)
    found = read_crystals(tmp_path / name)
    assert found.formulas == SALTS.formulas
    for one, other in zip(found, SALTS):
        np.testing.assert_allclose(one.positions, other.positions, rtol=0, atol=1e-12)
        np.testing.assert_allclose(one.cell, other.cell, rtol=0, atol=1e-12)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_one_cif_file_holds_one_crystal(tmp_path: Path) -> None:
    pytest.importorskip("gemmi")
    write_crystals(tmp_path / "a.cif", Crystals(SALTS.configurations[:1]))
    assert read_crystals(tmp_path / "a.cif").formulas == SALTS.formulas[:1]
    with pytest.raises(InvalidValueError, match="one CIF file for 3 crystals"):
        write_crystals(tmp_path / "b.cif", SALTS)


def test_a_folder_is_replaced_where_it_may_be_and_keeps_other_files(tmp_path: Path) -> None:
    pytest.importorskip("gemmi")
    folder = tmp_path / "salts"
    write_crystals(folder, SALTS)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InvalidValueError, match="exists"):
        write_crystals(folder, SALTS)
    write_crystals(folder, Crystals(SALTS.configurations[1:2]), overwrite=True)
    assert sorted(p.name for p in folder.iterdir()) == ["crystal_0000.cif", "notes.txt"]
    assert read_crystals(folder).formulas == SALTS.formulas[1:2]


def test_what_is_no_set_of_crystals_is_refused_by_file_and_atom(tmp_path: Path) -> None:
    isolated = Configuration(["Na"], [[0, 0, 0]])
    twice = Configuration(["Na", "Cl"], [[0, 0, 0], [3, 0, 0]], 3 * np.eye(3))
    for wrong, words in ((isolated, "do not repeat"), (twice, "atoms 0 and 1")):
        write_configurations(tmp_path / "a.extxyz", [SALTS.configurations[0], wrong], overwrite=True)
        with pytest.raises(FileFormatError, match=rf"a.extxyz: frame 1 \(counted from 0\): .*{words}"):
            read_crystals(tmp_path / "a.extxyz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileFormatError, match=r"no \.cif file"):
        read_crystals(tmp_path / "empty")
    save(tmp_path / "p.h5", Particles([[0.0, 0, 0]], [1.0]))
    with pytest.raises(FileFormatError, match="holds a Particles"):
        read_crystals(tmp_path / "p.h5")


def test_names_of_no_format_are_refused(tmp_path: Path) -> None:
    for name, error, words in (
        ("a.pdb", InvalidValueError, "suffix"),
        ("a.h5", InvalidValueError, "sci.io.save"),
        ("none/folder", FileFormatError, "does not exist"),
        ("x" * 300, FileFormatError, "name"),
    ):
        with pytest.raises(error, match=words):
            write_crystals(tmp_path / name, SALTS)
    (tmp_path / "file").touch()
    with pytest.raises(InvalidValueError, match="is no folder"):
        write_crystals(tmp_path / "file", SALTS)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
