"""PDB and mmCIF with a force field: pdb2pqr's own answer, missing packages, and what it cannot do."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sci.datasets import dataset_path
from sci.errors import FileFormatError, InvalidValueError, MissingDependencyError
from sci.io import read_structure

EXAMPLES = dataset_path("ubiquitin").parent
UBIQUITIN = EXAMPLES / "1ubi.pdb"


@pytest.fixture
def tools():
    """The packages of the extra `structures`."""
    pytest.importorskip("pdb2pqr")
    return pytest.importorskip("gemmi")


@pytest.fixture
def peptide(tmp_path) -> Path:
    """The first five residues of ubiquitin."""
    lines = [line for line in UBIQUITIN.read_text().splitlines() if line.startswith("ATOM") and int(line[22:26]) <= 5]
    path = tmp_path / "peptide.pdb"
    path.write_text("\n".join([*lines, "TER", "END", ""]))
    return path


def test_the_example_is_what_its_source_says():
    particles = read_structure(EXAMPLES / "1ubi.pqr")
    assert particles.n == 1231
    assert particles.total_charge == pytest.approx(0, abs=1e-9)
    assert particles.names[:3] == ("N", "CA", "C")


def test_same_answer_as_pdb2pqr(tools, peptide, tmp_path, capfd):
    found = read_structure(peptide, forcefield="amber")
    assert capfd.readouterr() == ("", "")
    target = tmp_path / "by_hand.pqr"
    command = [sys.executable, "-m", "pdb2pqr", "--ff=AMBER", "--whitespace", str(peptide), str(target)]
    subprocess.run(command, check=True, capture_output=True)
    expected = np.array([line.split()[-5:] for line in target.read_text().splitlines() if "ATOM" in line], float)
    np.testing.assert_array_equal(found.positions, expected[:, :3])
    np.testing.assert_array_equal(found.charges, expected[:, 3])
    np.testing.assert_array_equal(found.radii, expected[:, 4])
    assert found.total_charge == pytest.approx(round(found.total_charge), abs=1e-6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["by_hand.log", "by_hand.pqr", "peptide.pdb"]


def test_blank_chains_and_insertion_codes(tools, peptide):
    """No residue is reported as lost: the suite turns warnings into errors."""
    expected = read_structure(peptide, forcefield="AMBER")
    lines = peptide.read_text().splitlines()
    text = "\n".join(
        f"{line[:21]} {line[22:26].replace('   5', '   4')}{'A' if line[22:26] == '   5' else ' '}{line[27:]}"
        if line.startswith("ATOM")
        else line
        for line in lines
    )
    peptide.write_text(text)
    found = read_structure(peptide, forcefield="AMBER")
    np.testing.assert_allclose(found.positions, expected.positions, atol=2e-3)


def test_mmcif_gives_the_same_as_pdb(tools, peptide, tmp_path):
    structure = tools.read_pdb(str(peptide))
    structure.setup_entities()
    structure.make_mmcif_document().write_file(str(tmp_path / "peptide.cif"))
    expected = read_structure(peptide, forcefield="PARSE")
    found = read_structure(tmp_path / "peptide.cif", forcefield="PARSE")
    assert found.names == expected.names
    np.testing.assert_allclose(found.positions, expected.positions, atol=2e-3)
    np.testing.assert_array_equal(found.charges, expected.charges)


def test_models_and_unknown_residues(tools, peptide, tmp_path):
    atoms = peptide.read_text().split("TER")[0]
    two = tmp_path / "two.pdb"
    two.write_text(f"MODEL        1\n{atoms}ENDMDL\nMODEL        2\n{atoms.replace(' 27.340', ' 27.440')}ENDMDL\nEND\n")
    with pytest.raises(FileFormatError, match=r"two\.pdb: the file holds 2 models; choose one with model=1 to model=2"):
        read_structure(two, forcefield="AMBER")
    with pytest.raises(FileFormatError, match="there is no model 3"):
        read_structure(two, forcefield="AMBER", model=3)
    with_ligand = tmp_path / "ligand.pdb"
    ligand = "HETATM 9001  C1  LIG A 900      60.000  60.000  60.000  1.00 10.00           C  \n"
    with_ligand.write_text(atoms + ligand + "END\n")
    with pytest.warns(UserWarning, match=r"ligand\.pdb: AMBER has no charges for LIG A900 \(1 residues\)"):
        particles = read_structure(with_ligand, forcefield="AMBER")
    assert particles.n == read_structure(two, forcefield="AMBER", model=2).n


def test_reasons_are_passed_on(tools, tmp_path):
    path = tmp_path / "a.pdb"
    path.write_text("HETATM    1  C1  LIG A   1      60.000  60.000  60.000  1.00 10.00           C  \nEND\n")
    with pytest.raises(FileFormatError, match=r"a\.pdb: pdb2pqr could not assign AMBER charges: \w+") as caught:
        read_structure(path, forcefield="AMBER")
    assert "\n" not in str(caught.value)
    path.write_text("REMARK nothing\n")
    with pytest.raises(FileFormatError, match="no atoms"):
        read_structure(path, forcefield="AMBER")
    cif = tmp_path / "a.cif"
    for text, message in [
        ("data_x\nloop_\n_a\n_b\n1\n", "gemmi cannot read this as mmcif"),
        ("data_x\n_a 1\n", "no atoms"),
    ]:
        cif.write_text(text)
        with pytest.raises(FileFormatError, match=rf"a\.cif: {message}"):
            read_structure(cif, forcefield="AMBER")


def test_arguments_and_missing_packages(tmp_path, monkeypatch):
    with pytest.raises(FileFormatError, match=r"1ubi\.pdb: a pdb file holds no charges; pass forcefield='AMBER'"):
        read_structure(UBIQUITIN)
    with pytest.raises(InvalidValueError, match="forcefield is 'GROMOS'; expected one of AMBER, CHARMM"):
        read_structure(UBIQUITIN, forcefield="GROMOS")
    with pytest.raises(FileFormatError, match=r"none\.pdb: there is no such file"):
        read_structure(tmp_path / "none.pdb", forcefield="AMBER")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        MissingDependencyError, match=r'needs gemmi; install it with pip install "sci-hpc\[structures\]"'
    ):
        read_structure(UBIQUITIN, forcefield="AMBER")


MMCIF = """data_a
loop_
_atom_site.group_PDB
_atom_site.id
_atom_site.type_symbol
_atom_site.label_atom_id
_atom_site.label_alt_id
_atom_site.label_comp_id
_atom_site.label_asym_id
_atom_site.label_entity_id
_atom_site.label_seq_id
_atom_site.Cartn_x
_atom_site.Cartn_y
_atom_site.Cartn_z
ATOM 1 N N . ALA A 1 1 1.0 2.0 3.0
ATOM 2 C CA . ALA A 1 1 2.4 ? 3.0
"""


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.mmcif", MMCIF, r"a\.mmcif:16: Cartn_y is '\?'; expected a number: complete the atom or remove it"),
        ("a.cif", "# comments\n# alone\n", r"a\.cif: no data block; expected a mmcif file with atoms"),
        (
            "a.pdb",
            "ATOM      1  N   ALA A   1           ?   2.000   3.000  1.00  0.00           N\n",
            r"a\.pdb:1: x is '\?'; expected a number",
        ),
        (
            "a.pdb",
            "ATOM      1  N   ALA A   1       1.000   2.000     nan  1.00  0.00           N\n",
            r"a\.pdb:1: z is 'nan'; expected a number",
        ),
    ],
)
def test_coordinates_that_are_no_numbers_are_named(tools, tmp_path, name, text, message):
    """gemmi reads them as 0 in a PDB file and as NaN in mmCIF."""
    (tmp_path / name).write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_structure(tmp_path / name, forcefield="AMBER")


def test_the_cif_of_a_crystal_is_shown_its_reader(tmp_path):
    with pytest.raises(FileFormatError, match=r"the CIF of a crystal.*read_crystal, .*`sci lattice`"):
        read_structure(EXAMPLES / "nacl.cif")
