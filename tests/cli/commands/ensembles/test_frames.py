"""Frames of trajectories as points: choices of atoms and frames, references, cells, and MDAnalysis beside XYZ."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pytest
from ensemble_cases import run_of_chain, write_run
from hypothesis import given
from hypothesis import strategies as st

from sci.cli.commands.ensembles.frames import chosen_atoms, chosen_range, is_trajectory, read_trajectory, superposed
from sci.ensembles import superpose
from sci.errors import InvalidValueError, SciError

FRAMES = run_of_chain(20, 3)
NAMES = ("C", "CA", "C", "O", "H1", "CA")
PATH = Path("a.xyz")


def options(**changed: object) -> argparse.Namespace:
    given = {"comm": None, "topology": None, "dataset": None, "range": ":", "atoms": None, "superpose": True}
    return argparse.Namespace(**(given | {"reference": None, "unwrap": True} | changed))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, [0, 1, 2, 3, 4, 5]),
        ("0:3", [0, 1, 2]),
        ("::2", [0, 2, 4]),
        ("-2:", [4, 5]),
        ("CA", [1, 5]),
        ("3, CA,0:2", [0, 1, 3, 5]),
        ("H1", [4]),
        ("5,5", [5]),
    ],
)
def test_atoms(text, expected):
    assert chosen_atoms(text, NAMES, PATH).tolist() == expected


@pytest.mark.parametrize("text", ["N", "6", "-1", "7:9", "c", "", "0:2:0", "CA;C", "1.5"])
def test_no_such_atom(text):
    with pytest.raises(InvalidValueError, match=r"no such atom among the 6 of a\.xyz"):
        chosen_atoms(text, NAMES, PATH)


@given(count=st.integers(1, 30), start=st.integers(-9, 30), stop=st.integers(-9, 30), step=st.integers(1, 5))
def test_ranges_are_those_of_python(count, start, stop, step):
    expected = list(range(count))[start:stop:step]
    if expected:
        assert list(chosen_range(f"{start}:{stop}:{step}", count, PATH)) == expected
    else:
        with pytest.raises(InvalidValueError, match="leaves no ascending choice"):
            chosen_range(f"{start}:{stop}:{step}", count, PATH)


@pytest.mark.parametrize("text", ["", "5", "a:b", "1:2:3:4", "1:2:0", "1.0:"])
def test_no_range(text):
    with pytest.raises(InvalidValueError, match="expected A:B or A:B:STEP"):
        chosen_range(text, 9, PATH)


def test_trajectories_are_told_by_their_suffix_or_topology():
    assert [is_trajectory(Path(f"a{s}"), None) for s in (".xyz", ".PDB", ".cif", ".pqr", ".h5", ".dcd")] == [
        *(True, True, True, True, False, False)
    ]
    assert is_trajectory(Path("a.dcd"), Path("a.psf"))


def test_a_reference_is_where_the_frames_go(tmp_path):
    path = write_run(tmp_path / "a.xyz", FRAMES)
    other = write_run(tmp_path / "ref.xyz", FRAMES[7:8] + 40)
    a = options(reference=other, atoms="1:5")
    read = read_trajectory(a, path)
    (x,), about = superposed(a, [read])
    expected = superpose(np.round(FRAMES[:, 1:5], 9), np.round(FRAMES[7, 1:5] + 40, 9))
    np.testing.assert_allclose(x, expected.aligned.reshape(20, -1), atol=1e-9)
    assert about == {
        "superposed": True,
        "rmsd": pytest.approx((expected.rmsd**2).mean() ** 0.5),
        "reference": str(other),
    }
    with pytest.raises(InvalidValueError, match=r"has 6 chosen atoms and .* 4, or with other names"):
        superposed(options(reference=other), [read])


def test_molecules_that_a_cell_cuts_are_whole(tmp_path):
    whole = read_trajectory(options(), write_run(tmp_path / "a.xyz", FRAMES))
    cut = read_trajectory(options(), write_run(tmp_path / "b.xyz", FRAMES, cell=15.0))
    assert (whole.periodic, cut.periodic) == (False, True)
    shapes = [f.positions - f.positions[:, :1] for f in (whole, cut)]
    np.testing.assert_allclose(shapes[1], shapes[0], atol=1e-6)
    (one,), _ = superposed(options(), [whole])
    (other,), _ = superposed(options(), [cut])
    np.testing.assert_allclose(other - other[:1], one - one[:1], atol=1e-5)
    # Where a molecule lies in a cell means nothing, also where it is not turned.
    (still,), about = superposed(options(superpose=False), [cut])
    assert about == {"superposed": False}
    np.testing.assert_allclose(still.reshape(20, -1, 3).mean(axis=1), 0, atol=1e-12)
    far = np.concatenate([FRAMES, FRAMES + np.array([7.0, 6.5, 7.0])], axis=1)
    with pytest.raises(SciError, match="choose the atoms of one molecule, or leave them as they are"):
        read_trajectory(options(), write_run(tmp_path / "c.xyz", far, cell=15.0))


def test_atoms_on_a_line_are_told(tmp_path, capsys):
    line = np.array([[[0, 0, 0], [1, 0, 0], [2.5, 0, 0]], [[0, 1, 0], [0, 2, 0], [0, 3.5, 0]]], float)
    a = options()
    superposed(a, [read_trajectory(a, write_run(tmp_path / "a.xyz", line))])
    assert "2 of 2 frames have several best rotations: their atoms lie on one line" in capsys.readouterr().err


def test_frames_of_mdanalysis_are_those_of_xyz(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mda = pytest.importorskip("MDAnalysis")
        universe = mda.Universe.empty(6, trajectory=True)
        universe.add_TopologyAttr("names", ["C"] * 6)
        with mda.Writer(str(tmp_path / "a.dcd"), 6) as writer:
            for frame in FRAMES:
                universe.atoms.positions = frame
                writer.write(universe.atoms)
    top = write_run(tmp_path / "top.xyz", FRAMES[:1])
    a = options(topology=top, range="::3")
    found = read_trajectory(a, tmp_path / "a.dcd")
    expected = read_trajectory(options(range="::3"), write_run(tmp_path / "a.xyz", FRAMES))
    assert found.numbers == expected.numbers
    np.testing.assert_allclose(found.positions, expected.positions, atol=1e-5)
