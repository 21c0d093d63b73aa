"""`sci operator`: train, predict and import on small sets; refusals with exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from sci.cli import main
from sci.io import load, load_inputs, load_samples, read_state_dict, save, save_samples
from sci.operators import FNO, TFNO, TrainedOperator

SMALL = ["--modes", "4", "4", "--hidden", "8", "--layers", "2", "--batch", "8"]


AGAIN = [
    *("train", "train.h5", "-o", "bad.h5", *SMALL, "--epochs", "6", "--rank-fraction", "0.5", "--resume", "run.h5")
]


MUP = ["--parametrization", "mup", "--base-width", "4", "--base-modes", "2"]


def smoothed(n, size, seed=0):
    """Random fields and their low-pass: an operator that one spectral layer can learn."""
    x = np.random.default_rng(seed).normal(size=(n, size, size)).astype(np.float32)
    spectrum = np.fft.rfft2(x)
    spectrum[:, 2:-1], spectrum[:, :, 2:] = 0, 0
    return x, np.fft.irfft2(spectrum, s=(size, size)).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("operator")
    save_samples(path / "train.h5", *smoothed(64, 8), grid_axes=2, periodic=True)
    save_samples(path / "test.h5", *smoothed(8, 12, 1), grid_axes=2, periodic=True)
    save_samples(path / "other.h5", *smoothed(64, 8, 2), grid_axes=2, periodic=True)
    save_samples(path / "bare.h5", *smoothed(64, 8))
    save_samples(path / "lines.h5", *np.zeros((2, 4, 2, 8)), grid_axes=1, periodic=True)
    with h5py.File(path / "inputs.h5", "w") as file:
        file["x"] = smoothed(3, 8)[0] > 0
    return path


def run(*words):
    return main(["operator", *map(str, words)])


@pytest.fixture(scope="module")
def trained(folder):
    arguments = ["train", folder / "train.h5", "-o", folder / "model.h5", *SMALL, "--epochs", 6, "--rank-fraction", 0.5]
    assert run(*arguments, "--test", folder / "test.h5", "--checkpoint", folder / "run.h5") == 0
    return folder / "model.h5"


def test_a_trained_model_predicts_on_another_grid(folder, trained, capsys):
    out = folder / "out.h5"
    assert run("predict", trained, folder / "test.h5", "-o", out, "--batch", 3, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["samples"] == 8
    assert report["l2"] < 0.6  # 1 is what predicting the mean gives
    x, y = load_samples(out)
    operator = load(trained)
    assert operator.model.config.factorization == "tucker"
    np.testing.assert_array_equal(y, operator(x))


def test_the_file_says_what_a_grid_is(folder, capsys):
    """(4, 2, 8): two channels on 8 points, as the file records, not one channel on 2 x 8."""
    rng = np.random.default_rng(0)
    save_samples(folder / "two.h5", *rng.normal(size=(2, 4, 2, 8)), grid_axes=1, periodic=True)
    small = ["--hidden", 4, "--layers", 1, "--batch", 4, "--epochs", 1, "--json"]
    assert run("train", folder / "two.h5", "-o", folder / "two_model.h5", *small) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 4
    config = load(folder / "two_model.h5").model.config
    assert (config.n_modes, config.in_channels) == ((8,), 2)
    assert run("predict", folder / "two_model.h5", folder / "two.h5", "-o", folder / "o2.h5") == 0
    assert (load_samples(folder / "o2.h5").grid_axes, load_samples(folder / "o2.h5").periodic) == (1, True)


def test_the_model_of_the_maximal_update_rule_keeps_its_base(folder):
    assert run("train", folder / "train.h5", "-o", folder / "mup.h5", *SMALL, *MUP, "--epochs", 2) == 0
    model = load(folder / "mup.h5").model
    assert (model.config.base_channels, model.config.base_modes) == (4, (2, 2))
    assert model.base_roles["blocks.0.skip.weight"].fan_in == 4


def test_one_number_of_modes_holds_for_every_axis(folder):
    small = ["--hidden", 4, "--layers", 1, "--epochs", 1, "--modes"]
    for name, modes, kept in (("both", [4], (4, 4)), ("each", [4, 2], (4, 2)), ("default", None, (8, 8))):
        words = ["train", folder / "train.h5", "-o", folder / f"{name}.h5", *(small[:-1] if modes is None else small)]
        assert run(*words, *(modes or [])) == 0
        assert load(folder / f"{name}.h5").model.config.n_modes == kept


def test_inputs_without_truth(folder, trained, capsys):
    assert run("predict", trained, folder / "inputs.h5", "-o", folder / "alone.h5") == 0
    assert "l2" not in capsys.readouterr().out
    assert load_inputs(folder / "inputs.h5").y is None
    assert load_samples(folder / "alone.h5").y.shape == (3, 1, 8, 8)


def test_a_resumed_training_is_the_whole_one(folder):
    whole, half, done = (folder / f"{n}.h5" for n in ("whole", "half", "done"))
    base = ["train", folder / "train.h5", *SMALL, "--transpose", "--standardize-inputs"]
    assert run(*base, "-o", whole, "--epochs", 2) == 0
    assert run(*base, "-o", done, "--epochs", 2, "--checkpoint", half) == 0
    assert run(*base, "-o", done, "--epochs", 2, "--resume", half) == 2, "nothing is replaced unasked"
    assert run(*base, "-o", done, "--epochs", 2, "--resume", half, "--overwrite") == 0
    for name, value in load(whole).model.parameters.items():
        np.testing.assert_array_equal(value, load(done).model.parameters[name])


def test_pictures(folder, trained):
    pytest.importorskip("matplotlib")
    assert run("predict", trained, folder / "test.h5", "-o", folder / "o.h5", "--plot", folder / "p.png") == 0
    assert (folder / "p.png").stat().st_size > 1000
    arguments = ["train", folder / "train.h5", "-o", folder / "m.h5", *SMALL, "--epochs", 1]
    assert run(*arguments, "--plot", folder / "loss.png") == 0
    assert (folder / "loss.png").stat().st_size > 1000


def state_of(model):
    """The arrays of a model under the names of neuraloperator."""
    p, state = model.parameters, {}
    for name in ("lifting", "projection"):
        for i in (0, 1):
            state[f"{name}.fcs.{i}.weight"] = p[f"{name}.{i}.weight"][..., None]
            state[f"{name}.fcs.{i}.bias"] = p[f"{name}.{i}.bias"]
    for layer in range(model.config.n_layers):
        ours, conv = f"blocks.{layer}.", f"fno_blocks.convs.{layer}."
        state[conv + "bias"] = p[ours + "spectral.bias"][:, None, None]
        state[conv + "weight.tensor"] = np.moveaxis(p[ours + "spectral.weight"], (-2, -1), (0, 1))
        state[f"fno_blocks.fno_skips.{layer}.conv.weight"] = p[ours + "skip.weight"][..., None]
        state[f"fno_blocks.channel_mlp_skips.{layer}.weight"] = p[ours + "mlp_skip.weight"][None, :, None, None]
        for i in (0, 1):
            state[f"fno_blocks.channel_mlp.{layer}.fcs.{i}.weight"] = p[f"{ours}mlp.{i}.weight"][..., None]
            state[f"fno_blocks.channel_mlp.{layer}.fcs.{i}.bias"] = p[f"{ours}mlp.{i}.bias"]
    return state


def test_import_of_a_state_dict(folder, capsys):
    model = FNO((6, 8), 2, 1, 8, 2, seed=3)
    state = state_of(model)
    np.savez(folder / "bare.npz", **state, _metadata=np.array([1]))
    assert "_metadata" not in read_state_dict(folder / "bare.npz")
    assert run("import", folder / "bare.npz", "-o", folder / "imported.h5") == 2
    assert "--assume-defaults" in capsys.readouterr().err
    assert run("import", folder / "bare.npz", "-o", folder / "bare_imported.h5", "--assume-defaults") == 0
    np.savez(folder / "relu.npz", **state, _metadata=np.array(json.dumps({"args": [[6, 8]], "non_linearity": "relu"})))
    assert run("import", folder / "relu.npz", "-o", folder / "imported.h5") == 2
    assert "non_linearity 'relu'" in capsys.readouterr().err
    np.savez(folder / "state.npz", **state, _metadata=np.array(json.dumps({"args": [[6, 8]], "norm": None})))
    assert run("import", folder / "state.npz", "-o", folder / "imported.h5", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["n_modes"], report["channels"], report["layers"]) == ([6, 8], [2, 8, 1], 2)
    x = np.random.default_rng(0).normal(size=(1, 2, 9, 10))
    np.testing.assert_array_equal(load(folder / "imported.h5")(x), model(x))


def test_files_keep_every_option(tmp_path):
    model = TFNO((4, 5), 1, 2, 6, 2, tensor_rank=(3, 3, 2, 2, 2), joint=True, domain_padding=(0.1, 0.0), norm="group")
    save(tmp_path / "m.h5", TrainedOperator(model))
    again = load(tmp_path / "m.h5").model
    assert again.config == model.config
    assert type(again) is TFNO
    assert list(again.parameters) == list(model.parameters)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train", "missing.h5", "-o", "bad.h5"], "no such file"),
        (["train", "train.h5", "-o", "bad.h5", "--modes", "4", "4", "4"], "grid axes differ"),
        (["train", "bare.h5", "-o", "bad.h5"], "--dim"),
        (["train", "bare.h5", "-o", "bad.h5", *SMALL], "--periodic or --no-periodic"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--no-periodic"], "records periodic=True"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--epochs", "6", "--resume", "run.h5"], "model.factorization"),
        ([*AGAIN, "--learning-rate", "0.1"], "training.learning_rate"),
        ([*AGAIN, "--loss", "l2"], "training.loss"),
        ([*AGAIN, "--padding", "0.25"], "model.domain_padding"),
        ([*AGAIN, "--norm", "instance"], "model.norm"),
        ([*AGAIN, "--transpose"], "n_samples"),
        ([w.replace("train.h5", "other.h5") for w in AGAIN], "samples"),
        (["train", "bare.h5", "-o", "bad.h5", "--dim", "3"], "shape"),
        (["train", "lines.h5", "-o", "bad.h5", "--modes", "4", "4"], "lines.h5 says 1"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--test", "lines.h5"], "lines.h5: samples on grids of 1"),
        (["predict", "model.h5", "lines.h5", "-o", "bad.h5"], "the model takes 2"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--epochs", "0"], "--epochs: '0': expected an integer from 1"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--learning-rate", "1e30"], "learning_rate is 1e+30; expected"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--weight-decay", "1e30"], "weight_decay is 1e+30; expected"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--checkpoint", "ck.png"], "name it ck.h5"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--modes", "9"], "--modes: n_modes is (9, 9), and samples on 8"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--rank-fraction", "-1"], "--rank-fraction"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--base-width", "4"], "are for --parametrization mup"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--parametrization", "mup"], "needs --base-width"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, *MUP, "--rank-fraction", "0.5"], "'dense'"),
        (["train", "train.h5", "-o", "bad.h5", *SMALL, "--resume", "model.h5"], "checkpoint"),
        (["train", "train.h5", "-o", "train.h5"], "input"),
        (["predict", "train.h5", "test.h5", "-o", "bad.h5"], "model"),
        (["predict", "model.h5", "run.h5", "-o", "bad.h5"], "kind"),
        (["predict", "model.h5", "inputs.h5", "-o", "bad.h5", "--batch", "0"], "--batch"),
        (["import", "train.h5", "-o", "bad.h5"], "npz"),
        (["import", "missing.npz", "-o", "bad.h5"], "npz"),
    ],
)
def test_bad_input_exits_with_two(folder, trained, capsys, monkeypatch, words, message):
    monkeypatch.chdir(folder)
    before = sorted(Path.cwd().iterdir())
    assert run(*words) == 2
    text = capsys.readouterr().err
    assert text.startswith("sci: error:")
    assert message in text
    assert sorted(Path.cwd().iterdir()) == before


def shifted(n, size, seed=0):
    """The same low-pass of twice the height: what a new material might be."""
    x, y = smoothed(n, size, seed)
    return x, 2 * y + np.float32(0.1)


@pytest.fixture(scope="module")
def delta(folder, trained):
    save_samples(folder / "new.h5", *shifted(32, 8, 5), grid_axes=2, periodic=True)
    save_samples(folder / "newer.h5", *shifted(16, 8, 6), grid_axes=2, periodic=True)
    words = ["adapt", trained, folder / "new.h5", "-o", folder / "delta.h5", "--method", "loldu", "--rank", 4]
    assert run(*words, "--epochs", 20, "--learning-rate", 0.02, "--test", folder / "newer.h5") == 0
    return folder / "delta.h5"


def test_an_adaptation_tells_the_errors_before_and_after(folder, trained, delta, capsys):
    words = ["adapt", trained, folder / "new.h5", "-o", folder / "told.h5", "--rank", 4, "--epochs", 10, "--json"]
    assert run(*words, "--test", folder / "newer.h5", "--no-head") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["l2_newer_after"] < report["l2_newer_before"]
    assert report["l2_after"] < report["l2_before"]
    assert (report["name"], report["steps"]) == ("new", 20)
    assert report["trained"] < 0.1 * report["parameters"]
    assert load(folder / "told.h5").named().n_numbers == report["trained"]


def test_the_merged_model_is_the_model_with_its_delta(folder, trained, delta, capsys):
    outs = [folder / name for name in ("by_delta.h5", "merged_out.h5", "plain.h5")]
    assert run("predict", trained, folder / "newer.h5", "--adapter", delta, "-o", outs[0], "--json") == 0
    with_delta = json.loads(capsys.readouterr().out)["l2"]
    assert run("merge", trained, delta, "-o", folder / "merged.h5") == 0
    assert run("predict", folder / "merged.h5", folder / "newer.h5", "-o", outs[1]) == 0
    capsys.readouterr()
    assert run("predict", trained, folder / "newer.h5", "-o", outs[2], "--json") == 0
    assert with_delta < json.loads(capsys.readouterr().out)["l2"]
    ours, merged, plain = (load_samples(path).y for path in outs)
    np.testing.assert_array_equal(ours, merged)
    assert np.abs(ours - plain).max() > 0.01
    assert delta.stat().st_size < 0.5 * trained.stat().st_size


def test_deltas_join_a_file(folder, trained, delta, capsys):
    words = ["adapt", trained, folder / "newer.h5", "--rank", 2, "--epochs", 1, "--add-to"]
    assert run(*words, delta, "-o", folder / "deltas.h5", "--name", "second") == 0
    assert list(load(folder / "deltas.h5").deltas) == ["new", "second"]
    assert run(*words, folder / "deltas.h5", "-o", folder / "delta.h5", "--name", "third") == 2, (
        "nothing is replaced unasked"
    )
    assert run(*words, folder / "deltas.h5", "-o", folder / "deltas.h5", "--name", "third") == 0
    assert list(load(folder / "deltas.h5").deltas) == ["new", "second", "third"]
    predict = ["predict", trained, folder / "newer.h5", "--adapter", folder / "deltas.h5", "-o"]
    assert run(*predict, folder / "n.h5") == 2
    assert "no name was given of the deltas new, second, third" in capsys.readouterr().err
    assert run(*predict, folder / "n.h5", "--adapter-name", "new") == 0
    assert run("predict", trained, folder / "newer.h5", "--adapter", delta, "-o", folder / "m.h5", "--overwrite") == 0
    np.testing.assert_array_equal(load_samples(folder / "n.h5").y, load_samples(folder / "m.h5").y)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["adapt", "model.h5", "new.h5", "-o", "bad.h5", "--rank", "0"], "--rank"),
        (["adapt", "model.h5", "new.h5", "-o", "bad.h5", "--method", "lora"], "loldu"),
        (["adapt", "model.h5", "new.h5", "-o", "bad.h5", "--name", "a/b"], "--name: 'a/b': expected printable"),
        (["adapt", "model.h5", "new.h5", "-o", "bad.h5", "--add-to", "delta.h5"], "delta 'new' already"),
        (["adapt", "model.h5", "new.h5", "-o", "bad.h5", "--add-to", "model.h5"], "expected deltas"),
        (["adapt", "other_model.h5", "new.h5", "-o", "bad.h5", "--add-to", "delta.h5"], "deltas of another model"),
        (["adapt", "model.h5", "bare.h5", "-o", "bad.h5"], "--periodic or --no-periodic"),
        (["adapt", "model.h5", "lines.h5", "-o", "bad.h5"], "the model takes 2"),
        (["adapt", "new.h5", "new.h5", "-o", "bad.h5"], "expected a model"),
        (["adapt", "model.h5", "new.h5", "-o", "new.h5"], "input"),
        (
            ["predict", "other_model.h5", "new.h5", "--adapter", "delta.h5", "-o", "bad.h5"],
            "delta.h5: the delta belongs",
        ),
        (["predict", "model.h5", "new.h5", "--adapter-name", "new", "-o", "bad.h5"], "chooses a delta of --adapter"),
        (["merge", "other_model.h5", "delta.h5", "-o", "bad.h5"], "delta.h5: the delta belongs"),
        (["merge", "model.h5", "delta.h5", "-o", "bad.h5", "--adapter-name", "x"], "'x' was given"),
        (["merge", "model.h5", "model.h5", "-o", "bad.h5"], "expected deltas"),
    ],
)
def test_bad_adaptations_exit_with_two(folder, delta, capsys, monkeypatch, words, message):
    monkeypatch.chdir(folder)
    if not Path("other_model.h5").exists():
        save("other_model.h5", TrainedOperator(FNO((4, 4), 1, 1, 8, 2, seed=9)))
    before = sorted(Path.cwd().iterdir())
    assert run(*words) == 2
    text = capsys.readouterr().err
    assert text.startswith("sci: error:")
    assert message in text
    assert sorted(Path.cwd().iterdir()) == before


def test_a_training_stops_early_and_writes_the_best_model(folder, capsys):
    words = ["train", folder / "train.h5", "-o", folder / "best.h5", *SMALL, "--test", folder / "test.h5", "--json"]
    stops = ["--epochs", 40, "--learning-rate", 0.5, "--patience", 2, "--accumulate", 2]
    assert run(*words, *stops, "--checkpoint", folder / "stopped.h5") == 0
    report = json.loads(capsys.readouterr().out)
    history = load(folder / "stopped.h5")
    errors = history.metrics["l2_test"]
    assert len(errors) == report["best_epoch"] + 2 < 40
    assert report["l2_test"] == errors.min()
    x, y = load_samples(folder / "test.h5")
    found = np.linalg.norm((load(folder / "best.h5")(x[:, None]) - y[:, None]).reshape(len(y), -1), axis=1)
    assert np.mean(found / np.linalg.norm(y.reshape(len(y), -1), axis=1)) == pytest.approx(errors.min(), rel=1e-5)


def test_an_average_is_written(folder, capsys):
    words = ["train", folder / "train.h5", *SMALL, "--epochs", 3]
    assert run(*words, "-o", folder / "mean.h5", "--average", 0.9, "--checkpoint", folder / "mean_run.h5") == 0
    averaged = load(folder / "mean_run.h5").averaged
    for name, array in load(folder / "mean.h5").model.parameters.items():
        np.testing.assert_array_equal(array, averaged[name])


def test_stops_that_make_no_sense_are_refused(folder, capsys):
    words = ["train", folder / "train.h5", "-o", folder / "never.h5", *SMALL]
    for more, text in (
        (["--patience", 2], "--patience watches the error on samples of --test"),
        (["--patience", 2, "--square", "--test", folder / "test.h5"], "with square"),
        (["--accumulate", 9], "accumulate is 9 for batches of 8"),
        (["--average", 1], "expected a number between 0 and 1"),
    ):
        assert run(*words, *more) == 2
        assert text in capsys.readouterr().err
