"""The examples of models beside the same in torch: equal losses from the same weights."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
STEPS = {"deeponet": 5, "physics_informed": 40, "unet": 5}
"""What the fits of the table take: epochs of 8 steps, and steps."""
RTOL = 1e-9
"""Two orders of summation, over 40 steps of Adam in float64; measured: 1e-15."""


@pytest.fixture
def examples(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "examples"))

    def module(name: str) -> ModuleType:
        return importlib.import_module(name)

    return module


def table() -> dict[str, np.ndarray]:
    """The losses of torch 2.13.0 that the examples beside ours print."""
    columns = np.genfromtxt(ROOT / "tests/data/torch_losses.csv", delimiter=",", names=True, skip_header=1)
    return {name: columns[name] for name in columns.dtype.names}


@pytest.mark.parametrize("name", STEPS)
def test_losses_are_those_of_torch_in_the_table(examples, name):
    found = examples(name).fit(STEPS[name]).losses
    assert found[-1] < 0.5 * found[0]
    np.testing.assert_allclose(found, table()[name], rtol=RTOL)


@pytest.mark.peers
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", STEPS)
def test_losses_are_those_of_torch(examples, name):
    pytest.importorskip("torch")
    theirs = examples(f"{name}_torch").fit(STEPS[name])
    np.testing.assert_allclose(theirs, table()[name], rtol=RTOL)
    np.testing.assert_allclose(examples(name).fit(STEPS[name]).losses, theirs, rtol=RTOL)


def test_the_exact_solution_of_the_example_solves_the_equation(examples):
    """Cole's and Hopf's ratio against its own differences, and the start."""
    example, x, t, h = examples("physics_informed"), np.linspace(-0.9, 0.9, 19), 0.4, 1e-3
    u = {(i, j): example.exact(x + i * h, t + j * h) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    u_t, u_x = (u[0, 1] - u[0, -1]) / (2 * h), (u[1, 0] - u[-1, 0]) / (2 * h)
    u_xx = (u[1, 0] - 2 * u[0, 0] + u[-1, 0]) / h**2
    np.testing.assert_allclose(u_t + u[0, 0] * u_x, example.NU * u_xx, atol=1e-3)
    np.testing.assert_allclose(example.exact(x, 1e-12), -np.sin(np.pi * x), atol=1e-5)


def test_a_deeponet_learns_and_a_network_comes_near_the_solution(examples):
    """Fewer steps than the examples take: bounds that an untrained network misses by far."""
    example = examples("deeponet")
    f, integral = example.functions(50, 2)
    done = example.fit(60)
    error = np.linalg.norm(example.deeponet(done.parameters, f) - integral) / np.linalg.norm(integral)
    assert error < 0.25
    example = examples("physics_informed")
    assert example.fit(60).losses[-1] < 0.4
