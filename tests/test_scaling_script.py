"""`benchmarks/scaling.py`: intervals hold held-out runs of the library's own training, and mixtures of digits."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from sci.datasets import load_dataset
from sci.scaling import fit_power_law


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "scaling.py"
    specification = importlib.util.spec_from_file_location("benchmark_scaling", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def test_intervals_hold_held_out_runs_of_trained_models(script: ModuleType) -> None:
    found = list(script.held_out())
    assert len(found) == 10
    hits = [f["interval"][0] <= f["loss"] <= f["interval"][1] for f in found]
    assert sum(hits) >= 8
    # An interval from the last run that is known to nothing would hold all of them and say nothing.
    widths = [(f["interval"][1] - f["interval"][0]) / (f["last"] - f["known"]) for f in found]
    naive = [(f["naive"][1] - f["naive"][0]) / (f["last"] - f["known"]) for f in found]
    assert np.median(widths) < 1.5
    assert np.median(widths) < np.median(naive)


def test_the_exponent_and_the_entropy_of_sources_are_found(script: ModuleType) -> None:
    p = np.random.default_rng(0).dirichlet(np.ones(16))
    n = np.array([200, 400, 800, 1600, 3200, 6400, 12800])
    law = fit_power_law(n.astype(float), script.estimator_losses(p, n), samples=20).law
    assert abs(law.exponents[0] - 1) < 0.03
    assert abs(law.limit + p @ np.log(p)) < 1e-3
    x, loss, exponent = script.exact_losses()
    assert abs(fit_power_law(x, loss, samples=20).law.exponents[0] - exponent) < 1e-6


def test_a_source_has_the_entropy_that_is_written(script: ModuleType) -> None:
    table = load_dataset("learning_curves")
    for curve in range(5):
        matrix, state, entropy = script.markov_source(curve)
        np.testing.assert_allclose(state @ matrix, state, atol=1e-12)
        assert abs(table["known_limit"][table["curve"] == curve][0] - entropy) < 1e-6
    texts = script.drawn_texts(matrix, state, 4000, np.random.default_rng(0))
    seen = -np.log(matrix[texts[:, :-1], texts[:, 1:]])
    assert abs(seen.mean() - entropy) < 4 * seen.mean(axis=1).std() / np.sqrt(len(texts))


@pytest.mark.peers
def test_mixtures_of_digits_are_predicted_and_extrapolated(script: ModuleType) -> None:
    pytest.importorskip("sklearn")
    for seed in range(2):
        errors = script.mixture_errors(seed)
        assert max(errors["held out 75"], errors["held out 150"]) <= 0.02
        assert errors["log 300"] <= 0.025
        assert errors["power 300"] <= 0.025
        assert errors["power 600"] < errors["log 600"]  # four times beyond, where the logarithm is too steep
