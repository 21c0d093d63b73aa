"""`sci ensemble cluster` and `select`: files, frames, pictures, and input that is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_cases import run
from ensemble_cases import run_of_chain, write_run

from sci.ensembles import Clusters, Selection, k_means, select, superpose
from sci.io import load, load_results, read_header, read_positions

FRAMES = run_of_chain(150, 2, noise=0.01)
RNG = np.random.default_rng(5)


@pytest.fixture
def xyz(tmp_path):
    return write_run(tmp_path / "run.xyz", FRAMES)


def aligned() -> np.ndarray:
    return superpose(np.round(FRAMES, 9), tol=1e-4).aligned.reshape(len(FRAMES), -1)


def test_clusters_of_frames_and_the_frame_nearest_to_each(xyz, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out, frames, picture = (tmp_path / name for name in ("c.h5", "centers.xyz", "c.png"))
    words = ("ensemble", "cluster", xyz, "-k", 6, "-o", out, "--frames", frames, "--plot", picture)
    assert run(*words) == 0
    said = capsys.readouterr().out
    assert "150 frames of 5 atoms, superposed on their mean, RMSD" in said
    found = load(out)
    assert isinstance(found, Clusters)
    expected = k_means(aligned(), 6)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.centers, expected.centers, atol=1e-9)
    nearest = np.unique(expected.representatives())
    written = [frame.positions for _, frame in read_positions(frames)]
    np.testing.assert_allclose(written, np.round(FRAMES[nearest], 9), atol=1e-12)
    assert picture.read_bytes().startswith(b"\x89PNG")
    results = load_results(out)
    assert results["principal"].shape == (150, 2)
    np.testing.assert_array_equal(results["numbers"], np.arange(150))
    assert read_header(out).units == "angstrom"
    assert run(*words) == 2
    assert "exists" in capsys.readouterr().err
    assert run(*words, "--overwrite", "--quiet") == 0
    assert capsys.readouterr().out == ""
    assert run("info", out) == 0
    assert "clusters/labels" in capsys.readouterr().out


@pytest.mark.parametrize("mode", ["hard", "easy"])
def test_chosen_frames_are_those_with_the_scores(xyz, tmp_path, capsys, mode):
    out, frames = tmp_path / "s.h5", tmp_path / "chosen.xyz"
    words = ("--range", "10:130:2", "--fraction", 0.2, "-k", 5, "--mode", mode, "--seed", 3)
    assert run("ensemble", "select", xyz, *words, "-o", out, "--frames", frames, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    rows = np.arange(10, 130, 2)
    x = superpose(np.round(FRAMES[rows], 9), tol=1e-4).aligned.reshape(60, -1)
    expected = select(np.sqrt(k_means(x, 5, seed=3).squared), 0.2, mode)
    found = load(out)
    assert isinstance(found, Selection)
    np.testing.assert_array_equal(found.indices, expected.indices)
    np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-9)
    assert (report["chosen"], report["mode"], report["clusters"]) == (12, mode, 5)
    np.testing.assert_array_equal(load_results(out)["numbers"], rows)
    written = [frame.positions for _, frame in read_positions(frames)]
    np.testing.assert_allclose(written, np.round(FRAMES[rows[expected.indices]], 9), atol=1e-12)
    scores = found.scores
    rest = np.delete(scores, found.indices)
    assert scores[found.indices].min() >= rest.max() if mode == "hard" else scores[found.indices].max() <= rest.min()


def test_samples_with_float32_stay_float32(tmp_path, capsys):
    x = RNG.normal(size=(90, 3)).astype("f4")
    np.save(tmp_path / "a.npy", x)
    assert run("ensemble", "cluster", tmp_path / "a.npy", "-k", 4, "-o", tmp_path / "c.h5") == 0
    found = load(tmp_path / "c.h5")
    assert found.centers.dtype == np.float32
    np.testing.assert_array_equal(found.labels, k_means(x, 4).labels)
    assert "a.npy, 3 numbers each" in capsys.readouterr().out
    assert run("ensemble", "select", tmp_path / "a.npy", "--fraction", 1, "-o", tmp_path / "s.h5") == 0
    assert "clusters  9, " in capsys.readouterr().out  # the root of 90


def test_repeated_points_and_one_frame(tmp_path, capsys):
    np.save(tmp_path / "a.npy", np.repeat(RNG.normal(size=(3, 2)), 20, axis=0))
    words = ("ensemble", "cluster", tmp_path / "a.npy", "-o", tmp_path / "c.h5")
    assert run(*words, "-k", 3) == 0
    assert run(*words, "-k", 4, "--overwrite") == 2
    assert "only 3 points differ" in capsys.readouterr().err
    one = write_run(tmp_path / "one.xyz", FRAMES[:1])
    assert run("ensemble", "cluster", one, "-k", 1, "-o", tmp_path / "one.h5", "--frames", tmp_path / "b.xyz") == 0
    assert load(tmp_path / "one.h5").inertia == pytest.approx(0, abs=1e-20)


def test_bad_input_is_one_line_and_leaves_no_file(xyz, tmp_path, capsys):
    np.save(tmp_path / "a.npy", RNG.normal(size=(9, 2)))
    other = tmp_path / "other.xyz"
    other.write_text("1\n\nC 0 0 0\n2\n\nC 0 0 0\nC 0 0 1\n")
    renamed = tmp_path / "renamed.xyz"
    renamed.write_text("2\n\nC 0 0 0\nO 0 0 1\n2\n\nO 0 0 0\nC 0 0 1\n")
    mixed = tmp_path / "mixed.xyz"
    cell = 'Lattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3'
    mixed.write_text(f"1\n{cell}\nC 0 0 0\n1\n\nC 0 0 1\n")
    cases = [
        (["cluster", xyz, "-k", 151], "--clusters 151: "),
        (["cluster", xyz, "-k", 0], "--clusters: '0': expected an integer from 1"),
        (["cluster", tmp_path / "a.npy", "-k", 2, "--frames", tmp_path / "f.xyz"], "holds points and no frames"),
        (["cluster", xyz, "-k", 2, "--frames", tmp_path / "f.dcd"], "expected a name in .xyz"),
        (["cluster", xyz, "-k", 2, "--frames", xyz], "is the input; choose another name"),
        (["select", xyz, "--fraction", 0], "expected a number above 0, at most 1"),
        (["select", xyz, "--fraction", 1.5], "expected a number above 0, at most 1"),
        (["select", xyz, "--fraction", "nan"], "expected a number above 0, at most 1"),
        (["select", xyz, "--fraction", 0.5, "--seed", -1], "expected an integer from 0"),
        (["select", xyz, "--fraction", 0.5, "--maxiter", 0], "expected an integer from 1"),
        (["cluster", other, "-k", 1], "frame 1 has 2 atoms; expected 1, as in frame 0"),
        (["cluster", renamed, "-k", 1], "atom 0 of frame 1 is O; expected C, as in frame 0"),
        (["cluster", mixed, "-k", 1], "frame 1 has no cell, and frame 0 has one"),
    ]
    for words, says in cases:
        assert run("ensemble", *words, "-o", tmp_path / "out.h5") == 2, words
        said = capsys.readouterr()
        assert says in said.err, (words, said.err)
        assert len(said.err.splitlines()) == 1, said.err
        assert not (tmp_path / "out.h5").exists()
    assert run("ensemble", "cluster", xyz, "-k", 2, "-o", tmp_path / "out.npz") == 2
    assert "is HDF5, and .npz promises NumPy" in capsys.readouterr().err


def test_options_from_a_file_and_a_dry_run(xyz, tmp_path, capsys):
    (tmp_path / "job.toml").write_text(
        '[ensemble.select]\nfraction = 0.1\nclusters = 4\nsuperpose = false\nrange = ":50"\n'
    )
    words = ("ensemble", "select", xyz, "-o", tmp_path / "s.h5", "--config", tmp_path / "job.toml")
    assert run(*words, "--dry-run", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["points"], told["coordinates"], told["clusters"]) == (50, 15, 4)
    assert not (tmp_path / "s.h5").exists()
    assert run(*words) == 0
    assert "50 frames of 5 atoms, not superposed" in capsys.readouterr().out
    assert "--no-superpose" in read_header(tmp_path / "s.h5").command
