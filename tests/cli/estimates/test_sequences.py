"""Time of the benchmark of attention, told before and taken."""

from __future__ import annotations

from dry_runs import compared


def test_a_dry_run_tells_what_the_benchmark_takes() -> None:
    words = ("sequence", "bench", "--length", 2048, "--heads", 4, "--head-dim", 64, "--repeats", 2)
    found = compared("sci.cli.commands.sequences.bench", *words)
    assert found.misses == {}, found
