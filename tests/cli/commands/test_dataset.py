"""The command lists, finds and copies data sets."""

from __future__ import annotations

import json

from command_cases import run

from sci.datasets import DATASETS, dataset_path


def test_the_list_names_every_data_set(capsys):
    assert run("dataset") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines] == [[name, found.file] for name, found in DATASETS.items()]
    assert run("dataset", "--json") == 0
    assert json.loads(capsys.readouterr().out)["zno"]["file"] == "zno.cif"


def test_a_name_gives_the_path(capsys):
    assert run("dataset", "ions") == 0
    assert capsys.readouterr().out.strip() == str(dataset_path("ions"))


def test_a_copy_replaces_nothing_unasked(tmp_path, capsys):
    out = tmp_path / "cell.cif"
    assert run("dataset", "nacl", "-o", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["path"] == str(out)
    assert out.read_bytes() == dataset_path("nacl").read_bytes()
    assert run("dataset", "nacl", "-o", out) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run("dataset", "nacl", "-o", out, "--overwrite") == 0
    assert run("dataset", "mpi_examples", "-o", tmp_path / "scripts") == 0
    assert (tmp_path / "scripts" / "poses.py").is_file()
    assert run("dataset", "mpi_examples", "-o", tmp_path / "scripts") == 2


def test_an_unknown_name_is_bad_input(capsys):
    assert run("dataset", "nacI") == 2
    assert "did you mean 'nacl'" in capsys.readouterr().err
