"""The relative loss on a device: the numbers of the host, for fields near the ends of float32, in three launches."""

from __future__ import annotations

import sys

import fake_cupy
import numpy as np
import pytest

from sci.backend import to_device, to_host
from sci.errors import InvalidValueError
from sci.nn import Tape, relative_l2


@pytest.fixture
def cupy(monkeypatch):
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize("unit", [1.0, 1e-36, 1e34])
def test_the_loss_and_its_gradient_are_those_of_the_host(cupy, unit):
    rng = np.random.default_rng(0)
    fields = [(unit * rng.uniform(-1, 1, size=(3, 2, 33, 40))).astype("f4") for _ in "py"]
    answers = []
    for xp in (np, cupy):
        p, y = (to_device(a, xp) for a in fields)
        variable = Tape().watch(p)
        with fake_cupy.counting() as asked:
            loss = relative_l2(variable, target=y, reduction="sum")
            loss.backward()
            launches = asked["launches"]
        answers.append([to_host(loss.value), unit * to_host(variable.gradient).astype(float)])
    assert launches <= 4
    for found, expected in zip(*answers):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_a_target_of_zeros_is_named(cupy):
    y = np.ones((3, 2, 8), "f4")
    y[1, 1] = 0
    p, y = (to_device(a, cupy) for a in (y + 1, y))
    with pytest.raises(InvalidValueError, match="the target of sample 1, channel 1 is zero everywhere"):
        relative_l2(p, target=y)
    host = relative_l2(to_host(p), target=to_host(y), zero_scale=2.0)
    assert float(relative_l2(p, target=y, zero_scale=2.0)) == pytest.approx(float(host), rel=1e-6)
