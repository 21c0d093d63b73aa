"""The fit finds smooth tensors in noise, says how far it is off, and is the same on ranks."""

from __future__ import annotations

import numpy as np
import pytest
from completion_cases import sinusoids
from thread_ranks import ThreadComm, on_ranks

from sci.completion import FunctionalCP, functional_cp, masked_components, observe
from sci.errors import InvalidValueError

SMALL = sinusoids((12, 10, 11), 0.3, 0.2, seed=1)


def _coverage(truth, model) -> tuple[float, float]:
    found = model.predict(truth.cells)
    fresh = truth.full.ravel() + 0.2 * np.random.default_rng(9).normal(size=truth.full.size)
    low, high = found.interval(0.9)
    z = (found.mean - truth.full.ravel()) / found.deviation
    return float(((fresh >= low) & (fresh <= high)).mean()), float(np.sqrt((z**2).mean()))


def test_a_tensor_of_sinusoids_is_completed_with_error_bars() -> None:
    truth = sinusoids((30, 30, 30), 0.1, 0.2, seed=0)
    seen = observe(truth.index, truth.values, shape=truth.full.shape)
    model = functional_cp(seen, masked_components(3, 5, main=0, pairs=0), restarts=2)
    assert truth.rms(model.predict(truth.cells).mean) < 0.045
    assert abs(model.noise_deviation - 0.2) < 0.015
    assert (np.diff(model.history, axis=0) > 0).all()
    covered, z = _coverage(truth, model)
    assert 0.87 < covered < 0.93
    assert 0.6 < z < 1.6


def _field(x: np.ndarray) -> np.ndarray:
    return np.sin(6 * x[:, 0]) + np.cos(5 * x[:, 1])


@pytest.mark.parametrize(
    ("places", "entries"), [pytest.param(150, 150, marks=pytest.mark.nightly), (38, 152), (20, 600)]
)
def test_intervals_hold_what_they_say_at_sparse_and_dense_places(places: int, entries: int) -> None:
    """The mean over seeds, for 1, 4 and 30 entries a place, at new places and at those of the entries."""
    covered, noises = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        along = np.sort(rng.uniform(0, 1, (2, places)), axis=1)
        of_entry = [rng.permutation(np.arange(entries) % places) for _ in range(2)]
        x = np.stack([axis[i] for axis, i in zip(along, of_entry)], axis=1)
        model = functional_cp(observe(x, _field(x) + 0.1 * rng.normal(size=entries)), restarts=2)
        for asked in (rng.uniform(0, 1, (3000, 2)), np.repeat(x, 3000 // entries, axis=0)):
            found = model.predict(asked)
            low, high = found.interval(0.9)
            fresh = _field(asked) + 0.1 * rng.normal(size=len(asked))
            covered.append(((fresh >= low) & (fresh <= high)).mean())
            noises.append(found.noise.mean())
    means = np.reshape(covered, (4, 2)).mean(axis=0)
    assert (means > 0.86).all()
    assert (means < 0.94).all()
    assert abs(np.mean(noises) - 0.1) < 0.012


@pytest.mark.parametrize("shape", [(40, 30), (6, 7, 5, 6), (4, 5, 4, 4, 4), (3, 4, 3, 4, 3, 3)])
def test_any_number_of_axes(shape: tuple[int, ...]) -> None:
    truth = sinusoids(shape, 0.5, 0.1, seed=2)
    seen = observe(truth.index, truth.values, shape=shape)
    model = functional_cp(seen, restarts=1, maxiter=12)
    assert truth.rms(model.predict(truth.cells).mean) < 0.45


def test_scattered_coordinates_and_categories() -> None:
    rng = np.random.default_rng(3)
    x, site = rng.uniform(0, 10, 300), rng.choice(["a", "b", "c", "d"], 300)
    level = {"a": 0.0, "b": 1.0, "c": -1.0, "d": 3.0}
    y = np.sin(x) * (1 + np.array([level[s] for s in site])) + 0.05 * rng.normal(size=300)
    model = functional_cp(observe({"x": x, "site": site}, y), masked_components(2, 3), restarts=2)
    assert [f.smoothness for f in model.factors] == [2.5, 0.0]
    asked = np.linspace(0.5, 9.5, 50)
    for name, value in level.items():
        found = model.predict({"x": asked, "site": [name] * 50})
        assert np.sqrt(((found.mean - np.sin(asked) * (1 + value)) ** 2).mean()) < 0.12


def test_merged_entries_are_the_same_fit_as_scaled_ones() -> None:
    """A translation and a scale of the values pass through."""
    seen = [observe(SMALL.index, f * SMALL.values + o, shape=SMALL.full.shape) for f, o in ((1, 0), (1e6, 3e6))]
    first, second = (functional_cp(s, masked_components(3, 2), restarts=1, maxiter=5) for s in seen)
    cells = SMALL.cells[:50]
    np.testing.assert_allclose(second.predict(cells).mean, 1e6 * first.predict(cells).mean + 3e6, rtol=1e-6)
    np.testing.assert_allclose(second.predict(cells).deviation, 1e6 * first.predict(cells).deviation, rtol=1e-5)


@pytest.mark.parametrize("size", [2, 3])
def test_ranks_have_the_model_of_one_process(size: int) -> None:
    options = {"restarts": 2, "maxiter": 4, "smoothness": (2.5, 1.5, 0.5)}
    components = masked_components(3, 2, pairs=1)

    def body(comm: ThreadComm) -> FunctionalCP:
        mine = slice(comm.Get_rank(), None, size)
        seen = observe(SMALL.index[mine], SMALL.values[mine], shape=SMALL.full.shape, comm=comm)
        return functional_cp(seen, components, **options)

    alone = functional_cp(observe(SMALL.index, SMALL.values, shape=SMALL.full.shape), components, **options)
    want = alone.predict(SMALL.cells)
    models = on_ranks(size, body)
    for model in models:
        found = model.predict(SMALL.cells)
        np.testing.assert_allclose(found.mean, want.mean, rtol=0, atol=1e-8)
        np.testing.assert_allclose(found.deviation, want.deviation, rtol=1e-6)
        np.testing.assert_allclose(found.interval()[0], want.interval()[0], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(found.mean, models[0].predict(SMALL.cells).mean)


def test_a_start_that_sticks_is_left_out() -> None:
    """Two of four starts stick at twice the noise of the others; with them in the mean its error is 0.15."""
    rng, shape = np.random.default_rng(101), (40, 40, 20)
    factors = [np.abs(rng.normal(size=(n, 3))) for n in shape]
    index = np.stack([(n * rng.random(3000) ** 1.5).astype(int) for n in shape], axis=1)
    truth = np.prod([f[index[:, k]] for k, f in enumerate(factors)], axis=0).sum(axis=1)
    values = truth + 0.1 * rng.normal(size=3000)
    order = np.random.default_rng(1).permutation(3000)
    tests, own = order[:300], order[300:]
    seen = observe(index[own], values[own], shape=shape)
    model = functional_cp(seen, masked_components(3, 5, main=0, pairs=0), smoothness=0, maxiter=60)
    assert 1 <= len(model.noise) < 4
    assert model.history.shape[1] == len(model.bounds) == len(model.factors[0].lengths) == len(model.noise)
    assert model.noise.max() <= 2 * model.noise.min()
    error = np.sqrt(((model.predict(index[tests]).mean - truth[tests]) ** 2).mean()) / values.std()
    assert error < 0.06
    assert abs(model.noise_deviation - 0.1) < 0.02


@pytest.mark.parametrize("seed", range(4))
def test_values_without_noise_are_found_to_rounding_and_no_deviation_is_zero(seed: int) -> None:
    """A start that sticks would spoil the mean; a variance is the difference of two numbers that are nearly equal."""
    truth = sinusoids((20, 20, 20), 0.15, 0.0, seed=seed)
    model = functional_cp(observe(truth.index, truth.values, shape=(20, 20, 20)))
    found = model.predict(truth.cells)
    error = found.mean - truth.full.ravel()
    assert np.abs(error).max() < 1e-4
    assert np.sqrt(((error / found.deviation) ** 2).mean()) < 3


def test_settings_without_sense_are_refused() -> None:
    seen = observe(SMALL.index, SMALL.values, shape=SMALL.full.shape)
    for options, text in (
        ({"smoothness": 1.0}, "expected 0, 0.5, 1.5 or 2.5"),
        ({"smoothness": (1.5, 2.5)}, "or 3 of these"),
        ({"restarts": 0}, "restarts 0"),
        ({"maxiter": 0}, "maxiter 0"),
        ({"tol": -1.0}, "tol -1"),
        ({"components": masked_components(2)}, "one row of free for each axis"),
    ):
        with pytest.raises(InvalidValueError, match=text):
            functional_cp(seen, **options)
