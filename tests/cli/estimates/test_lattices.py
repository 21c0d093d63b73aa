"""Time and memory of a grid over a crystal, told before and taken."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from dry_runs import compared

from sci import datasets
from sci.cli.estimates.lattices import lattice_needs
from sci.io import ComputedGrid, read_crystal, save_computed_grid
from sci.potentials import LatticePotential


@pytest.mark.parametrize(("cells", "points"), [(5, 100), (101, 100)])
def test_the_memory_of_a_grid(cells, points, tmp_path) -> None:
    tried, phi = (
        LatticePotential(read_crystal(datasets.dataset_path("nacl")), (cells,) * 3, tol=1e-8) for _ in range(2)
    )
    middle = cells / 2 * np.array(phi.periods)
    axes = [np.linspace(m - 8, m + 8, points) for m in middle]
    told = lattice_needs(tried, axes)
    parts = ComputedGrid(*axes, phi.on_grid)
    tracemalloc.start()
    try:
        phi.measured_error("potential")
        save_computed_grid(tmp_path / "a.h5", parts)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 1 / 1.5 < told.memory / peak < 1.5


@pytest.mark.parametrize("more", [("--grid", 160), ("--grid", 96, "--tol", "1e-10", "--window", 8)])
def test_a_dry_run_tells_what_the_job_takes(more, tmp_path) -> None:
    words = ("lattice", datasets.dataset_path("nacl"), "--repeats", 41, 41, 41, "-o", tmp_path / "a.h5", *more)
    found = compared("sci.cli.commands.lattice", *words)
    assert found.misses == {}, found


def test_without_a_grid_only_the_sites_count() -> None:
    phi = LatticePotential(read_crystal(datasets.dataset_path("nacl")), (5, 5, 5), tol=1e-8)
    assert set(lattice_needs(phi, None).seconds) == {"sites", "error"}
