"""`sci ensemble dimension`: trajectories, samples, labels, activations, cautions, and input that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from command_cases import run
from ensemble_cases import run_of_chain, write_run

from sci.cli.commands.ensembles.dimension import cautions
from sci.cli.commands.ensembles.points import Points
from sci.ensembles import IntrinsicDimension, intrinsic_dimension, superpose
from sci.io import save, save_samples
from sci.nn import collect_activations
from sci.operators import FNO, TrainedOperator

RNG = np.random.default_rng(0)


def told(capsys, *words: object) -> dict:
    assert run("ensemble", "dimension", *words, "--json") == 0
    return json.loads(capsys.readouterr().out)


def test_the_torsions_of_a_chain_are_its_degrees_of_freedom(tmp_path, capsys):
    frames = run_of_chain(1500, 2)
    path = write_run(tmp_path / "run.xyz", frames)
    found = told(capsys, path)
    assert (found["points"], found["coordinates"], found["coincident"]) == (1500, 15, 0)
    for method in ("twonn", "mle"):
        low, high = found[method]["interval"]
        assert low < 2 < high or abs(found[method]["value"] - 2) < 0.25
    aligned = superpose(np.round(frames, 9), tol=1e-4).aligned.reshape(1500, -1)
    assert found["mle"]["value"] == pytest.approx(intrinsic_dimension(aligned, "mle").value, rel=1e-6)
    # Without superposition the chain also turns and moves: six degrees more.
    assert told(capsys, path, "--no-superpose")["mle"]["value"] > 4
    assert run("ensemble", "dimension", path, "--method", "mle", "--neighbors", 10) == 0
    out = capsys.readouterr().out
    assert "mle      " in out
    assert "(10 neighbors)" in out
    assert "twonn" not in out
    assert "1500 frames of 5 atoms, superposed on their mean, RMSD" in out


def test_a_cell_that_cuts_the_chain_does_no_harm(tmp_path, capsys):
    frames = run_of_chain(300, 2)
    whole = told(capsys, write_run(tmp_path / "whole.xyz", frames))
    cut = told(capsys, write_run(tmp_path / "cut.xyz", frames, cell=16.0))
    assert cut["mle"]["value"] == pytest.approx(whole["mle"]["value"], rel=1e-5)
    torn = told(capsys, tmp_path / "cut.xyz", "--no-unwrap")
    assert abs(torn["rmsd"] - whole["rmsd"]) > 0.5
    assert "as wrapped by the cell" in torn["what"]


def test_samples_labels_and_chosen_rows(tmp_path, capsys):
    x = RNG.random((600, 2)) @ RNG.normal(size=(2, 12))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["x"], file["speed"], file["other"] = x.reshape(600, 3, 4), x[:, 0], RNG.random((600, 5))
    found = told(capsys, tmp_path / "a.h5", "--labels", "speed")
    assert abs(found["twonn"]["value"] - 2) < 0.3
    d = np.abs(x[:, None, 0] - x[None, :, 0]) / (np.linalg.norm(x[:, None] - x[None], axis=2) + np.eye(600))
    assert found["label_sharpness"]["value"] == pytest.approx(d.max(), rel=1e-9)
    assert sorted(found["label_sharpness"]["points"]) == sorted(np.unravel_index(d.argmax(), d.shape))
    part = told(capsys, tmp_path / "a.h5", "--labels", "speed", "--range", "100:500:2")
    assert part["points"] == 200
    rows = np.arange(100, 500, 2)
    assert set(part["label_sharpness"]["points"]) <= set(rows.tolist())
    assert told(capsys, tmp_path / "a.h5", "--dataset", "other")["coordinates"] == 5
    classes = told(capsys, tmp_path / "a.h5", "--labels", "speed", "--classes")["label_sharpness"]["value"]
    nearest = np.linalg.norm(x[:, None] - x[None], axis=2) + 1e9 * np.eye(600)
    assert classes == pytest.approx(1 / nearest.min(), rel=1e-9)


def test_activations_of_a_model(tmp_path, capsys):
    operator = TrainedOperator(FNO((2, 2), 1, 1, 4, 2, seed=0))
    save(tmp_path / "model.h5", operator)
    x = (RNG.normal(size=(80, 3)) @ RNG.normal(size=(3, 36))).reshape(80, 6, 6).astype(np.float32)
    save_samples(tmp_path / "a.h5", x, x, grid_axes=2)
    found = told(capsys, tmp_path / "a.h5", "--model", tmp_path / "model.h5")
    assert found["layer"] == "block_1"
    assert found["coordinates"] == 4 * 36
    values = collect_activations(operator, x[:, None], layers=["block_1"])["block_1"].reshape(80, -1)
    assert found["twonn"]["value"] == pytest.approx(intrinsic_dimension(values).value, rel=1e-5)
    first = told(capsys, tmp_path / "a.h5", "--model", tmp_path / "model.h5", "--layer", "channel_mlp_0")
    assert (first["layer"], first["coordinates"]) == ("channel_mlp_0", 144)
    assert run("ensemble", "dimension", tmp_path / "a.h5", "--model", tmp_path / "model.h5", "--layer", "none") == 2
    assert "no layer none; its layers are concatenate_0, channel_mlp_0, block_0" in capsys.readouterr().err
    assert run("ensemble", "dimension", tmp_path / "a.h5", "--model", tmp_path / "a.h5") == 2
    assert "holds a Samples, which takes no samples" in capsys.readouterr().err


def _found(value: float, **changed: object) -> IntrinsicDimension:
    settings = {"neighbors": 2, "points": 1000, "coincident": 0, "successive": 0.002} | changed
    return IntrinsicDimension(value, 0.1, "twonn", **settings)


@pytest.mark.parametrize(
    ("found", "says"),
    [
        ([_found(3.0)], []),
        ([_found(3.0, points=40)], ["40 points are few"]),
        ([_found(3.0, coincident=30)], ["30 of 1030 points coincide"]),
        ([_found(1.1, successive=0.9)], ["the nearest neighbor of 90 % of the points"]),
        ([_found(7.5)], ["7.5 is more than 1000 points can tell, about 2 log10(n) = 6"]),
        ([_found(5.0), _found(3.0)], ["twonn 5 and mle 3 see different scales"]),
    ],
)
def test_what_speaks_against_an_estimate_is_told(found, says):
    total = found[0].points + found[0].coincident
    said = cautions(found, Points(Path("a"), np.zeros((total, 3)), range(total), "points"))
    assert len(said) == len(says)
    assert all(part in text for text, part in zip(said, says))


def test_a_path_in_time_and_repeated_frames_are_cautioned(tmp_path, capsys):
    walk = np.cumsum(0.01 * RNG.normal(size=(400, 4, 3)), axis=0) + 5 * RNG.normal(size=(4, 3))
    found = told(capsys, write_run(tmp_path / "walk.xyz", walk))
    assert any("dense on a path" in text for text in found["cautions"])
    again = np.repeat(run_of_chain(60), 3, axis=0)
    found = told(capsys, write_run(tmp_path / "again.xyz", again), "--no-superpose")
    assert (found["coincident"], found["mle"]["points"]) == (120, 60)
    assert any("120 of 180 points coincide" in text for text in found["cautions"])


def test_a_lattice_has_one_estimate_and_a_caution(tmp_path, capsys):
    np.save(tmp_path / "grid.npy", np.stack(np.meshgrid(*2 * [np.arange(20.0)]), axis=-1).reshape(-1, 2))
    found = told(capsys, tmp_path / "grid.npy", "--neighbors", 40)
    assert "twonn" not in found
    assert abs(found["mle"]["value"] - 2) < 0.1
    assert any("no estimate by twonn: the two nearest" in t and "lie on a lattice" in t for t in found["cautions"])
    assert run("ensemble", "dimension", tmp_path / "grid.npy", "--method", "twonn") == 2
    assert "lie on a lattice or are rounded" in capsys.readouterr().err


def test_bad_input_is_one_line(tmp_path, capsys):
    path = write_run(tmp_path / "run.xyz", run_of_chain(8))
    np.savez(tmp_path / "a.npz", x=RNG.random((9, 3)), y=np.arange(9), bad=np.full((9, 2), np.nan))
    cases = [
        ([path], 2, "8 points; mle needs more than its 20 neighbors; choose fewer --neighbors"),
        ([path, "--neighbors", 2], 2, "--neighbors: '2': expected an integer from 3"),
        ([path, "--range", "3"], 2, "--range 3: expected A:B or A:B:STEP"),
        ([path, "--range", "9:"], 2, "--range 9: leaves no ascending choice of its 8 points"),
        ([path, "--range", "::-1"], 2, "leaves no ascending choice"),
        ([path, "--range", ":1", "--method", "twonn"], 2, "1 points; twonn needs more than its 2 neighbors"),
        ([path, "--atoms", "H"], 2, "--atoms H: no such atom among the 5 of"),
        ([path, "--dataset", "x"], 2, "is a trajectory, whose points are its frames"),
        ([path, "--labels", "y"], 2, "is a trajectory; expected an HDF5 or npz file"),
        ([path, "--layer", "x"], 2, "--layer x goes with --model MODEL.h5"),
        ([path, "--classes"], 2, "--classes goes with --labels NAME"),
        ([path, "--model", path], 2, "--model takes samples"),
        ([path, "--device", "cuda"], 2, "--device cuda: this command computes on the CPU"),
        ([path, "--no-superpose", "--reference", path], 2, "--reference goes with --superpose"),
        ([tmp_path / "none.xyz"], 2, "there is no such file"),
        ([tmp_path / "a.npz", "--atoms", "C"], 2, "--atoms goes with a trajectory"),
        ([tmp_path / "a.npz", "--no-superpose"], 2, "--no-superpose goes with a trajectory"),
        ([tmp_path / "a.npz", "--dataset", "bad"], 2, "point 0 of bad holds NaN or Inf"),
        ([tmp_path / "a.npz", "--dataset", "none"], 2, "there is no array 'none'"),
        ([tmp_path / "a.npz", "--method", "twonn", "--labels", "x"], 2, "x has 9 rows of 3 numbers"),
    ]
    for words, code, says in cases:
        assert run("ensemble", "dimension", *words) == code, words
        said = capsys.readouterr()
        assert says in said.err, (words, said.err)
        assert len(said.err.splitlines()) == 1, said.err
        assert said.out == ""


def test_neighbors_go_with_mle(tmp_path, capsys):
    np.save(tmp_path / "x.npy", RNG.normal(size=(50, 2)))
    assert run("ensemble", "dimension", tmp_path / "x.npy", "--method", "twonn", "--neighbors", 5) == 2
    assert "--neighbors goes with --method both or mle, not with twonn" in capsys.readouterr().err
    assert told(capsys, tmp_path / "x.npy", "--method", "twonn")["twonn"]["neighbors"] == 2
