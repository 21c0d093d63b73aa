"""`sci sequence bench`: what it reports, and bad input."""

from __future__ import annotations

import json

import pytest

from sci.cli import main
from sci.sequence import attention_cost

SMALL = ["sequence", "bench", "--length", "40", "--heads", "2", "--head-dim", "8", "--repeats", "1"]


def test_report(capsys):
    assert main([*SMALL, "--ranks", "4", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [t["method"] for t in report["timings"]] == ["softmax", "lightning"]
    assert all(t["forward_seconds"] > 0 and t["backward_seconds"] > 0 for t in report["timings"])
    assert report["causal"]
    ring = report["methods"][0]
    assert ring["forward_bytes"] == attention_cost(40, 2, 8, 4).bytes_sent == 2 * 3 * 2 * 10 * 8 * 4
    # Keys go to the ranks after, their gradients back to those before: three parts from each rank.
    assert ring["backward_bytes"] == attention_cost(40, 2, 8, 4, causal=True, backward=True).bytes_sent == 3840


def test_table(capsys):
    assert main([*SMALL, "--full", "--dtype", "float16"]) == 0
    out = capsys.readouterr().out
    assert "40 tokens, 2 heads of 8, float16, full" in out
    assert "lightning" not in out
    assert out.count(" MB; ") == 6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["sequence", "bench", "--length", "0"], "--length: '0'"),
        (["sequence", "bench", "--head-dim", "999", "--length", "2"], "head_dim is 999"),
        (["sequence", "train"], "invalid choice"),
    ],
)
def test_bad_input(arguments, message, capsys):
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
