"""Options from a TOML file: which win, what is refused, and what the command in the written file says."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from command_cases import run

from sci.cli.config import config_values, given_config, without_config
from sci.cli.parser import Parser, parse
from sci.errors import FileFormatError, InvalidValueError
from sci.io import load, read_header

TOML = """threads = 2
quiet = true

[potential]
tol = 1e-4
grid = 5
export = "dx"
forces = true

[operator.train]
modes = [4, 4]
epochs = 3
periodic = false
test = ["a.h5", "b.h5"]

[lattice]
repeats = [3, 3, 3]
vacancy = [[0, 1, 1, 1], [1, 1, 1, 1]]
"""


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    path = tmp_path / "job.toml"
    path.write_text(TOML)
    return path


def test_the_words_of_the_option() -> None:
    assert given_config(["potential", "--config", "a", "--config=b"]) == Path("b")
    assert given_config(["potential", "a"]) is None
    assert without_config(["x", "--config", "a", "y", "--config=b"]) == ["x", "y"]


def test_a_file_gives_options_and_the_command_line_wins(toml: Path) -> None:
    a = parse(["potential", "in.pqr", "-o", "out.h5", "--config", str(toml), "--tol", "1e-9"])
    assert (a.tol, a.grid, a.export, a.forces, a.threads, a.quiet, a.json) == (1e-9, [5], ("dx",), True, 2, True, False)
    words = ["operator", "train", "s.h5", "-o", "m.h5", "--config", str(toml), "--test", "c.h5"]
    a = parse(words)
    assert (a.modes, a.epochs, a.periodic, a.test) == ([4, 4], 3, False, [Path("c.h5")])
    assert parse(words[:-2]).test == [Path("a.h5"), Path("b.h5")]
    a = parse(["lattice", "c.cif", "--config", str(toml), "--vacancy", "0", "0", "0", "0"])
    assert (a.repeats, a.vacancy) == ([3, 3, 3], [[0, 0, 0, 0]])


def test_the_command_that_is_recorded_gives_the_same_arguments_without_the_file(toml: Path) -> None:
    for words in (
        ["potential", "in.pqr", "-o", "out.h5", "--config", str(toml), "--tol", "1e-9"],
        ["operator", "train", "s.h5", "-o", "m.h5", f"--config={toml}"],
        ["lattice", "c.cif", "--config", str(toml)],
    ):
        a = parse(words)
        b = parse(shlex.split(a.command)[1:])
        dropped = {"config", "configured"}
        assert {k: v for k, v in vars(a).items() if k not in dropped and k != "run"} == {
            k: v for k, v in vars(b).items() if k not in dropped and k != "run"
        }


def test_the_real_command_takes_a_file(pqr: Path, tmp_path: Path, toml: Path) -> None:
    out = tmp_path / "out.h5"
    command = [sys.executable, "-m", "sci", "potential", str(pqr), "-o", str(out), "--config", str(toml)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert load(out).tol == 1e-4
    assert (tmp_path / "out.dx").exists()
    assert "--tol 0.0001" in (read_header(out).command or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[potential]\ntolerance = 1", "unknown key 'tolerance' in table [potential]"),
        ("[potential]\npading = 1", "did you mean 'padding'?"),
        ("tol = 1", "unknown key 'tol' in the top, where options of all commands stand; expected it in [potential]"),
        ("[lattice]\nfoo = 1", "unknown key 'foo' in table [lattice]"),
        ("[potentials]\ntol = 1", "unknown table [potentials]; did you mean 'potential'?"),
        ("[operator]\nmodes = 1", "unknown table [operator]"),
        ("[potential]\ntol = 'small'", "tol = 'small': expected a positive number"),
        ("[potential]\ntol = true", "tol = True: expected a positive number"),
        ("[potential]\nmodel = 1.5", "model = 1.5: expected an integer"),
        ("[potential]\nforces = 1", "forces = 1: expected true or false"),
        ("[potential]\nunits = 'mV'", "units = 'mV': expected one of e/angstrom"),
        ("[potential]\nexport = 'plt'", "export = 'plt': unknown format 'plt'"),
        ("[potential]\ngrid = []", "grid = []: expected a list of one or more items"),
        ("[potential]\nconfig = 'a.toml'", "unknown key 'config'"),
        ("[lattice]\nrepeats = 3", "unknown key"),
    ],
)
def test_a_bad_file_is_refused_with_file_and_key(text: str, said: str, tmp_path: Path, capsys) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    command = "lattice a.cif" if "repeats" in text else "potential a.pqr -o b.h5"
    said = "repeats = 3: expected a list" if "repeats" in text else said
    assert run(*command.split(), "--config", path) == 2
    err = capsys.readouterr().err
    assert f"{path}: {said}" in err or (said.startswith("did you") and said in err)
    assert len(err.splitlines()) == 1


def test_what_is_no_toml_is_refused(tmp_path: Path) -> None:
    words = ["potential", "a.pqr", "-o", "b.h5", "--config"]
    with pytest.raises(FileFormatError, match="cannot be read"):
        parse([*words, str(tmp_path / "none.toml")])
    (tmp_path / "bad.toml").write_text("a = = 1")
    with pytest.raises(FileFormatError, match="this is no TOML"):
        parse([*words, str(tmp_path / "bad.toml")])
    (tmp_path / "list.toml").write_text("[lattice]\nvacancy = [[0, 1]]")
    with pytest.raises(InvalidValueError, match="a list of 4 items"):
        parse(["lattice", "a.cif", "--repeats", "3", "3", "3", "--config", str(tmp_path / "list.toml")])


def test_what_is_no_small_file_is_refused(tmp_path):
    """A pipe would be waited for, and a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.toml").write_bytes(b"#" * 1_000_001)
    for name, message in (
        (tmp_path / "pipe", "no regular file"),
        (Path("/dev/zero"), "no regular file"),
        (tmp_path / "large.toml", "more than 1000000 bytes"),
    ):
        with pytest.raises(FileFormatError, match=message):
            config_values(name, Parser(prog="sci info"), dict)
