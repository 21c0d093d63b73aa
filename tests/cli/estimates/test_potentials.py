"""Time and memory of a potential, told before and taken."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from dry_runs import compared

from sci import datasets
from sci.cli.estimates.potentials import Model, direct_pair_seconds, speeds
from sci.potentials import Coulomb, Particles, RangeSeparatedPotential, Yukawa


def _random(n: int, box: float) -> Particles:
    rng = np.random.default_rng(1)
    return Particles(box * rng.random((n, 3)), rng.normal(size=n))


@pytest.mark.parametrize(
    ("particles", "tol", "kernel"),
    [
        (_random(300, 24.0), 1e-5, Coulomb()),
        (_random(1000, 36.0), 1e-7, Coulomb()),
        (_random(4000, 60.0), 1e-6, Coulomb()),
        (_random(1000, 36.0), 1e-6, Yukawa(0.05)),
    ],
)
def test_the_memory_of_build_and_use_follows_from_shapes(particles, tol, kernel) -> None:
    model = Model.of(particles, tol, kernel=kernel)
    tracemalloc.start()
    try:
        RangeSeparatedPotential(particles, tol, kernel=kernel).energy()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 1 / 1.5 < model.peak() / peak < 1.5


def test_the_model_is_that_of_the_build() -> None:
    particles = _random(500, 30.0)
    phi = RangeSeparatedPotential(particles, 1e-6)
    model = Model.of(particles, 1e-6, kernel=Coulomb())
    assert model.split.alpha == phi.split.alpha
    assert model.domain == phi.domain
    assert 0.5 < model.format_bytes / phi.long_range.nbytes < 2.0


def test_this_machine_is_measured_once_and_fast() -> None:
    speeds.cache_clear()
    found = speeds()
    assert found is speeds()
    assert 0.05 < found.work < 50
    assert 0.01 < found.grid < 50
    assert found.choice < 2
    assert 1e-11 < direct_pair_seconds() < 1e-6


@pytest.mark.parametrize("more", [("--grid", 128, "--forces"), ("--tol", "1e-8", "--grid", 160, "--export", "dx")])
def test_a_dry_run_tells_what_the_job_takes(more, tmp_path) -> None:
    words = ("potential", datasets.dataset_path("ubiquitin"), "-o", tmp_path / "a.h5", *more)
    found = compared("sci.cli.commands.potential", *words)
    assert found.misses == {}, found
