"""Contents of files as a table and as JSON."""

from __future__ import annotations

import json

from command_cases import run

from sci.io import save
from sci.potentials import Particles


def test_info_prints_a_table_and_json(pqr, tmp_path, capsys):
    out = tmp_path / "small.h5"
    assert run("potential", pqr, "-o", out, "--quiet") == 0
    capsys.readouterr()
    assert run("info", out) == 0
    assert "potential" in capsys.readouterr().out
    assert run("info", out, "--json") == 0
    assert json.loads(capsys.readouterr().out)["kind"] == "potential"


def test_results_of_any_kind_are_listed(tmp_path, capsys):
    save(tmp_path / "a.h5", Particles([[0.0, 0.0, 0.0]], [1.0]), results={"note": "mine", "part": {"n": 2}})
    assert run("info", tmp_path / "a.h5") == 0
    said = capsys.readouterr().out
    assert "note" in said
    assert "part/n" in said
