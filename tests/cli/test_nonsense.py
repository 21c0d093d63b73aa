"""Every option of every command with values that make no sense: exit 2 and one line of ours, within seconds.

The cases follow from the table of parsers, so that a new option is tested with no line here; what a new option does
take of the values below stands in `TAKEN`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_cases import SMALL, run
from transnormer_checkpoints import tensors_of, write

from sci.atomistic import AtomisticConfig, AtomisticPotential, Configuration
from sci.cli.parser import _leaves
from sci.cli.values import Number, csv_name, file_name, hdf5_name
from sci.compression import MultiScaleVQ
from sci.datasets import dataset_path
from sci.generative import (
    CrystalConfig,
    CrystalDiffusion,
    Crystals,
    NextScaleConfig,
    NextScaleModel,
    crystal,
    ionic_crystals,
)
from sci.io import PoissonProblem, compress_file, save, save_samples, write_configurations, write_crystals
from sci.nn import Segmenter, UNet, UNetConfig, WeightDelta, WeightDeltas, fingerprint
from sci.operators import FNO, TrainedOperator
from sci.scaling import fit_power_law
from sci.solvers import PoissonOperator

SECONDS, ADDRESSES = 20, 8 * 2**30
NUMBERS = ("-1", "0", str(10**30), "1e30", "nan", "inf", "-inf", "", "abc", "1e400", "9223372036854775807")
INPUTS = ("", "folder", "none.h5", "none/a.h5", "pipe", "/dev/null", "/dev/zero", "junk", "empty", "x" * 300)
OUTPUTS = ("", "folder", "none/a.h5", "pipe", "/dev/null", "x" * 300)
TEXTS = ("", "abc", "=", ":::", "::0", "1" * 400, "\x1b[31m")
CHOICES = ("", "abc", "0", "nan")

ION = "2\nProperties=species:S:1:pos:R:3:charge:R:1\nA 0 0 0 1\nB 0 0 2 -1\n"
SHORT = ["--time", "0.01", "--time-step", "0.01"]
NACL = str(dataset_path("nacl"))
SMALLEST = ["--modes", "2", "--epochs", "2", "--hidden", "4", "--layers", "1"]
COMMANDS: dict[str, list[str]] = {
    "potential": ["small.pqr", "-o", "out.h5", "--grid", "4", "--tol", "1e-3"],
    "trajectory": ["ions.xyz", "-o", "out.h5"],
    "lattice": [NACL, "--repeats", "3", "3", "3", "-o", "out.h5", "--grid", "4", "--tol", "1e-3"],
    "operator train": ["s.h5", "-o", "out.h5", *SMALLEST],
    "operator sweep": ["s.h5", "-o", "out.csv", "--test", "s.h5", *SMALLEST],
    "operator generate": ["navier-stokes", "-o", "out.h5", "--samples", "1", "--grid", "8", *SHORT],
    "operator adapt": ["m.h5", "s.h5", "-o", "out.h5", "--rank", "1", "--epochs", "2"],
    "operator merge": ["m.h5", "d.h5", "-o", "out.h5"],
    "operator predict": ["m.h5", "s.h5", "-o", "out.h5"],
    "operator import": ["state.npz", "-o", "out.h5", "--assume-defaults"],
    "atoms train": ["d.extxyz", "-o", "out.h5", "--epochs", "1", "--channels", "2", "--layers", "1", "--cutoff", "3"],
    "atoms evaluate": ["potential.h5", "d.extxyz", "-o", "out.h5"],
    "compress": ["flow.npy", "-o", "out.h5", "--tol", "1e-2"],
    "decompress": ["packed.h5", "-o", "out.npy"],
    "crystals train": [
        "salts.extxyz",
        "-o",
        "out.h5",
        "--widths",
        "4",
        "--depth",
        "1",
        "--steps",
        "4",
        "--epochs",
        "1",
    ],
    "crystals generate": ["crystals.h5", "-o", "out.h5", "--composition", "NaCl", "--steps", "2"],
    "crystals evaluate": ["salts.extxyz"],
    "fields train": [
        *("s.h5", "-o", "out.h5", "--codebook", "book.h5", "--codes", "2", "--patch", "4", "--rounds", "1"),
        *("--width", "4", "--heads", "1", "--layers", "1", "--epochs", "1"),
    ],
    "fields generate": ["scales.h5", "s.h5", "-o", "out.h5", "--codebook", "codes.h5"],
    "segment train": ["cells.h5", "-o", "out.h5", "--channels", "2", "2", "--epochs", "2", "--norm", "group"],
    "segment predict": ["s.h5", "-o", "out.h5", "--model", "segmenter.h5", "--sample", "1"],
    "solve run": ["p.h5", "-o", "out.h5"],
    "solve energy": ["pb", "small.pqr", "-o", "out.h5", "--cells", "12", "--padding", "5"],
    "spectrum": ["p.h5", "-o", "out.h5", "--probes", "2", "--steps", "4"],
    "solve train": ["-o", "out.h5", "--sizes", "8", "--steps", "1"],
    "ensemble dimension": ["s.h5", "--neighbors", "3"],
    "ensemble cluster": ["ions.xyz", "-k", "1", "-o", "out.h5"],
    "ensemble select": ["ions.xyz", "--fraction", "0.5", "-o", "out.h5"],
    "ensemble distance": ["s.h5", "s.h5"],
    "complete": ["entries.csv", "-o", "out.h5", "--axes", "x", "y", "--restarts", "1", "--maxiter", "1"],
    "scaling fit": ["runs.csv", "-o", "out.h5"],
    "scaling predict": ["law.h5", "--at", "1e9"],
    "scaling plan": ["--budget-flops", "1e7", "--memory", "80MB", "--grid", "8", "--modes", "2", "--layers", "1"],
    "sequence bench": ["--length", "16", "--heads", "2", "--head-dim", "4", "--repeats", "1"],
    "sequence import": ["lm", "-o", "out.h5"],
    "info": ["grid.h5"],
    "report": ["grid.h5", "-o", "out.html"],
    "export": ["grid.h5", "--to", "dx", "-o", "out"],
    "join": ["grid.h5", "-o", "out.h5"],
    "dataset": ["ubiquitin", "-o", "out.pqr"],
    "doctor": [],
    "completion": ["bash"],
}
"""The words of each command that work."""

_HUGE = ("1e30", str(10**30), "9223372036854775807")
TAKEN: dict[tuple[str, str], tuple[str, ...]] = {
    **{(name, "--temperature"): _HUGE for name in ("potential", "lattice", "export")},
    **{(name, "--kappa"): _HUGE for name in ("potential", "trajectory")},
    **{(name, "--seed"): ("0", _HUGE[2]) for name in COMMANDS},
    **{(name, "--config"): ("empty",) for name in COMMANDS},
    ("complete", "--components"): ("0",),
    ("compress", "--tol"): _HUGE,
    **{("atoms train", f"--{name}"): ("0",) for name in ("degree", "message-degree", "energy-weight", "force-weight")},
    ("atoms train", "--stress-weight"): ("0",),
    ("atoms train", "--horizon"): _HUGE,
    ("crystals train", "--cell-weight"): ("0",),
    ("crystals generate", "--eta"): ("0",),
    ("fields train", "--codebook"): ("none.h5",),  # is made
    ("fields train", "--drop"): ("0",),
    ("fields generate", "--guidance"): ("0",),
    ("fields generate", "--temperature"): _HUGE,
    ("lattice", "--vacancy"): ("0",),
    ("segment predict", "--sample"): ("0",),
    ("solve energy", "--ion-radius"): ("0",),
    ("lattice", "--interstitial"): ("-1",),
    ("operator adapt", "--name"): ("abc", "=", ":::", "::0", "1" * 400),
    ("operator train", "--padding"): ("0",),
    ("operator train", "--weight-decay"): ("0",),
    ("operator train", "--horizon"): _HUGE,
    ("operator sweep", "--padding"): ("0",),
    ("operator sweep", "--weight-decay"): ("0",),
    ("operator sweep", "--horizon"): _HUGE,
    ("operator generate", "--viscosity"): _HUGE,
    ("operator generate", "--time-step"): _HUGE,  # the longest step
    ("operator import", "--padding"): ("0",),
    ("scaling plan", "--budget-flops"): _HUGE,
    ("scaling predict", "--at"): _HUGE,
    ("scaling predict", "--factor"): _HUGE,
    ("export", "-o"): ("folder",),  # its suffix is replaced
}
"""What an option does take of the values."""


def _values(action: argparse.Action) -> tuple[str, ...]:
    output = "--output" in action.option_strings or action.dest in ("checkpoint", "plot")
    if action.choices is not None:
        return CHOICES
    output |= action.dest == "frames" and action.type is file_name
    if action.type in (csv_name, file_name, hdf5_name):
        return OUTPUTS if output else INPUTS
    return NUMBERS if isinstance(action.type, Number) else TEXTS


def _name(action: argparse.Action) -> str:
    return action.option_strings[0] if action.option_strings else action.dest


def _actions() -> Iterator[tuple[str, argparse.ArgumentParser, argparse.Action]]:
    for name, parser in _leaves().items():
        for action in parser._actions:
            if action.nargs != 0 and action.dest != "help":
                yield name, parser, action


def _words(name: str, parser: argparse.ArgumentParser, action: argparse.Action, value: str) -> list[str]:
    """Return the words of the command with another value of one option."""
    words, count = list(COMMANDS[name]), action.nargs if isinstance(action.nargs, int) else 1
    if not action.option_strings:
        words[[a for a in parser._actions if not a.option_strings].index(action)] = value
        return words
    for given in action.option_strings:
        if given in words:
            place = words.index(given)
            del words[place : place + 1 + count]
    option = action.option_strings[-1]
    return [*words, f"{option}={value}"] if count == 1 else [*words, option, *[value] * count]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with small inputs of every command."""
    path = tmp_path_factory.mktemp("nonsense")
    rng = np.random.default_rng(0)
    (path / "small.pqr").write_text(SMALL)
    (path / "ions.xyz").write_text(2 * ION)
    (path / "junk").write_bytes(rng.bytes(3000))
    (path / "empty").touch()
    (path / "folder").mkdir()
    (path / "lm").mkdir()
    write(path / "lm", tensors_of(np.float32))
    os.mkfifo(path / "pipe")
    save_samples(path / "s.h5", *rng.normal(size=(2, 4, 8, 8)).astype("f4"), grid_axes=2, periodic=True)
    np.save(path / "flow.npy", rng.normal(size=(4, 8, 8)))
    compress_file(path / "flow.npy", path / "packed.h5", 0.1)
    cells = rng.normal(size=(4, 8, 8)).astype("f4")
    save_samples(path / "cells.h5", cells, (cells > 0).astype("f4"), grid_axes=2)
    operator = TrainedOperator(FNO((2, 2), 1, 1, 4, 1))
    save(path / "m.h5", operator)
    pair = Configuration(("Na", "Cl"), [[0.0, 0, 0], [2.4, 0, 0]], energy=-4.0, forces=np.ones((2, 3)))
    write_configurations(path / "d.extxyz", [pair])
    save(path / "potential.h5", AtomisticPotential(AtomisticConfig(["Na", "Cl"], channels=2, layers=1)))
    salts = ionic_crystals().configurations
    write_crystals(path / "salts.extxyz", Crystals([one for one in salts if set(one.species) == {"Na", "Cl"}]))
    pair = Crystals([crystal([11, 17], [[0, 0, 0], [0.5] * 3], 3 * np.eye(3))])
    save(
        path / "crystals.h5",
        CrystalDiffusion.create(pair, CrystalConfig(widths=[4], depth=1, steps=4, predicts="residual")),
    )
    book = MultiScaleVQ(rng.normal(size=(2, 4)).astype("f4"), [(1, 1), (2, 2), (4, 4)], patch=(2, 2))
    save(path / "codes.h5", book)
    sizes = {"width": 4, "heads": 1, "layers": 1, "context": 1}
    save(path / "scales.h5", NextScaleModel.create(NextScaleConfig.of(book, **sizes)))
    save(path / "segmenter.h5", Segmenter(UNet(UNetConfig(2, 1, 2, (2, 2)))))
    save(path / "d.h5", WeightDeltas({"a": WeightDelta(fingerprint(operator.to_state().parameters), {})}))
    x = np.geomspace(1, 1e4, 6)
    (path / "entries.csv").write_text("x,y,v\n" + "".join(f"{k % 5},{k % 4},{k % 7}\n" for k in range(20)))
    (path / "runs.csv").write_text("x,loss\n" + "".join(f"{a},{1 + a**-0.5}\n" for a in x))
    save(path / "law.h5", fit_power_law(x, 1 + x**-0.5, samples=20))
    A = PoissonOperator(np.ones((8, 8), dtype=bool))
    save(path / "p.h5", PoissonProblem(A, A.project(rng.normal(size=(8, 8)))))
    shutil.copy(Path(__file__).parents[1] / "data" / "neuraloperator_fno.npz", path / "state.npz")
    assert run("potential", path / "small.pqr", "-o", path / "grid.h5", "--grid", 4, "--tol", 1e-3, "--quiet") == 0
    return path


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """End a command that takes too long, and refuse it more addresses than it may need."""

    def late(*_: Any) -> None:
        raise AssertionError(f"not done after {SECONDS} seconds")

    before, limits = signal.signal(signal.SIGALRM, late), resource.getrlimit(resource.RLIMIT_AS)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, limits[1]))
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def _outcome(words: list[str], folder: Path) -> tuple[int, str]:
    """Run a command in the folder, leave nothing behind, and return its exit code and what it says."""
    kept, said = set(os.listdir(folder)), io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()), _bounded():
        code = run(*words)
    for path in folder.iterdir():
        if path.name not in kept:
            path.unlink()
    return code, said.getvalue()


def test_every_command_has_words_that_work() -> None:
    assert set(COMMANDS) == set(_leaves())


def test_every_option_says_what_it_takes() -> None:
    """`int`, `float` and `Path` take negative sizes, NaN and no name at all."""
    for name, _, action in _actions():
        assert action.type not in (int, float, complex, Path, str), f"{name} {_name(action)}"


@pytest.mark.parametrize(("name", "option"), [(name, _name(action)) for name, _, action in _actions()])
def test_a_value_without_sense_is_refused(name: str, option: str, folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    parser = _leaves()[name]
    action = next(a for a in parser._actions if _name(a) == option)
    for value in _values(action):
        words = [*name.split(), *_words(name, parser, action, value)]
        code, said = _outcome(words, folder)
        if value in TAKEN.get((name, option), ()):
            assert code == 0, (words, said)
            continue
        assert (code, said.count("sci: error: "), "bug" in said) == (2, 1, False), (words, said)
        assert len(said) < 1000
        assert "\x1b" not in said


@pytest.mark.parametrize(
    "words",
    [
        ("potential", "small.pqr", "-o", "out.h5", "--tol", "nan"),
        ("potential", "small.pqr", "-o", "out.h5", "--padding", "1e30"),
        ("operator", "train", "s.h5", "-o", "out.h5", "--threads", str(10**30)),
        ("solve", "run", "p.h5", "-o", "out.h5", "--rtol", "1e-17"),
        ("info", "pipe"),
    ],
)
def test_the_command_of_a_shell_refuses_it_too(words: tuple[str, ...], folder: Path) -> None:
    command = [sys.executable, "-m", "sci", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert not (folder / "out.h5").exists()
