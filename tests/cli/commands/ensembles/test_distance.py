"""`sci ensemble distance`: known distances, the error of the marginals, exact costs, and input that is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from command_cases import run
from ensemble_cases import run_of_chain, write_run
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

RNG = np.random.default_rng(2)
SHIFT = np.array([3.0, 4.0, 0.0])


def told(capsys, *words: object) -> dict:
    assert run("ensemble", "distance", *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_a_shift_is_the_distance(tmp_path, capsys):
    x = RNG.normal(size=(120, 3))
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "b.npy", x + SHIFT)
    found = told(capsys, tmp_path / "a.npy", tmp_path / "b.npy")
    assert found["distance"] == pytest.approx(5.0, rel=1e-3)
    assert found["exact_distance"] == pytest.approx(5.0, rel=1e-12)
    assert found["distance_of_means"] == pytest.approx(5.0, rel=1e-12)
    both = np.concatenate([x, x + SHIFT])
    pairs = 2 * ((both - both.mean(axis=0)) ** 2).sum() / 240
    assert found["scale"] == pytest.approx(pairs, rel=1e-12)
    assert found["reg"] == pytest.approx(1e-2 * pairs, rel=1e-12)
    assert 0 < found["marginal_error"] <= 2e-4
    same = told(capsys, tmp_path / "a.npy", tmp_path / "a.npy")
    assert same["divergence"] == pytest.approx(0, abs=1e-4 * found["divergence"])
    assert same["exact_distance"] == 0


def test_sets_of_other_sizes_and_dtypes(tmp_path, capsys):
    x, y = RNG.normal(size=(100, 2)), RNG.normal(size=(60, 2)) + 2
    np.savez(tmp_path / "a.npz", x=x.astype("f4"))
    np.savez(tmp_path / "b.npz", x=y)
    found = told(capsys, tmp_path / "a.npz", tmp_path / "b.npz", "--reg", "1e-3")
    assert found["points"] == [100, 60]
    assert found["distance"] == pytest.approx(found["exact_distance"], rel=0.02)
    large = told(capsys, tmp_path / "a.npz", tmp_path / "b.npz", "--range", ":60", "--reg", "1")
    x, y = x[:60], y[:60]
    rows, columns = linear_sum_assignment(cdist(x, y, "sqeuclidean"))
    exact = cdist(x, y, "sqeuclidean")[rows, columns].mean() ** 0.5
    assert large["exact_distance"] == pytest.approx(exact, rel=1e-6)


def test_runs_of_one_molecule_are_superposed_together(tmp_path, capsys):
    """The same shapes turned otherwise are at no distance, and other torsions are."""
    first, same = run_of_chain(120, seed=1), run_of_chain(120, seed=1)[::-1] @ np.diag([1.0, -1, -1]) + 7
    a, b = write_run(tmp_path / "a.xyz", first), write_run(tmp_path / "b.xyz", same)
    c = write_run(tmp_path / "c.xyz", run_of_chain(120, seed=1, shift=0.6))
    near, far = told(capsys, a, b), told(capsys, a, c)
    assert near["distance"] < 0.02 * far["distance"]
    assert far["rmsd"] == pytest.approx(far["distance"] / 5**0.5)
    assert far["halves"][0] > 0
    assert run("ensemble", "distance", a, c) == 0
    out = capsys.readouterr().out
    for name in ("first", "second", "distance", "of halves", "of means", "exact", "blurred below", "marginals"):
        assert f"\n{name} " in f"\n{out}"


def test_bad_input_is_one_line(tmp_path, capsys):
    x = RNG.normal(size=(30, 2))
    np.save(tmp_path / "a.npy", x)
    np.save(tmp_path / "b.npy", RNG.normal(size=(30, 3)))
    np.save(tmp_path / "one.npy", np.ones((5, 2)))
    run_a = write_run(tmp_path / "a.xyz", run_of_chain(5))
    run_b = write_run(tmp_path / "b.xyz", run_of_chain(5, 3))
    cases = [
        ([tmp_path / "a.npy", tmp_path / "b.npy"], 2, "have 2 coordinates, and those of"),
        ([tmp_path / "a.npy", run_a], 2, "one is a trajectory and one is not"),
        ([run_a, run_b], 2, "has 5 chosen atoms and"),
        ([tmp_path / "a.npy", tmp_path / "a.npy", "--reg", 0], 2, "expected a number from 1e-6 to 1e6"),
        ([tmp_path / "a.npy", tmp_path / "a.npy", "--tol", 2], 2, "expected a number from 1e-12 to 0.5"),
        ([tmp_path / "one.npy", tmp_path / "one.npy"], 1, "lie at one place; there is no scale for --reg"),
        ([tmp_path / "a.npy", tmp_path / "a.npy", "--reg", 1e-5, "--maxiter", 2], 1, "the marginals are off by"),
        ([tmp_path / "a.npy", tmp_path / "none.npy"], 2, "none.npy: there is no such file"),
    ]
    for words, code, says in cases:
        assert run("ensemble", "distance", *words) == code, words
        said = capsys.readouterr()
        assert says in said.err, (words, said.err)
        assert len(said.err.splitlines()) == 1, said.err
        assert said.out == ""
