"""What the common options set: threads, silence, the device."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys

import pytest
from command_cases import run

from sci.cli.common import add_checkpoints, chosen_namespace, load_as, settings_of
from sci.errors import FileFormatError, InvalidValueError
from sci.io import describe, save
from sci.options import get
from sci.potentials import Particles
from sci.tensor import CP


def test_threads_reach_blas_and_the_kernels() -> None:
    probe = (
        "import os, sys\n"
        "from sci.cli.common import settings_of\n"
        "from sci.cli.parser import parse\n"
        "with settings_of(parse(['doctor', '--json'] if len(sys.argv) < 2 else sys.argv[1:])):\n"
        "    from sci.options import get\n"
        "    print(os.environ.get('OPENBLAS_NUM_THREADS'), get('threads'), 'numpy' in sys.modules)\n"
    )
    words = ["lattice", "a.cif", "--repeats", "3", "3", "3", "--threads", "3"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "SCI_THREADS": "2"}
    for more, said in ((words, "3 3 False\n"), ([], "1 2 False\n")):
        done = subprocess.run([sys.executable, "-c", probe, *more], capture_output=True, text=True, env=environment)
        assert done.stdout == said, done.stderr


def test_settings_hold_inside_the_block() -> None:
    before = dict(os.environ)
    with settings_of(argparse.Namespace(threads=5, quiet=True)):
        assert get("threads") == 5
        assert get("progress") == "off"
    assert get("threads") != 5
    assert dict(os.environ) == before, "NumPy is loaded: its threads are set"


def test_no_threads_are_refused(capsys) -> None:
    assert run("lattice", "a.cif", "--repeats", 3, 3, 3, "--threads", 0) == 2
    assert "--threads: '0': expected an integer from 1 to 4096" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["trajectory", "lattice", "operator train", "operator generate"])
def test_commands_of_the_cpu_refuse_a_device(command, tmp_path, capsys) -> None:
    words = {"lattice": ["a.cif", "--repeats", 3, 3, 3], "operator generate": ["darcy"]}.get(command, ["a.xyz"])
    assert run(*command.split(), *words, "-o", tmp_path / "o.h5", "--device", "cuda") == 2
    assert "computes on the CPU; leave --device out" in capsys.readouterr().err


def test_auto_takes_the_cpu_where_there_is_no_device() -> None:
    for on_device in (True, False):
        assert chosen_namespace(argparse.Namespace(device="auto"), on_device=on_device).__name__ in ("numpy", "cupy")
    with pytest.raises(InvalidValueError, match="on the CPU"):
        chosen_namespace(argparse.Namespace(device="cuda"), on_device=False)


def test_quiet_prints_nothing_and_json_is_still_json(pqr, tmp_path, capsys) -> None:
    out = tmp_path / "a.h5"
    assert run("potential", pqr, "-o", out, "--quiet", "--grid", 4) == 0
    for words in (["info", out], ["export", out, "--to", "dx"], ["join", out, "-o", tmp_path / "b.h5"], ["doctor"]):
        assert run(*words, "--quiet") == 0
        assert capsys.readouterr() == ("", "")
    assert run("info", out, "--quiet", "--json") == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "potential"


def test_the_file_tells_every_argument(pqr, tmp_path) -> None:
    assert run("potential", pqr, "-o", tmp_path / "a.h5", "--quiet", "--grid", 4) == 0
    arguments = describe(tmp_path / "a.h5")["arguments"]
    assert (arguments["tol"], arguments["grid"], arguments["expected-targets"]) == (1e-6, [4], None)
    assert arguments["input"] == str(pqr)
    assert {"run", "command", "json"}.isdisjoint(arguments)


def test_a_file_that_holds_something_else_is_refused(tmp_path) -> None:
    path = tmp_path / "a.h5"
    save(path, Particles([[0.0, 1.0, 2.0]], [-2.0]))
    assert load_as(path, Particles, "particles").n == 1
    with pytest.raises(FileFormatError, match=r"a\.h5: holds a Particles; expected a decomposition$"):
        load_as(path, CP, "a decomposition")


def test_checkpoints_are_hdf5_files(capsys) -> None:
    parser = argparse.ArgumentParser()
    add_checkpoints(parser)
    found = parser.parse_args(["--checkpoint", "c.h5", "--resume", "old.h5"])
    assert (found.checkpoint.name, found.resume.name) == ("c.h5", "old.h5")
    with pytest.raises(SystemExit):
        parser.parse_args(["--checkpoint", "c.npz"])
    assert "c.npz" in capsys.readouterr().err
