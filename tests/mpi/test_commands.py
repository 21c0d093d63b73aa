"""The command `sci` under mpirun: its files are those of one process, and it speaks once."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from command_cases import SMALL
from launcher import MpiResult, is_open_mpi, start, wait_for

from sci.atomistic import AtomisticConfig, AtomisticPotential, ionic_melt
from sci.cli import main
from sci.datasets import dataset_path
from sci.generative import Crystals, ionic_crystals
from sci.io import PoissonProblem, compress_file, save, save_samples, write_configurations, write_crystals
from sci.nn import Segmenter, UNet, UNetConfig
from sci.problems import right_hand_side, sphere_and_blob
from sci.solvers import PoissonOperator

pytestmark = pytest.mark.mpi

XYZ = "".join(
    f"3\nProperties=species:S:1:pos:R:3:charge:R:1\nO 0 0 {z} -0.8\nH 0.9 0 {z} 0.4\nH -0.3 0.8 {2 * z} 0.4\n"
    for z in (0.1, 0.3, 0.5, 0.7, 0.9)
)
CIF = dataset_path("nacl")
IONS = {"Na": 1.0, "Cl": -1.0}

ROUNDING = 1e-12
"""BLAS may add in another order where a matrix has other rows."""

SINGLE = {"x": 1e-10, "residual_norms": 1e-7}
"""A cycle in single precision rounds otherwise on ranks, and the residual of an iteration shows it."""

SPECTRAL = {
    **dict.fromkeys(("nodes", "weights", "smallest", "largest", "log_determinant_value"), 1e-9),
    **dict.fromkeys(("log_determinant_standard_error", "log_determinant_truncation"), 1e-6),
    **dict.fromkeys(("smallest_error", "largest_error"), 10.0),
}
CYCLIC = {name: max(1e-4, tolerance) for name, tolerance in SPECTRAL.items()} | {"log_determinant_truncation": 10.0}
"""Of the numbers of a spectrum, and of one preconditioned in single precision; bounds of errors may differ more."""


def _of_a_unet(name: str) -> float:
    """Return the tolerance of a dataset: biases before a norm have no slope but rounding, of which Adam makes steps."""
    return 10.0 if name.endswith((".conv1.bias", ".conv2.bias")) else 1e-4


DIFFUSION = [
    *("crystals", "train", "salts.extxyz", "--epochs", "2", "--batch", "4", "--widths", "8", "--depth", "1"),
    *("--steps", "10"),
]

COMMANDS: dict[str, tuple[list[str], Any]] = {
    "potential": (["potential", "small.pqr", "--grid", "9", "--forces", "--export", "dx,cube"], ROUNDING),
    "trajectory": (["trajectory", "water.xyz"], 0.0),
    "lattice": (["lattice", "nacl.cif", "--repeats", "3", "4", "5", "--grid", "9"], 0.0),
    "solution": (["solve", "run", "problem.h5", "--method", "learned"], SINGLE),
    "multigrid": (["solve", "run", "problem.h5", "--method", "multigrid"], SINGLE),
    "plain": (["solve", "run", "problem.h5", "--method", "cg"], 1e-11),
    "serial": (["solve", "run", "problem.h5", "--method", "mic"], 0.0),
    "spectrum": (["spectrum", "problem.h5", "--probes", "3", "--steps", "9"], SPECTRAL),
    "cycles": (
        ["spectrum", "problem.h5", "--probes", "3", "--steps", "5", "--preconditioner", "multigrid"],
        CYCLIC,
    ),
    "cycle": (["solve", "train", "--sizes", "8", "--steps", "1"], 0.0),
    "darcy": (["operator", "generate", "darcy", "--samples", "5", "--grid", "8"], 0.0),
    "flow": (["operator", "generate", "navier-stokes", "--samples", "3", "--grid", "8", "--time", "0.01"], 0.0),
    "model": (
        [
            *("operator", "train", "samples.h5", "--test", "samples.h5", "--modes", "4", "--hidden", "4"),
            *("--layers", "1", "--epochs", "2", "--batch", "4", "--checkpoint", "{out}/checkpoint.h5"),
        ],
        1e-4,
    ),
    "segmenter": (
        [
            *("segment", "train", "cells.h5", "--test", "cells.h5", "--channels", "2", "4", "--epochs", "2"),
            *("--batch", "4", "--checkpoint", "{out}/stopped.h5"),
        ],
        _of_a_unet,
    ),
    "labels": (["segment", "predict", "samples.h5", "--model", "segmenter.h5", "--box", "4", "--sample", "3"], 0.0),
    "prediction": (["operator", "predict", "model.h5", "samples.h5", "--batch", "2"], 0.0),
    "joined": (["join", "potential.h5"], 0.0),
    "packed": (["compress", "flow.h5", "--tol", "1e-3", "--chunk", "2"], 0.0),
    "unpacked": (["decompress", "packed.h5"], 0.0),
    "salt": (
        [
            *("atoms", "train", "melt.extxyz", "--test", "melt.extxyz", "--cutoff", "3.5"),
            *("--charges", "learned", "Na=1", "Cl=-1"),
            *("--channels", "2", "--epochs", "2", "--batch", "4", "--checkpoint", "{out}/salt_run.h5"),
        ],
        1e-6,
    ),
    "energies": (["atoms", "evaluate", "ions.h5", "melt.extxyz"], 1e-9),
    "diffusion": ([*DIFFUSION, "--checkpoint", "{out}/diffusion_run.h5"], 1e-4),
    "drawn": (["crystals", "generate", "denoiser.h5", "--number", "3", "--steps", "3"], 1e-6),
}
"""Arguments without -o, and how far the numbers of ranks may be from those of one process, relative to the largest."""

if find_spec("gemmi") is None:
    del COMMANDS["lattice"]  # reads a CIF


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with small inputs, and in `one` the files of one process."""
    here = tmp_path_factory.mktemp("commands")
    (here / "small.pqr").write_text(SMALL)
    (here / "water.xyz").write_text(XYZ)
    shutil.copy(CIF, here / "nacl.cif")
    mask = sphere_and_blob(16)
    save(here / "problem.h5", PoissonProblem(PoissonOperator(mask), right_hand_side(mask)))
    x = np.random.default_rng(0).normal(size=(9, 8, 8)).astype(np.float32)
    save_samples(here / "samples.h5", x, 2 * x, grid_axes=2, periodic=True)
    save_samples(here / "cells.h5", x[:8], (x[:8] > 0).astype(np.float32), grid_axes=2)
    waves = np.sin(np.arange(9.0 * 32 * 32)).reshape(9, 32, 32)
    save_samples(here / "flow.h5", waves, waves.astype(np.float32), grid_axes=2)
    compress_file(here / "flow.h5", here / "packed.h5", 1e-3, chunk=2)
    write_configurations(here / "melt.extxyz", ionic_melt(4, 3, between=2, start=2))
    write_crystals(here / "salts.extxyz", Crystals(list(ionic_crystals())[:6]))
    train = [str(here / word) if word == "salts.extxyz" else word for word in DIFFUSION]
    assert main([*train, "-o", str(here / "denoiser.h5")]) == 0
    save(here / "ions.h5", AtomisticPotential(AtomisticConfig(["Na", "Cl"], cutoff=3.5, channels=2, charges=IONS)))
    save(here / "segmenter.h5", Segmenter(UNet(UNetConfig(2, 1, 5, (4, 4)), seed=2)))
    words = _words(here, "one", ["model"])[0]
    (here / "one").mkdir()
    assert main(words) == 0
    (here / "one" / "model.h5").rename(here / "model.h5")
    (here / "one" / "checkpoint.h5").unlink()
    assert main(["potential", str(here / "small.pqr"), "-o", str(here / "potential.h5"), "--grid", "5"]) == 0
    for command in _words(here, "one", COMMANDS):
        assert main(command) == 0, command
    return here


def _words(here: Path, out: str, names: Any) -> list[list[str]]:
    """Return command lines with paths in `here`, whose outputs go to the folder `out` in it."""
    found = []
    for name in names:
        words, _ = COMMANDS[name]
        paths = [str(here / w) if (here / w).is_file() or w == "model.h5" else w for w in words]
        found.append([*(w.format(out=here / out) for w in paths), "-o", str(here / out / f"{name}.h5")])
    return found


def _contents(path: Path) -> dict[str, Any]:
    """Return attributes and datasets of a file, without references and what tells of the run: names, times, sums."""
    found: dict[str, Any] = {}
    told = (
        "command",
        "options",
        "uuid",
        "parent_uuid",
        "created",
        "crc32",
        "about",
        "compression",
        "DIMENSION_LIST",
        "REFERENCE_LIST",
    )

    def note(name: str, item: Any) -> None:
        if "seconds" in name:
            return
        found.update({f"{name}@{key}": value for key, value in item.attrs.items() if key not in told})
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with h5py.File(path) as file:
        note("/", file)
        file.visititems(note)
    return found


def _compare(one: Path, other: Path, tolerance: Any) -> None:
    expected, found = _contents(one), _contents(other)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        allowed = tolerance.get(name, 0.0) if isinstance(tolerance, dict) else tolerance
        allowed = allowed(name) if callable(allowed) else allowed
        assert np.asarray(found[name]).dtype == np.asarray(value).dtype, name
        if allowed == 0.0 or np.asarray(value).dtype.kind not in "fc":
            np.testing.assert_array_equal(found[name], value, err_msg=f"{one.name}: {name}")
        else:
            error, size = np.abs(found[name] - value).max(), np.abs(value).max()
            assert error <= allowed * size, (one.name, name, error, size)


@pytest.mark.parametrize("n_ranks", [2, 4])
def test_ranks_make_the_files_of_one_process(launch_mpi: Callable[..., MpiResult], folder: Path, n_ranks: int) -> None:
    out = folder / f"ranks{n_ranks}"
    out.mkdir()
    listed = folder / "commands.json"
    commands = [*_words(folder, out.name, COMMANDS), ["info", str(folder / "model.h5"), "--json"]]
    listed.write_text(json.dumps(commands))
    result = launch_mpi("commands.py", n_ranks, listed, timeout=120)
    assert result.output.count("CODES " + " ".join(["0"] * n_ranks)) == 2 * len(commands), result.output
    assert sorted(p.name for p in out.iterdir()) == sorted(p.name for p in (folder / "one").iterdir())
    for name, (_, tolerance) in COMMANDS.items():
        _compare(folder / "one" / f"{name}.h5", out / f"{name}.h5", tolerance)
    for suffix in ("dx", "cube"):
        assert (out / f"potential.{suffix}").read_text() == (folder / "one" / f"potential.{suffix}").read_text()
    assert result.output.count("Tucker ranks") == 1
    note = f"note: this command is not parallel: of {n_ranks} ranks the first runs it, as without mpirun"
    assert result.output.count(note) == 5


def _dry_run(n_ranks: int, words: list[str]) -> str:
    """Return what the real command prints under mpirun."""
    with start(n_ranks, "-m", "sci", *words, "--dry-run") as job:
        said, _ = job.communicate(timeout=120)
    assert job.returncode == 0, said
    return str(said)


def test_a_dry_run_on_ranks_speaks_once_and_adds_their_memory(
    launch_mpi: Callable[..., MpiResult], tmp_path: Path
) -> None:
    n_ranks, out = 3, tmp_path / "out.h5"
    (tmp_path / "small.pqr").write_text(SMALL)
    (tmp_path / "water.xyz").write_text(XYZ)
    commands = [
        ["potential", str(tmp_path / "small.pqr"), "--grid", "9", "--tol", "1e-3", "-o", str(out)],
        ["trajectory", str(tmp_path / "water.xyz"), "-o", str(out)],
        ["operator", "generate", "darcy", "--samples", "8", "--grid", "8", "-o", str(out)],
    ]
    (tmp_path / "commands.json").write_text(json.dumps([[*words, "--dry-run", "--json"] for words in commands]))
    said = launch_mpi("commands.py", n_ranks, tmp_path / "commands.json").output
    found = [json.loads(part) for part in re.findall(r"^\{.*?^\}|^\{.*\}$", said, re.MULTILINE | re.DOTALL)]
    assert len(found) == len(commands), said
    for told in found:
        assert (told["processes"], told["processes_on_node"], told["fits"]) == (n_ranks, n_ranks, True)
        assert told["memory_bytes_total"] == pytest.approx(n_ranks * told["memory_bytes"])
        assert told["memory_bytes"] > 1e8
    table = _dry_run(n_ranks, commands[-1])
    assert table.count("memory ") == table.count("dry run") == 1
    assert f"in each of {n_ranks} processes, " in table
    assert not out.exists()


def test_a_command_that_fails_ends_on_all_ranks_with_one_message(
    launch_mpi: Callable[..., MpiResult], tmp_path: Path
) -> None:
    result = launch_mpi("broken_commands.py", 3, tmp_path, timeout=120)
    told = dict(line.split(" ", 1) for line in result.output.splitlines() if " left [" in line)
    assert told == {
        # The exit codes of all ranks, and the files that the command leaves.
        **dict.fromkeys(("usage", "missing", "damaged", "exists", "option"), "2 2 2 left []"),
        **dict.fromkeys(("memory", "disk", "other"), "1 1 1 left []"),
        "picture": "1 1 1 left ['out.h5']",
        "fine": "0 0 0 left ['out.h5']",
    }, result.output
    errors = [line for line in result.output.splitlines() if line.startswith("sci: ")]
    assert len(errors) == len(told) - 1, result.output
    assert errors[5].startswith("sci: error: rank 2: out of memory (Unable to allocate 9 TiB); make the job smaller")
    assert "out.h5: the disk is full" in errors[6]
    assert "OSError: [Errno 28]" in errors[7]
    assert errors[8].startswith("sci: error: rank 1: ZeroDivisionError")
    assert "Traceback" not in result.output


@pytest.mark.parametrize(("sent", "code", "says"), [(signal.SIGINT, 130, 1), (signal.SIGTERM, 143, 0)])
def test_an_interrupt_ends_all_ranks_and_leaves_nothing(
    tmp_path: Path, sent: signal.Signals, code: int, says: int
) -> None:
    words = ["potential", dataset_path("ubiquitin"), "-o", tmp_path / "out.h5", "--tol", "1e-10", "--grid", "400"]
    with start(2, "-m", "sci", *words) as process:
        wait_for(lambda: any(tmp_path.iterdir()))  # the lock of the output
        process.send_signal(sent)
        output, _ = process.communicate(timeout=20)
    assert process.returncode == (1 if is_open_mpi() else code), output
    assert output.count("sci: error: interrupted") == (0 if is_open_mpi() else says), output  # which sends SIGTERM
    assert "Traceback" not in output
    assert list(tmp_path.iterdir()) == []
