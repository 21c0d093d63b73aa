"""CP by alternating least squares: each row is a ridge regression, exact tensors come back, ranks agree."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from completion_cases import sinusoids
from thread_ranks import ThreadComm, on_ranks

from sci.completion import complete_cp, observe
from sci.errors import InvalidValueError

TRUTH = sinusoids((12, 10, 11), 0.4, 0.1, seed=1)
SEEN = observe(TRUTH.index, TRUTH.values, shape=TRUTH.full.shape)


def test_a_tensor_of_low_rank_comes_back() -> None:
    rng = np.random.default_rng(0)
    full = np.einsum("ar,br,cr->abc", *(rng.normal(size=(n, 2)) for n in (14, 12, 13)))
    flat = rng.permutation(full.size)[:800]
    index = np.stack(np.unravel_index(flat, full.shape), axis=1)
    # The mean of the values is a term of its own, so that rank 3 is exact.
    seen = observe(index, 5 + 1e3 * full.ravel()[flat], shape=full.shape)
    found = complete_cp(seen, 3, ridge=1e-6, maxiter=400, tol=0)
    cells = np.stack(np.indices(full.shape).reshape(3, -1), axis=1)
    error = found.predict(cells) - 5 - 1e3 * full.ravel()
    assert np.sqrt((error**2).mean()) < full.std()
    assert found.residual < full.std()


def test_every_row_is_the_ridge_regression_on_its_entries() -> None:
    ridge = 0.7
    found = complete_cp(SEEN, 3, ridge=ridge, restarts=2, maxiter=3000, tol=0)
    np.testing.assert_allclose(np.asarray(found.tensor.weights), SEEN.scale)
    factors = [np.asarray(f) for f in found.tensor.factors]
    for k, factor in enumerate(factors):
        others = np.prod([factors[j][SEEN.index[:, j]] for j in range(3) if j != k], axis=0)
        for place in range(SEEN.shape[k]):
            own = SEEN.index[:, k] == place
            a, c, y = others[own], SEEN.weights[own], SEEN.standardized[own]
            row = np.linalg.solve((a.T * c) @ a + ridge * np.eye(3), a.T @ (c * y))
            np.testing.assert_allclose(factor[place], row, atol=1e-4)
    left = SEEN.standardized - np.prod([f[SEEN.index[:, k]] for k, f in enumerate(factors)], axis=0).sum(axis=1)
    np.testing.assert_allclose(found.residual, SEEN.scale * np.sqrt((SEEN.weights * left**2).mean()), rtol=1e-6)
    cost = (SEEN.weights * left**2).sum() + ridge * sum((f**2).sum() for f in factors)
    np.testing.assert_allclose(found.history[-1], cost, rtol=1e-8)


def test_no_sweep_raises_the_sum_and_the_best_start_is_taken() -> None:
    found = complete_cp(SEEN, 4, restarts=5, maxiter=40, tol=0)
    assert (np.diff(found.history) <= 1e-12 * found.history[0]).all()
    assert found.history[-1] <= complete_cp(SEEN, 4, restarts=1, maxiter=40, tol=0).history[-1]
    assert TRUTH.rms(found.predict(TRUTH.cells)) < 0.3
    assert "residual" in repr(found)


def test_entries_that_repeat_count_twice() -> None:
    again = np.concatenate([TRUTH.index, TRUTH.index[:50]]), np.concatenate([TRUTH.values, TRUTH.values[:50]])
    seen = observe(*again, shape=TRUTH.full.shape)
    assert len(seen.values) == len(SEEN.values)
    found = complete_cp(seen, 2, restarts=1, maxiter=500, tol=0)
    factors = [np.asarray(f) for f in found.tensor.factors]
    y = (again[1] - seen.offset) / seen.scale  # every entry by itself
    a = factors[0][again[0][:, 0]] * factors[2][again[0][:, 2]]
    for place in range(seen.shape[1]):
        own = again[0][:, 1] == place
        row = np.linalg.solve(a[own].T @ a[own] + 0.3 * np.eye(2), a[own].T @ y[own])
        np.testing.assert_allclose(factors[1][place], row, atol=1e-4)


def test_a_place_without_entries_has_the_mean() -> None:
    keep = TRUTH.index[:, 1] != 4
    seen = observe(TRUTH.index[keep], TRUTH.values[keep], shape=TRUTH.full.shape)
    found = complete_cp(seen, 2, restarts=1)
    np.testing.assert_allclose(found.predict(np.array([[1, 4, 2], [3, 4, 5]])), seen.offset)


def test_names_and_coordinates_are_places() -> None:
    table = {"site": np.array(["a", "b", "c", "a", "b"]), "time": np.array([0.0, 0.0, 0.5, 2.0, 2.0])}
    found = complete_cp(observe(table, np.array([1.0, 2.0, 3.0, 4.0, 5.0])), 2, ridge=1e-6)
    np.testing.assert_allclose(found.predict({"site": ["a", "b"], "time": [0.0, 2.0]}), [1.0, 5.0], atol=0.01)
    with pytest.raises(InvalidValueError, match="time"):
        found.predict({"site": ["a"], "time": [0.7]})


@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_find_the_same_tensor(ranks: int) -> None:
    whole = complete_cp(SEEN, 3, restarts=2, maxiter=10)

    def own(comm: ThreadComm) -> np.ndarray:
        mine = slice(comm.rank, None, ranks)
        seen = observe(TRUTH.index[mine], TRUTH.values[mine], shape=TRUTH.full.shape, comm=comm)
        return complete_cp(seen, 3, restarts=2, maxiter=10).predict(TRUTH.cells)

    for predicted in on_ranks(ranks, own):
        np.testing.assert_allclose(predicted, whole.predict(TRUTH.cells), rtol=1e-8, atol=1e-8)


def test_temperatures_are_completed_better_than_by_the_published_model(test_data: Path) -> None:
    """The authors' functional Tucker model reaches 1.171 on the test entries; CP on the observed entries 1.00."""
    with h5py.File(test_data / "completion" / "us_temperature.h5") as file:
        for fold in (file["fold0"], file["fold1"]):
            seen = observe(fold["train_index"][()], fold["train_value"][()], shape=(15, 95, 267))
            left = complete_cp(seen, 12).predict(fold["test_index"][()]) - fold["test_value"][()]
            assert np.sqrt((left**2).mean()) < 1.03


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rank": 0}, "rank is 0"),
        ({"rank": 1, "ridge": 0.0}, "ridge is 0"),
        ({"rank": 1, "restarts": 0}, "restarts 0"),
        ({"rank": 1, "tol": 1.0}, "tol 1"),
    ],
)
def test_settings_without_sense_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(InvalidValueError, match=said):
        complete_cp(SEEN, **options)
