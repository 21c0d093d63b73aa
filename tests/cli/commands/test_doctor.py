"""The report on the machine."""

from __future__ import annotations

import json

from command_cases import run


def test_doctor_reports(capsys):
    assert run("doctor", "--json") == 0
    findings = {f["name"]: f for f in json.loads(capsys.readouterr().out)["findings"]}
    assert findings["versions"]["ok"]
    assert [name for name, f in findings.items() if not f["ok"] and not f["fix"]] == [], "a gap has a fix"
    assert run("doctor") == 0
    assert "ok  versions" in capsys.readouterr().out
