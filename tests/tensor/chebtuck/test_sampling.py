"""Chebyshev-Tucker functions from samples: adaptive degrees, tolerances, CP grid vectors, published figures."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sci import chebyshev
from sci.errors import ConvergenceError, InvalidValueError, ShapeError
from sci.tensor import CP, ChebTuck
from sci.tensor.chebtuck import sampling

CUBE = ((-1.0, 1.0),) * 3
FUNCTIONS = {
    "runge": lambda x, y, z: 1.0 / (1.0 + 25.0 * (x * x + y * y + z * z)),
    "tanh": lambda x, y, z: np.tanh(5.0 * (x + y + z)),
    "tanh_plus_exp": lambda x, y, z: np.tanh(5.0 * (x + z)) + np.exp(y),
    "cos": lambda x, y, z: np.cos(10.0 * (x + y + z)),
    "gaussian": lambda x, y, z: 1e6 * np.exp(-30.0 * ((x - 0.3) ** 2 + y**2 + (z + 0.9) ** 2)),
}


@pytest.mark.parametrize(
    ("name", "tol"),
    [(name, tol) for name in FUNCTIONS for tol in (1e-3, 1e-6, 1e-12) if (name, tol) != ("runge", 1e-12)],  # 256^3
)
def test_the_tolerance_is_kept_at_random_points(name: str, tol: float) -> None:
    f = FUNCTIONS[name]
    g = ChebTuck.from_function(f, CUBE, tol)
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (2000, 3))
    exact = f(*points.T)
    assert np.abs(g(points) - exact).max() <= 1.5 * tol * np.abs(exact).max()


def test_degrees_follow_each_axis() -> None:
    g = ChebTuck.from_function(FUNCTIONS["tanh_plus_exp"], CUBE, 1e-9)
    assert g.degree[0] > 60
    assert g.degree[1] < 12
    assert g.tucker_ranks[1] == 2
    line = ChebTuck.from_function(lambda x, y, z: 3.0 * x, ((0.0, 5.0), (1.0, 2.0), (0.0, 1.0)), 1e-12)
    assert line.degree == (1, 0, 0)
    assert ChebTuck.from_function(lambda x, y, z: 0.0 * x, CUBE, 1e-6).norm() == 0.0
    assert ChebTuck.from_function(lambda x, y, z: np.full(1, 2.0), CUBE, 1e-6).integral() == pytest.approx(16.0)


def test_an_oscillation_hidden_between_the_first_nodes_is_found() -> None:
    # Equal to a constant at all nodes of degree 16 on each axis.
    def hidden(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        return (
            1.0
            + np.sin(16.0 * np.arccos(np.clip(x, -1.0, 1.0))) * np.sqrt(np.maximum(1.0 - x * x, 0.0))
            + 0.0 * (y + z)
        )

    points = np.random.default_rng(1).uniform(-1.0, 1.0, (500, 3))
    g = ChebTuck.from_function(hidden, CUBE, 1e-8)
    assert g.degree[0] == 17
    assert_allclose(g(points), hidden(*points.T), atol=1e-7)


def test_samples_are_taken_once() -> None:
    seen: list[int] = []

    def counted(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
        seen.append(np.broadcast(x, y, z).size)
        return np.exp(-40.0 * x * x) + 0.0 * (y + z)

    ChebTuck.from_function(counted, CUBE, 1e-8)
    assert sum(seen) == 129 * 17 * 17 + sampling.PROBES


def test_what_is_not_smooth_is_refused_with_the_mend() -> None:
    with pytest.raises(ConvergenceError, match=r"degree 64 along axis 1.*raise max_degree"):
        ChebTuck.from_function(lambda x, y, z: np.abs(y) + 0.0 * (x + z), CUBE, 1e-6, max_degree=64)
    with pytest.raises(ConvergenceError, match="degree 40"):
        ChebTuck.from_function(lambda x, y, z: np.abs(z) + 0.0 * (x + y), CUBE, 1e-6, max_degree=40)
    with pytest.raises(InvalidValueError, match="tol"):
        ChebTuck.from_function(FUNCTIONS["cos"], CUBE, 0.0)
    with pytest.raises(InvalidValueError, match="max_degree"):
        ChebTuck.from_function(FUNCTIONS["cos"], CUBE, 1e-3, max_degree=0)
    with pytest.raises(InvalidValueError, match="NaN or infinite"):
        ChebTuck.from_function(lambda x, y, z: np.where(np.abs(y) < 1e-3, np.inf, x + y + z), CUBE, 1e-3)
    with pytest.raises(ShapeError, match="f must work on arrays"):
        ChebTuck.from_function(lambda x, y, z: np.zeros((2, 3)), CUBE, 1e-3)


def gaussian_terms(n: int, box: tuple[tuple[float, float], ...], centers: np.ndarray) -> CP:
    columns = []
    for axis, (a, b) in enumerate(box):
        x = a + (np.arange(n) + 0.5) * ((b - a) / n)
        columns.append(np.exp(-2.0 * (x[:, None] - centers[:, axis]) ** 2))
    return CP(np.linspace(-1.0, 2.0, len(centers)), tuple(columns))


@pytest.mark.parametrize(("spline_degree", "error"), [(3, 1e-6), (5, 1e-9), (7, 1e-11)])
def test_cp_grid_vectors_become_a_function(spline_degree: int, error: float) -> None:
    box = ((-1.0, 1.0), (0.0, 3.0), (-2.0, 0.5))
    centers = np.random.default_rng(0).uniform(-1.0, 1.0, (12, 3))
    cp = gaussian_terms(200, box, centers)
    g = ChebTuck.from_cp(cp, box, 48, 1e-12, spline_degree=spline_degree)
    lower, upper = np.array(box).T
    points = np.random.default_rng(1).uniform(lower, upper, (300, 3))
    distance = ((points[:, None, :] - centers) ** 2).sum(axis=2)
    exact = np.exp(-2.0 * distance) @ cp.weights
    assert np.abs(g(points) - exact).max() <= error * np.abs(exact).max()
    assert max(g.tucker_ranks) <= 12


def test_the_spline_matrix_of_devices_equals_the_spline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "SPLINE_BLOCK", 7)
    rng = np.random.default_rng(0)
    x = (np.arange(30) + 0.5) / 15.0 - 1.0
    vectors = np.sin(3.0 * x[:, None] + rng.uniform(0, 6, 4))
    for degree in (1, 3, 5):
        matrix = sampling._spline_matrix(x, chebyshev.nodes(20), degree)
        direct = sampling._at_nodes(vectors, (-1.0, 1.0), 20, degree)
        assert_allclose(matrix @ vectors, direct, atol=1e-12)


def test_cp_input_is_checked() -> None:
    cp = gaussian_terms(5, CUBE, np.zeros((1, 3)))
    with pytest.raises(ShapeError, match="degree 5 needs more cells"):
        ChebTuck.from_cp(cp, CUBE, 8)
    with pytest.raises(InvalidValueError, match="spline_degree"):
        ChebTuck.from_cp(cp, CUBE, 8, spline_degree=2)
    with pytest.raises(ShapeError, match="expected 3 of each"):
        ChebTuck.from_cp(cp, CUBE, (8, 8))


@pytest.mark.parametrize(
    ("name", "ranks", "error"),
    [("runge", (11, 11, 11), 1.9e-6), ("tanh", (39, 39, 39), 1.9e-7), ("tanh_plus_exp", (36, 2, 36), 4.6e-8)],
)
def test_published_functions_at_65_nodes(name: str, ranks: tuple[int, ...], error: float) -> None:
    x = chebyshev.nodes(64)
    f = FUNCTIONS[name]
    g = ChebTuck.from_values(f(x[:, None, None], x[None, :, None], x[None, None, :]), CUBE, 1e-7)
    points = np.random.default_rng(0).uniform(-1.0, 1.0, (3000, 3))
    exact = f(*points.T)
    assert all(r <= s for r, s in zip(g.tucker_ranks, ranks))
    assert np.abs(g(points) - exact).max() <= 2.0 * error * np.abs(exact).max()


def test_the_tables_of_the_paper() -> None:
    script = Path(__file__).parents[3] / "benchmarks" / "paper_tables.py"
    done = subprocess.run([sys.executable, str(script), "--quick"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    factors = Path(os.environ.get("SCI_TEST_DATA", "."), "chebtuck").is_dir()
    assert ("17 of 17 rows" if factors else "13 of 13 rows") in done.stdout
