"""The command on one task of several: what it prints, without MPI; tests/mpi/test_commands.py has real ranks."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from sci.cli import main
from sci.cli.outcome import say
from sci.cli.ranks import first_task_speaks, on_ranks
from sci.errors import DecompositionError, InvalidValueError
from sci.options import get


@pytest.mark.parametrize(("rank", "heard"), [("0", True), ("2", False)])
def test_the_first_task_speaks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rank: str, heard: bool
) -> None:
    monkeypatch.setenv("PMI_SIZE", "4")
    monkeypatch.setenv("PMI_RANK", rank)
    assert main(["--version"]) == 0
    assert main(["potential"]) == 2
    out, err = capsys.readouterr()
    assert (bool(out), bool(err)) == (heard, heard)
    with first_task_speaks():
        say("warning", "for all")
        say("error", "mine alone", rank=2)
        assert (get("progress") == "off") != heard
    err = capsys.readouterr().err
    assert ("for all" in err) == heard
    assert "sci: error: rank 2: mine alone" in err


def test_one_process_has_no_communicator_and_raises_what_the_command_raises() -> None:
    arguments = argparse.Namespace()
    with pytest.raises(InvalidValueError), on_ranks(arguments, lambda error, rank: pytest.fail("main reports")):
        raise InvalidValueError("bad")
    assert arguments.comm is None


def test_a_communicator_that_cannot_be_had_is_told_by_the_doctor_and_an_error_elsewhere() -> None:
    pytest.importorskip("mpi4py")
    code = (
        "import argparse\n"
        "from sci.cli.ranks import on_ranks\n"
        "doctor = argparse.Namespace(diagnoses=True)\n"
        "with on_ranks(doctor, None):\n"
        "    print(doctor.comm, doctor.diagnosis)\n"
        "with on_ranks(argparse.Namespace(), None):\n"
        "    pass\n"
    )
    environment = {"PATH": "/usr/bin:/bin", "SLURM_STEP_NUM_TASKS": "2", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout.startswith("None the launcher started 2 tasks"), done.stderr
    assert done.returncode == 1
    assert DecompositionError.__name__ in done.stderr
