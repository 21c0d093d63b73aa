"""M-FAC against the dense inverse, in single precision at small damping, over ranks, and through checkpoints."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError
from sci.nn import MFAC, Checkpoint, linear, mean_squared_error, train

RNG = np.random.default_rng(0)


def _steps(optimizer: MFAC, w: dict[str, np.ndarray], gradients: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    w = {name: array.copy() for name, array in w.items()}
    state = optimizer.start(w)
    for step, g in enumerate(gradients, 1):
        optimizer.update(w, g, state, step, 1.0)
    return w


@pytest.mark.parametrize("steps", [1, 3, 5, 12])
def test_a_step_is_along_the_dense_inverse(steps: int) -> None:
    shapes = {"a": (4, 3), "b": (5,)}
    w = {n: RNG.normal(size=s) for n, s in shapes.items()}
    gradients = [{n: RNG.normal(size=s) for n, s in shapes.items()} for _ in range(steps)]
    flat = np.array([np.concatenate([g[n].ravel() for n in shapes]) for g in gradients])
    expected = np.concatenate([w[n].ravel() for n in shapes])
    for t in range(steps):
        rows = flat[max(0, t - 4) : t + 1]
        fisher = 0.01 * np.eye(17) + rows.T @ rows / len(rows)
        expected = (1 - 0.3 * 0.1) * expected - 0.3 * np.linalg.solve(fisher, flat[t])
    found = _steps(MFAC(0.3, window=5, damping=0.01, weight_decay=0.1), w, gradients)
    np.testing.assert_allclose(np.concatenate([found[n].ravel() for n in shapes]), expected, rtol=1e-10)


def test_single_precision_is_right_at_small_damping() -> None:
    rows = RNG.normal(size=(32, 400)).astype("f4")
    fisher = 1e-6 * np.eye(400) + rows.T.astype(float) @ rows / 32
    expected = np.linalg.solve(fisher, rows[-1].astype(float))
    optimizer = MFAC(1.0, window=32, damping=1e-6)
    w: dict[str, Any] = {"w": np.zeros(400, "f4")}
    state = optimizer.start(w)
    for step, row in enumerate(rows, 1):
        w["w"][...] = 0
        optimizer.update(w, {"w": row}, state, step, 1.0)
    assert w["w"].dtype == np.float32
    assert np.linalg.norm(w["w"] + expected) < 1e-6 * np.linalg.norm(expected)


def test_momentum_is_a_moving_mean_and_rates_are_factors() -> None:
    w = {"w": np.zeros(3), "v": np.zeros(2)}
    g = {"w": np.array([3.0, 0, 0]), "v": np.array([0.0, 4])}
    plain = _steps(MFAC(0.1, damping=1.0), w, [g])
    slow = _steps(MFAC(0.1, damping=1.0, momentum=0.75, rates={"v": 0.5}), w, [g])
    np.testing.assert_allclose(slow["w"], 0.25 * plain["w"], rtol=1e-12)
    np.testing.assert_allclose(slow["v"], 0.125 * plain["v"], rtol=1e-12)


def test_complex_parameters_are_pairs_of_real_ones() -> None:
    z, dz = RNG.normal(size=(2, 3, 4, 2))
    pairs = _steps(MFAC(window=2), {"w": z}, [{"w": dz}, {"w": dz**2}])["w"]
    as_complex = [{"w": d.view(complex)[..., 0]} for d in (dz, dz**2)]
    whole = _steps(MFAC(window=2), {"w": z.view(complex)[..., 0]}, as_complex)["w"]
    np.testing.assert_allclose(whole.view(float).reshape(pairs.shape), pairs, rtol=1e-12)


@pytest.mark.parametrize("ranks", [2, 3])
def test_parameters_split_over_ranks_move_as_one(ranks: int) -> None:
    w, gradients = RNG.normal(size=13), RNG.normal(size=(7, 13))
    whole = _steps(MFAC(window=4), {"w": w}, [{"w": g} for g in gradients])["w"]
    ends = np.linspace(0, 13, ranks + 1).astype(int)

    def run(comm: Any) -> np.ndarray:
        own = slice(ends[comm.Get_rank()], ends[comm.Get_rank() + 1])
        return _steps(MFAC(window=4, comm=comm), {"w": w[own]}, [{"w": g[own]} for g in gradients])["w"]

    np.testing.assert_allclose(np.concatenate(on_ranks(ranks, run)), whole, rtol=1e-10)


def test_a_resumed_training_is_the_whole_one() -> None:
    x = np.random.default_rng(3).normal(size=(40, 3))
    y = x @ np.array([[1.0], [2.0], [3.0]])

    def loss(v: Any, batch: Any) -> Any:
        return mean_squared_error(linear(batch[0], v["w"]), batch[1])

    settings: dict[str, Any] = {"optimizer": MFAC(0.2, window=6, momentum=0.5), "batch_size": 8}
    kept: list[Checkpoint] = []

    def keep(checkpoint: Checkpoint) -> None:
        state = {g: {n: a.copy() for n, a in group.items()} for g, group in checkpoint.optimizer.items()}
        parameters = {n: p.copy() for n, p in checkpoint.parameters.items()}
        kept.append(Checkpoint(checkpoint.step, parameters, state, checkpoint.losses, {}, checkpoint.settings))

    whole = train(loss, {"w": np.zeros((1, 3))}, (x, y), epochs=30, save=keep, **settings)
    again = train(loss, {"w": np.zeros((1, 3))}, (x, y), epochs=30, resume=kept[2], **settings)
    np.testing.assert_array_equal(again.parameters["w"], whole.parameters["w"])
    assert whole.losses[-5:].mean() < 0.5 * whole.losses[0]


def test_settings_out_of_range_are_refused() -> None:
    for bad in ({"window": 0}, {"damping": 0.0}, {"momentum": 1.0}, {"rates": {"w": -1.0}}):
        with pytest.raises(InvalidValueError):
            MFAC(**bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidValueError, match="one precision"):
        MFAC().start({"a": np.zeros(2), "b": np.zeros(2, "f4")})
    with pytest.raises(InvalidValueError, match="names of parameters"):
        MFAC(rates={"v": 1.0}).start({"w": np.zeros(2)})
