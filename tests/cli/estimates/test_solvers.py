"""Time and memory of solves and of the training of the cycle, told before and taken."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from dry_runs import compared

from sci.applications import Electrolyte
from sci.cli.estimates.solvers import LARGE_BOX, coarser, molecule_needs, training_needs, window
from sci.cli.estimates.trial import Trial, attempt
from sci.datasets import dataset_path
from sci.io import PoissonProblem, save
from sci.potentials import Particles
from sci.solvers import PoissonOperator


def _problem(shape: tuple[int, ...], **settings: object) -> tuple[PoissonOperator, np.ndarray]:
    grid = np.indices(shape)
    distance = sum((x - n / 2) ** 2 for x, n in zip(grid, shape))
    A = PoissonOperator(distance > (min(shape) / 5) ** 2, 1.0, **settings)
    return A, np.random.default_rng(0).normal(size=shape) * A.mask


@pytest.mark.parametrize(
    ("shape", "method"),
    [((112, 112, 112), "learned"), ((112, 112, 112), "multigrid"), ((64, 64, 64), "mic"), ((700, 700), "fast")],
)
def test_a_dry_run_tells_what_the_job_takes(shape, method, tmp_path) -> None:
    save(tmp_path / "p.h5", PoissonProblem(*_problem(shape)))
    words = ("solve", "run", tmp_path / "p.h5", "-o", tmp_path / "x.h5", "--method", method)
    found = compared("sci.cli.commands.solve", *words)
    assert found.misses == {}, found


@pytest.mark.parametrize("preconditioner", ["none", "multigrid"])
def test_a_dry_run_tells_what_a_spectrum_takes(preconditioner, tmp_path) -> None:
    save(tmp_path / "p.h5", PoissonProblem(*_problem((72, 72, 72))))
    words = ("spectrum", tmp_path / "p.h5", "-o", tmp_path / "s.h5", "--preconditioner", preconditioner)
    found = compared("sci.cli.commands.spectrum", *words)
    assert 1 / 1.5 < found.memory_ratio < 1.5, found
    assert 1 / 3 < found.time_ratio < 3, found


def test_a_coarser_problem_is_like_the_problem() -> None:
    A, _ = _problem((60, 60, 60), boundary=["periodic", "neumann", "dirichlet"], neumann_body=True)
    small = coarser(A, 10_000)
    assert small.mask.size <= 10_000
    assert small.boundary == A.boundary
    assert abs(small.mask.mean() - A.mask.mean()) < 0.05
    assert bool(small.neumann_body.any())
    assert coarser(small, 10_000) is small
    middle = window(A, 30_000)
    assert 0.8 < middle.mask.size / 30_000 < 1.25
    assert window(middle, 30_000).boundary == A.boundary
    assert window(small, 10_000) is small


def test_a_problem_whose_coarse_cells_miss_the_fluid_is_tried_without_a_body() -> None:
    mask = np.zeros((40, 40), dtype=bool)
    mask[1::2, 1::2] = True
    assert coarser(PoissonOperator(mask), 400).mask.all()


def test_the_training_of_the_cycle_is_in_proportion_to_its_steps() -> None:
    few, many = (training_needs([8], steps, 0).seconds["training"] for steps in (4, 4000))
    assert 50 < many / few < 5000


def test_a_dry_run_tells_what_a_molecule_takes(tmp_path) -> None:
    words = ("solve", "energy", "pb", dataset_path("ubiquitin"), "-o", tmp_path / "x.h5", "--cells", 72)
    found = compared("sci.cli.commands.solve", *words)
    assert found.misses == {}, found


def test_needs_grow_with_the_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: dict[str, Trial] = {}  # both estimates from the same runs: their times vary

    def once(action: Any, **settings: Any) -> Trial:
        key = repr(action.args)
        if key not in taken:
            taken[key] = attempt(action, **settings)
        return taken[key]

    monkeypatch.setattr("sci.cli.estimates.solvers.attempt", once)
    ion = Particles([[0.0, 0.0, 0.0]], [1.0], [2.0])
    options = {"padding": 8.0, "inside": 2.0, "outside": 78.5, "rtol": 1e-6}
    small, large = (molecule_needs(ion, Electrolyte(), cells, options) for cells in (LARGE_BOX**3, 8 * LARGE_BOX**3))
    assert 4 < large.memory / small.memory < 10
    assert large.seconds["solve"] > small.seconds["solve"]
