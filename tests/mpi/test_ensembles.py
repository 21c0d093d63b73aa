"""`sci ensemble` under mpirun: what one process prints and writes, and one message for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from ensemble_cases import run_of_chain, write_run
from launcher import MpiResult

from sci.cli import main
from sci.io import load, load_results, save, save_samples
from sci.operators import FNO, TrainedOperator

pytestmark = pytest.mark.mpi

TOLD = {
    "dimension": ["dimension", "run.xyz"],
    "cell": ["dimension", "cell.xyz", "--atoms", "0:4", "--method", "mle", "--neighbors", "5"],
    "labels": ["dimension", "samples.h5", "--labels", "label", "--range", "3:90:2"],
    "activations": ["dimension", "fields.h5", "--model", "model.h5", "--method", "twonn"],
    "distance": ["distance", "run.xyz", "other.xyz", "--reg", "0.1"],
}
WRITTEN = {
    "clusters": ["cluster", "run.xyz", "-k", "7", "--frames", "{out}/clusters.xyz"],
    "selection": ["select", "cell.xyz", "--fraction", "0.2", "--frames", "{out}/selection.xyz"],
    "samples": ["cluster", "samples.h5", "-k", "5", "--range", ":90"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with inputs, and in `one` what one process writes."""
    here = tmp_path_factory.mktemp("ensembles")
    rng = np.random.default_rng(0)
    write_run(here / "run.xyz", run_of_chain(61, noise=0.02))
    write_run(here / "other.xyz", run_of_chain(30, seed=1, noise=0.02, shift=0.3))
    write_run(here / "cell.xyz", run_of_chain(31, seed=2), cell=14.0)
    with h5py.File(here / "samples.h5", "w") as file:
        file["x"], file["label"] = rng.normal(size=(97, 4, 2)).astype("f4"), rng.normal(size=97)
    x = rng.normal(size=(41, 6, 6)).astype("f4")
    save_samples(here / "fields.h5", x, x, grid_axes=2)
    save(here / "model.h5", TrainedOperator(FNO((2, 2), 1, 1, 4, 2, seed=0)))
    (here / "one").mkdir()
    for words in _words(here, "one", WRITTEN):
        assert main(words) == 0
    return here


def _words(here: Path, out: str, commands: dict[str, list[str]], *more: str) -> list[list[str]]:
    found = []
    for name, words in commands.items():
        paths = [str(here / w) if (here / w).is_file() else w.format(out=here / out) for w in words]
        output = ["-o", str(here / out / f"{name}.h5")] if commands is WRITTEN else []
        found.append(["ensemble", *paths, *output, *more])
    return found


def _objects(text: str) -> list[dict[str, Any]]:
    """Return the JSON objects in a text."""
    found, at = [], text.find("\n{\n") + 1 if not text.startswith("{\n") else 0
    while at >= 0 and text[at : at + 1] == "{":
        value, end = json.JSONDecoder().raw_decode(text, at)
        found.append(value)
        following = text.find("\n{\n", end)
        at = following + 1 if following >= 0 else -1
    return found


def alike(one: Any, other: Any) -> bool:
    """Whether two values of JSON are the same, numbers but for rounding: sums over ranks have another order."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(alike(one[name], other[name]) for name in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return bool(one == pytest.approx(other, rel=1e-6, abs=1e-9)) if isinstance(one, float) else one == other


@pytest.mark.parametrize("n_ranks", [2, 4])
def test_ranks_tell_and_write_what_one_process_does(
    launch_mpi: Callable[..., MpiResult], folder: Path, n_ranks: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = folder / f"ranks{n_ranks}"
    out.mkdir()
    told, written = _words(folder, out.name, TOLD, "--json"), _words(folder, out.name, WRITTEN)
    (folder / "commands.json").write_text(json.dumps([*told, *written]))
    result = launch_mpi("commands.py", n_ranks, folder / "commands.json", timeout=120)
    assert result.output.count("CODES " + " ".join(["0"] * n_ranks)) == 2 * len(told + written), result.output
    capsys.readouterr()
    for words, found in zip(told, _objects(result.output), strict=True):
        assert main(words) == 0
        expected = json.loads(capsys.readouterr().out)
        assert found.keys() == expected.keys()
        for name in found.keys() - {"seconds"}:
            assert alike(found[name], expected[name]), (words, name, found[name], expected[name])
    for name in WRITTEN:
        one, other = load(folder / "one" / f"{name}.h5"), load(out / f"{name}.h5")
        for part in vars(one):
            np.testing.assert_array_equal(getattr(other, part), getattr(one, part), err_msg=f"{name} {part}")
        results = [load_results(path / f"{name}.h5") for path in (folder / "one", out)]
        for part in results[0]:
            np.testing.assert_array_equal(results[1][part], results[0][part])
    for name in ("clusters.xyz", "selection.xyz"):
        assert (out / name).read_bytes() == (folder / "one" / name).read_bytes()


def test_an_error_is_told_once_and_leaves_nothing(launch_mpi: Callable[..., MpiResult], tmp_path: Path) -> None:
    """More ranks than frames, a bad frame of the last rank, and NaN in a block of another."""
    path = write_run(tmp_path / "bad.xyz", run_of_chain(6))
    path.write_text(path.read_text()[:-9] + "none\n")
    x = np.ones((9, 2))
    x[8, 1] = np.nan
    np.save(tmp_path / "nan.npy", x)
    two = write_run(tmp_path / "two.xyz", run_of_chain(2))
    commands = [
        ["ensemble", "cluster", str(path), "-k", "2", "-o", str(tmp_path / "out.h5")],
        ["ensemble", "cluster", str(tmp_path / "nan.npy"), "-k", "2", "-o", str(tmp_path / "out.h5")],
        ["ensemble", "cluster", str(two), "-k", "3", "-o", str(tmp_path / "out.h5")],
        ["ensemble", "dimension", str(two)],
        ["ensemble", "cluster", str(two), "-k", "2", "-o", str(tmp_path / "fine.h5")],
    ]
    (tmp_path / "commands.json").write_text(json.dumps(commands))
    result = launch_mpi("commands.py", 4, tmp_path / "commands.json", timeout=120)
    codes = [line for line in result.output.splitlines() if line.startswith("CODES")]
    assert codes.count("CODES 2 2 2 2") == 8, result.output
    assert codes.count("CODES 0 0 0 0") == 2, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("sci: error")]
    assert len(errors) == 4, result.output
    for text, says in zip(
        errors, ("z is", "point 8 of the array holds NaN", "--clusters 3: ", "needs more than its 2")
    ):
        assert says in text
    assert sorted(p.suffix for p in tmp_path.glob("*.h5")) == [".h5"]
    assert load(tmp_path / "fine.h5").inertia == pytest.approx(0, abs=1e-18)
