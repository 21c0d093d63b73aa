"""Adam for many parameters at once, on the stand-in for CuPy: the bits of one by one, in a launch for 20 of them."""

from __future__ import annotations

import sys

import fake_cupy
import numpy as np
import pytest

from sci.backend import to_device, to_host
from sci.errors import ConvergenceError
from sci.nn import Adam, AdamW
from sci.nn.optim.parts import fuses


@pytest.fixture
def cupy(monkeypatch):
    module = fake_cupy.make()
    monkeypatch.setitem(sys.modules, "cupy", module)
    return module


@pytest.mark.parametrize("optimizer", [Adam(0.1, weight_decay=0.2), AdamW(0.1, rates={"p3": 0.25})])
def test_parts_are_updated_as_on_the_host(cupy, optimizer):
    rng = np.random.default_rng(0)
    shapes = {f"p{k}": (3, 200 * (k % 3) + k + 1) for k in range(25)}
    host = {name: rng.normal(size=s) + 1j * rng.normal(size=s) * (k % 2) for k, (name, s) in enumerate(shapes.items())}
    host = {name: p if k % 2 else p.real.copy() for k, (name, p) in enumerate(host.items())}
    there = {name: to_device(p.copy(), cupy) for name, p in host.items()}
    assert fuses(there.values())
    states = optimizer.start(host), optimizer.start(there)
    for step in (1, 2):
        gradients = {name: rng.normal(size=p.shape).astype(p.dtype) for name, p in host.items()}
        optimizer.update(host, gradients, states[0], step, 0.5)
        moved = {name: to_device(g, cupy) for name, g in gradients.items()}
        with fake_cupy.counting() as asked:
            optimizer.update(there, moved, states[1], step, 0.5)
            assert asked == {"launches": 3, "copies": 1, "waits": 1}
    for name, p in host.items():
        np.testing.assert_allclose(to_host(there[name]), p, rtol=1e-14, atol=1e-15)


def test_a_moment_that_overflows_is_named(cupy):
    there = {name: cupy.ones(3, np.float32) for name in "abc"}
    gradients = {name: cupy.ones(3, np.float32) * (1e30 if name == "b" else 1.0) for name in "abc"}
    with pytest.raises(ConvergenceError, match="the second moment of 'b' is NaN or infinite"):
        Adam().update(there, gradients, Adam().start(there), 1, 1.0)


def test_parameters_of_two_precisions_go_one_by_one(cupy):
    there = {"a": cupy.ones(3, np.float32), "b": cupy.ones(3)}
    assert not fuses(there.values())
    Adam(0.5).update(there, there, Adam().start(there), 1, 1.0)
    np.testing.assert_allclose([float(p[0]) for p in there.values()], 0.5, rtol=1e-5)
