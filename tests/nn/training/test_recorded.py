"""Steps that a device records, on the stand-in for CuPy: the numbers of steps one by one, in one launch."""

from __future__ import annotations

import sys
from typing import Any

import fake_cupy
import numpy as np
import pytest

from sci.backend import to_device, to_host
from sci.errors import ConvergenceError, DeviceMismatchError, InvalidValueError
from sci.nn import Adam, AdamP, AdamW, RecordedStep, linear, mean_squared_error, relative_l2, value_and_gradients
from sci.operators import FNO

MODEL = FNO((3, 4), 1, 1, 16, 2, fno_skip="linear")


@pytest.fixture
def cupy(monkeypatch):
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


def _fields(n: int, seed: int, xp: Any) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    return tuple(to_device(rng.normal(size=(n, 1, 8, 10)).astype("f4"), xp) for _ in "xy")


def _loss(variables: Any, batch: Any) -> Any:
    return relative_l2(MODEL.forward(variables, batch[0]), target=batch[1])


def _one_by_one(batches: list[Any], optimizer: Any, xp: Any) -> tuple[list[float], dict[str, np.ndarray]]:
    own = {name: to_device(p.copy(), xp) for name, p in MODEL.parameters.items()}
    state, losses = optimizer.start(own), []
    for step, batch in enumerate(batches, 1):
        value, gradients = value_and_gradients(lambda v, batch=batch: _loss(v, batch), own)
        optimizer.update(own, gradients, state, step, 1.0)
        losses.append(float(value))
    return losses, {name: to_host(p) for name, p in own.items()}


def test_recorded_steps_are_those_made_one_by_one(cupy):
    optimizer = AdamW(1e-2, weight_decay=0.1, rates={"blocks.0.skip.weight": 0.5})
    batches = [_fields(n, seed, cupy) for seed, n in enumerate((3, 3, 2, 3))]  # one of another shape between
    own = {name: to_device(p.copy(), cupy) for name, p in MODEL.parameters.items()}
    step = RecordedStep(_loss, own, optimizer, batches[0])
    assert step.refused == ""
    losses = [float(step(batch)) for batch in batches]
    expected, parameters = _one_by_one(batches, optimizer, cupy)
    assert losses == expected
    for name, p in own.items():
        np.testing.assert_array_equal(to_host(p), parameters[name], err_msg=name)
    host, on_host = _one_by_one([tuple(map(to_host, batch)) for batch in batches], optimizer, np)
    np.testing.assert_allclose(losses, host, rtol=1e-5)
    for name, p in parameters.items():
        np.testing.assert_allclose(p, on_host[name], rtol=0, atol=2e-4, err_msg=name)  # Adam divides small by small
    with fake_cupy.counting() as asked:
        step(batches[0])
    assert asked["launches"] <= 1 + len(batches[0]) + 1  # the graph, the batch and the optimizer's numbers go in
    assert asked["waits"] <= 3
    assert repr(step) == "RecordedStep(one launch, 5 steps made)"


def test_what_is_recorded_is_refused_by_name(cupy):
    own = {name: to_device(p.copy(), cupy) for name, p in MODEL.parameters.items()}
    x, y = _fields(2, 0, cupy)
    step = RecordedStep(_loss, own, Adam(1e-3), (x, y))
    with pytest.raises(InvalidValueError, match="the target of sample 1, channel 0 is zero everywhere"):
        step((x, y * to_device(np.array([1, 0], "f4")[:, None, None, None], cupy)))
    with pytest.raises(ConvergenceError, match=r"the loss is nan in step 2; try a learning rate below 0\.001"):
        step((x * np.nan, y))
    with np.errstate(over="ignore", invalid="ignore"):
        other = RecordedStep(lambda v, b: mean_squared_error(v["w"], b[0]), {"w": x * 1e25}, Adam(), (x,))
        with pytest.raises(ConvergenceError, match="the loss is inf"):
            other((x,))
        scaled = RecordedStep(lambda v, b: 1e25 * mean_squared_error(v["w"], b[0]), {"w": x}, Adam(), (y,))
        with pytest.raises(ConvergenceError, match="second moment of 'w' is NaN or infinite"):
            scaled((y,))


def test_steps_that_no_graph_holds_go_launch_by_launch(cupy):
    def waits(variables: Any, batch: Any) -> Any:
        assert float(batch[0].sum()) < 1e9  # asks the device for a number
        return _loss(variables, batch)

    batch = _fields(2, 1, cupy)
    expected, parameters = _one_by_one([batch], Adam(1e-3), cupy)
    own = {name: to_device(p.copy(), cupy) for name, p in MODEL.parameters.items()}
    step = RecordedStep(waits, own, Adam(1e-3), batch)
    assert "capturing" in step.refused
    assert [float(step(batch))] == expected
    for name, p in own.items():
        np.testing.assert_array_equal(to_host(p), parameters[name])
    own = {"w": batch[0].copy()}
    other = RecordedStep(lambda v, b: mean_squared_error(v["w"], b[0]), own, AdamP(), batch)
    assert other.refused.startswith("AdamP makes a step")
    assert "launch by launch" in repr(other)
    other(batch)
    other = RecordedStep(_loss, MODEL.parameters, Adam(), tuple(map(to_host, batch)))
    assert other.refused == "the parameters lie on the host"


def test_a_training_step_of_an_operator_takes_few_launches(cupy):
    model = FNO((16, 16), 1, 1, 32)
    own = {name: to_device(p, cupy) for name, p in model.parameters.items()}
    rng, optimizer = np.random.default_rng(0), AdamW(1e-3)
    x, y = (to_device(rng.normal(size=(2, 1, 32, 32)).astype("f4"), cupy) for _ in "xy")
    state = optimizer.start(own)
    for step in (1, 2):
        with fake_cupy.counting() as asked:
            _, gradients = value_and_gradients(lambda v: relative_l2(model.forward(v, x), target=y), own)
            optimizer.update(own, gradients, state, step, 1.0)
            asked = dict(asked)
    assert 40 < asked["launches"] <= 60
    assert asked["waits"] <= 2
    assert asked["copies"] <= 1


def test_a_refused_loss_counts_no_step_that_was_not_made():
    x, w = np.eye(3), {"w": np.zeros((1, 3))}
    step = RecordedStep(lambda v, batch: mean_squared_error(linear(batch[0], v["w"]), batch[1]), w, Adam(0.1), (x, x))
    with pytest.raises(ConvergenceError, match="nan in step 1"):
        step((x, np.full((3, 1), np.nan)))
    assert step.steps == 0
    assert not w["w"].any()
    step((x, x[:, :1]))
    np.testing.assert_allclose(w["w"], [[0.1, 0.0, 0.0]], atol=1e-8)  # the first step of Adam is the learning rate


def test_factors_and_starts_that_cannot_be():
    x, w = np.eye(3), {"w": np.zeros((1, 3))}

    def loss(v: Any, batch: Any) -> Any:
        return mean_squared_error(linear(batch[0], v["w"]), batch[1])

    with pytest.raises(InvalidValueError, match="start is -1"):
        RecordedStep(loss, w, Adam(0.1), (x, x[:, :1]), start=-1)
    step = RecordedStep(loss, w, Adam(0.1), (x, x[:, :1]))
    with pytest.raises(InvalidValueError, match="factor is -1"):
        step((x, x[:, :1]), -1.0)
    assert step.steps == 0


def test_a_batch_on_the_host_is_refused_by_a_recorded_step(cupy):
    x, w = cupy.ones((3, 4), np.float32), {"w": to_device(np.zeros((1, 4), "f4"), cupy)}
    step = RecordedStep(
        lambda v, batch: mean_squared_error(linear(batch[0], v["w"]), batch[1]), w, Adam(0.1), (x, x[:, :1])
    )
    assert step.refused == ""
    with pytest.raises(DeviceMismatchError, match="move all of them to one side"):
        step((x.get(), x.get()[:, :1]))
    assert step.steps == 0
