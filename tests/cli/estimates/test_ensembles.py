"""Time and memory of dimensions, clusters and distances, told before and taken."""

from __future__ import annotations

import numpy as np
import pytest
from dry_runs import compared

from sci.cli.estimates.ensembles import clusters_needs, dimension_needs, distance_needs

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("action", "n", "words"),
    [
        ("dimension", 12_000, ["--method", "both"]),
        ("cluster", 120_000, ["-k", "60", "--maxiter", "20", "-o", "c.h5"]),
        ("select", 40_000, ["-k", "100", "--fraction", "0.1", "--maxiter", "20", "-o", "s.h5"]),
    ],
)
def test_a_dry_run_tells_what_the_job_takes(action, n, words, tmp_path) -> None:
    np.save(tmp_path / "a.npy", RNG.normal(size=(n, 20)))
    words = [str(tmp_path / w) if w.endswith(".h5") else w for w in words]
    module = {"dimension": "dimension"}.get(action, "clusters")
    found = compared(f"sci.cli.commands.ensembles.{module}", "ensemble", action, tmp_path / "a.npy", *words)
    assert not found.misses, found


def test_the_time_of_a_dimension_is_quadratic_and_shared_by_ranks() -> None:
    few, many = (dimension_needs(n, 8, "f8", ["mle"], 20) for n in (4000, 40_000))
    assert 30 < sum(many.seconds.values()) / sum(few.seconds.values()) < 300
    assert many.memory > 5 * few.memory
    shared = dimension_needs(40_000, 8, "f8", ["mle"], 20, ranks=4)
    assert 1 / 12 < sum(shared.seconds.values()) / sum(many.seconds.values()) < 1


def test_the_time_of_clusters_grows_with_their_number() -> None:
    x = RNG.normal(size=(3000, 6))
    few, many = (clusters_needs(x, 300_000, k, 1, 10) for k in (20, 200))
    assert 2 < sum(many.seconds.values()) / sum(few.seconds.values()) < 500


def test_a_dry_run_of_a_distance_tells_what_it_takes(tmp_path) -> None:
    for name, shift in (("a", 0.0), ("b", 0.5)):
        np.save(tmp_path / f"{name}.npy", RNG.normal(size=(2500, 6)) + shift)
    module = "sci.cli.commands.ensembles.distance"
    found = compared(module, "ensemble", "distance", tmp_path / "a.npy", tmp_path / "b.npy", "--reg", "0.02")
    assert not found.misses, found


def test_the_time_of_a_distance_grows_with_the_pairs() -> None:
    x = RNG.normal(size=(500, 3))
    settings = {"reg": 1.0, "tol": 1e-3, "maxiter": 500}
    few, many = (distance_needs(x, x + 1, n, n, settings) for n in (4000, 40_000))
    assert 30 < sum(many.seconds.values()) / sum(few.seconds.values()) < 3000
