"""Cells are drawn where there are none, axis by axis; their labels are those asked for; and they help."""

from __future__ import annotations

import numpy as np
import pytest

from sci.completion import augmented_cells, augmented_completion, neural_completion, observe
from sci.completion.neural import augment
from sci.errors import InvalidValueError, ShapeError

RNG = np.random.default_rng(0)
INDEX = np.stack(np.unravel_index(RNG.permutation(600)[:200], (20, 30)), axis=1)
SEEN = observe(INDEX, np.sin(INDEX[:, 0] / 3) + INDEX[:, 1] / 10, shape=(20, 30))
EVEN = [np.ones(20), np.ones(30)]
SMALL = {"width": 4, "hidden": (16, 8), "learning_rate": 1e-2, "batch_size": 32, "epochs": 3}


def test_cells_are_new_and_each_comes_once() -> None:
    cells = augmented_cells(SEEN, EVEN, 300, seed=1)
    together = np.concatenate([SEEN.index, cells])
    assert len(cells) == 300
    assert len(np.unique(together, axis=0)) == len(together)
    np.testing.assert_array_equal(cells, augmented_cells(SEEN, EVEN, 300, seed=1))
    assert len(augmented_cells(SEEN, EVEN, 10_000)) == 400, "all that are left"


def test_places_are_drawn_by_their_shares() -> None:
    shares = [np.arange(200.0), np.ones(300)]
    wide = observe(np.array([[0, 0], [1, 1], [2, 5], [199, 299]]), np.arange(4.0), shape=(200, 300))
    cells = augmented_cells(wide, shares, 4000, seed=2)
    counts = np.bincount(cells[:, 0], minlength=200)
    assert counts[0] == 0
    assert np.corrcoef(counts, shares[0])[0, 1] > 0.9
    assert abs(np.corrcoef(cells.T)[0, 1]) < 0.06, "apart from each other"


def test_the_last_network_is_trained_on_the_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    def keep(observations, *, extra=None, **options):
        given.append((extra, options["seed"]))
        return neural_completion(observations, extra=extra, **options)

    monkeypatch.setattr(augment, "neural_completion", keep)
    augmented_completion(SEEN, labels=lambda x: 100 * x["axis_0"] + x["axis_1"], seed=5, **SMALL)
    ((cells, values), seed), *rest = given
    assert (rest, seed, len(cells)) == ([], 6, round(0.5 * 0.8 * 200))
    np.testing.assert_array_equal(values, 100 * cells[:, 0] + cells[:, 1])
    given.clear()
    augmented_completion(SEEN, draw="influence", **SMALL)
    first = neural_completion(SEEN, seed=0, **SMALL)
    np.testing.assert_allclose(given[1][0][1], first.predict(given[1][0][0]))


def test_what_is_refused() -> None:
    full = observe(np.stack(np.indices((4, 4)).reshape(2, -1), axis=1), np.arange(16.0), shape=(4, 4))
    with pytest.raises(InvalidValueError, match="nothing to augment"):
        augmented_completion(full, labels=lambda x: x["axis_0"], **SMALL)
    with pytest.raises(InvalidValueError, match="labels returned"):
        augmented_completion(SEEN, labels=lambda x: np.full(len(x["axis_0"]), np.nan), **SMALL)
    with pytest.raises(InvalidValueError, match="labels returned"):
        augmented_completion(SEEN, labels=lambda x: np.zeros(3), **SMALL)
    with pytest.raises(InvalidValueError, match="share is 0"):
        augmented_completion(SEEN, share=0.0)
    with pytest.raises(InvalidValueError, match="count is 0"):
        augmented_cells(SEEN, EVEN, 0)
    with pytest.raises(InvalidValueError, match=r"shares\[0\]"):
        augmented_cells(SEEN, [np.zeros(20), np.ones(30)], 5)
    with pytest.raises(ShapeError, match="shares of shapes"):
        augmented_cells(SEEN, [np.ones(30), np.ones(20)], 5)


@pytest.mark.nightly
def test_augmentation_lowers_the_error_of_a_sparse_tensor_and_where_it_lies_does_not_matter() -> None:
    errors: dict[str, list[float]] = {}
    for seed in range(5):
        rng = np.random.default_rng(100 + seed)
        shape = (40, 40, 20)
        factors = [np.abs(rng.normal(size=(n, 3))) for n in shape]
        index = np.stack([(n * rng.random(3000) ** 1.5).astype(int) for n in shape], axis=1)
        full = np.prod([f[index[:, k]] for k, f in enumerate(factors)], axis=0).sum(axis=1)
        y = np.log(full + 0.1) + 0.1 * rng.normal(size=3000)
        order = np.random.default_rng(seed).permutation(3000)
        tests, own = order[:300], order[300:]
        seen, options = observe(index[own], y[own], shape=shape), {"epochs": 30, "seed": seed}
        # Networks scatter by 5 % from seed to seed: those of the first and of the last network.
        models = {f"plain {k}": neural_completion(seen, epochs=30, seed=seed + k) for k in (0, 1)}
        models |= {draw: augmented_completion(seen, draw=draw, **options) for draw in ("influence", "uniform")}
        for name, model in models.items():
            left = model.predict(index[tests]) - y[tests]
            errors.setdefault(name, []).append(float(np.sqrt((left**2).mean())))
    mean = {name: np.mean(values) for name, values in errors.items()}
    assert mean["influence"] <= 0.95 * (mean["plain 0"] + mean["plain 1"]) / 2
    assert abs(mean["influence"] / mean["uniform"] - 1) < 0.05
