"""Completion in real shells: what a key press makes of words."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sci.cli.commands.completion import places, script
from sci.cli.parser import COMMANDS, build_parser

START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
}
LOAD = {
    "bash": "source {0}; echo REA''DY\n",
    "zsh": "autoload -U compinit; compinit -u -D; source {0}; echo REA''DY\n",
}
PRESSED = [
    ("sci pote", "sci potential"),
    ("sci operator tr", "sci operator train"),
    ("sci solve run a.h5 --meth", "--method"),
    ("sci solve run a.h5 --method mu", "--method multigrid"),
    ("sci lattice a.cif --weights ev", "--weights evjen"),
    ("sci info prot", "sci info protein.h5"),
    ("sci potential a.pqr -o prot", "-o protein.h5"),
    ("sci operator generate nav", "navier-stokes"),
]


def _need(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")


def _read_until(terminal: int, text: str, seconds: float = 20.0) -> str:
    said, end = "", time.monotonic() + seconds
    while text not in said and time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            said += os.read(terminal, 65536).decode(errors="replace").replace("\a", "")
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "protein.h5").touch()
    for shell in (*START, "fish"):
        command = [sys.executable, "-m", "sci", "completion", shell]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        assert text == script(shell)
        (tmp_path / f"sci.{shell}").write_text(text)
    return tmp_path


@pytest.mark.parametrize("shell", START)
def test_a_key_press_completes_words(shell: str, folder: Path) -> None:
    _need(shell)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.environ.update(TERM="dumb", PS1="> ", HOME=str(folder))
        os.execvp(START[shell][0], START[shell])
    try:
        os.write(terminal, LOAD[shell].format(f"./sci.{shell}").encode())
        assert "READY" in _read_until(terminal, "READY")
        for typed, completed in PRESSED:
            os.write(terminal, f"{typed}\t".encode())
            rest = completed.rpartition(" ")[2]
            assert rest in _read_until(terminal, rest), (typed, completed)
            os.write(terminal, b"\x15")  # forget the line
    finally:
        os.close(terminal)
        os.kill(pid, 9)
        os.waitpid(pid, 0)


def test_fish_completes_words(folder: Path) -> None:
    _need("fish")
    for typed, completed in PRESSED:
        command = f"source sci.fish; complete -C '{typed}'"
        done = subprocess.run(["fish", "--no-config", "-c", command], capture_output=True, text=True, cwd=folder)
        words = [line.partition("\t")[0] for line in done.stdout.splitlines()]
        assert completed.rpartition(" ")[2] in words, (typed, done)


@pytest.mark.parametrize("shell", [*START, "fish"])
def test_no_shell_finds_an_error_in_its_script(shell: str, folder: Path) -> None:
    _need(shell)
    done = subprocess.run([shell, "-n", str(folder / f"sci.{shell}")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_and_option_is_in_the_scripts() -> None:
    found = {place.name: place for place in places(build_parser())}
    assert list(found[""].commands) == list(COMMANDS)
    assert {"operator train", "solve run", "sequence bench"} <= set(found)
    for text in (script("bash"), script("zsh")):
        assert all(name in text for place in found.values() for option in place.options for name in option.names)
    assert found["solve run"].files
    assert not found["solve train"].files
    assert next(o for o in found["lattice"].options if "--plot" in o.names).takes == "file"
