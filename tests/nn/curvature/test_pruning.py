"""Pruning against the dense constrained minimum, on a trained network, and over ranks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError, ShapeError
from sci.nn import Adam, cross_entropy, linear, prune, tanh, train, value_and_gradients

RNG = np.random.default_rng(1)
W = {"a": RNG.normal(size=(4, 3)), "b": RNG.normal(size=5)}
G = {"a": RNG.normal(size=(6, 4, 3)), "b": RNG.normal(size=(6, 5))}
FLAT = np.concatenate([W["a"].ravel(), W["b"]])
ROWS = np.concatenate([G["a"].reshape(6, -1), G["b"]], axis=1)
FISHER = 0.01 * np.eye(17) + ROWS.T @ ROWS / 6


def _flat(arrays: dict[str, Any]) -> np.ndarray:
    return np.concatenate([arrays["a"].ravel(), arrays["b"]])


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("saliency", ["fisher", "magnitude"])
def test_kept_weights_move_to_the_constrained_minimum(sparsity: float, saliency: Any) -> None:
    pruned, kept = prune(W, G, sparsity, damping=0.01, saliency=saliency)
    mask, after = _flat(kept), _flat(pruned)
    cost = FLAT**2 / np.diag(np.linalg.inv(FISHER)) if saliency == "fisher" else np.abs(FLAT)
    count = int(sparsity * 17)
    np.testing.assert_array_equal(np.flatnonzero(~mask), np.sort(np.argsort(cost)[:count]))
    move = np.linalg.solve(FISHER[np.ix_(mask, mask)], FISHER[np.ix_(mask, ~mask)] @ FLAT[~mask])
    np.testing.assert_allclose(after[mask], FLAT[mask] + move, rtol=1e-9, atol=1e-12)
    assert not after[~mask].any()


def test_only_named_parameters_lose_weights() -> None:
    pruned, kept = prune(W, G, 0.5, names=["a"])
    assert kept["b"].all()
    assert (~kept["a"]).sum() == 6
    assert not np.array_equal(pruned["b"], W["b"])
    still, _ = prune(W, G, 0.5, names=["a"], compensate=False)
    np.testing.assert_array_equal(still["b"], W["b"])


@pytest.mark.parametrize("ranks", [2, 4])
def test_ranks_prune_as_one(ranks: int) -> None:
    whole, kept = prune({"w": FLAT}, {"w": ROWS}, 0.6)
    ends = np.linspace(0, 17, ranks + 1).astype(int)

    def run(comm: Any) -> Any:
        own = slice(ends[comm.Get_rank()], ends[comm.Get_rank() + 1])
        found, mask = prune({"w": FLAT[own]}, {"w": ROWS[:, own]}, 0.6, comm=comm)
        return found["w"], mask["w"]

    parts = on_ranks(ranks, run)
    np.testing.assert_allclose(np.concatenate([p for p, _ in parts]), whole["w"], rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(np.concatenate([m for _, m in parts]), kept["w"])


def test_a_network_keeps_more_of_its_accuracy_than_by_magnitude() -> None:
    rng = np.random.default_rng(0)
    centers = 0.6 * rng.normal(size=(6, 12))
    y = rng.integers(0, 6, 900)
    x = centers[y] + rng.normal(size=(900, 12))
    start = {"w": rng.normal(size=(24, 12)) / 4, "v": rng.normal(size=(6, 24)) / 5}

    def logits(p: Any, points: Any) -> Any:
        return linear(tanh(linear(points, p["w"])), p["v"])

    def loss(p: Any, batch: Any) -> Any:
        return cross_entropy(logits(p, batch[0]), batch[1])

    done = train(loss, start, (x[:600], y[:600]), optimizer=Adam(0.01), epochs=40, batch_size=50).parameters
    singles = [value_and_gradients(lambda p, k=k: loss(p, (x[k : k + 1], y[k : k + 1])), done)[1] for k in range(300)]
    rows = {name: np.stack([g[name] for g in singles]) for name in done}

    def accuracy(p: Any) -> float:
        return float((np.asarray(logits(p, x[600:])).argmax(axis=1) == y[600:]).mean())

    by_size = accuracy(prune(done, rows, 0.7, saliency="magnitude", compensate=False)[0])
    by_fisher = accuracy(prune(done, rows, 0.7, damping=0.01)[0])
    assert by_fisher > by_size + 0.02
    assert by_fisher > accuracy(done) - 0.1


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="sparsity"):
        prune(W, G, 1.0)
    with pytest.raises(InvalidValueError, match="no gradient"):
        prune(W, {"a": G["a"]}, 0.5)
    with pytest.raises(ShapeError):
        prune(W, {"a": G["a"], "b": G["b"][:3]}, 0.5)
    with pytest.raises(InvalidValueError, match="names"):
        prune(W, G, 0.5, names=["c"])
    with pytest.raises(InvalidValueError, match="real"):
        prune({"z": np.ones(2, complex)}, {"z": np.ones((3, 2))}, 0.5)
    with pytest.raises(InvalidValueError, match="NaN"):
        prune(W, {**G, "b": G["b"] * np.nan}, 0.5)
