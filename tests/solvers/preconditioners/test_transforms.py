"""The transforms of an axis against the matrix of -d^2/dx^2, on arrays of NumPy and by what a device has."""

from __future__ import annotations

from types import ModuleType

import numpy as np
import pytest

from sci.solvers.preconditioners import transforms
from sci.solvers.preconditioners.transforms import axis_transform

WALLS = [("dirichlet", "dirichlet"), ("neumann", "neumann"), ("dirichlet", "neumann"), ("neumann", "dirichlet")]


def _matrix(n: int, walls: tuple[str, str], h: float) -> np.ndarray:
    matrix = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    if walls[0] == "periodic":
        matrix[0, -1] -= 1
        matrix[-1, 0] -= 1
        return matrix / h**2
    matrix[0, 0] -= walls[0] == "neumann"
    matrix[-1, -1] -= walls[1] == "neumann"
    return matrix / h**2


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("walls", [*WALLS, ("periodic", "periodic")])
@pytest.mark.parametrize("n", [2, 3, 8, 9])
def test_the_transform_diagonalizes_the_second_difference(n, walls, on_device, monkeypatch):
    if on_device:  # another namespace has no scipy.fft
        other = ModuleType("other")
        vars(other).update(vars(np))
        monkeypatch.setattr(transforms, "namespace", lambda *_: other)
    t = axis_transform(n, walls, 0.5)
    found = t.backward(t.eigenvalues[:, None] * t.forward(np.eye(n), 0), 0)
    np.testing.assert_allclose(found, _matrix(n, walls, 0.5), atol=1e-12)
    grid = np.random.default_rng(0).normal(size=(3, n, 2))
    np.testing.assert_allclose(t.backward(t.forward(grid, 1), 1), grid, atol=1e-13)


def test_an_axis_of_one_cell():
    for walls, value in zip([*WALLS, ("periodic", "periodic")], (2.0, 0.0, 1.0, 1.0, 0.0)):
        t = axis_transform(1, walls, 1.0)
        assert t.eigenvalues[0] == pytest.approx(value)
        assert t.forward(np.ones((2, 1)), 1).tolist() == [[1.0], [1.0]]
