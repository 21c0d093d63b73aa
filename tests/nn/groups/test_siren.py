"""Networks of sines as kernels: shapes, statistics of the start, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import SirenKernel


def test_the_formula():
    kernel = SirenKernel(3, 2, width=5, depth=1, frequency=4.0, dtype=np.float64)
    p, x = kernel.parameters, np.random.default_rng(0).normal(size=(7, 3))
    expected = np.sin(4.0 * (x @ p["0.weight"].T + p["0.bias"])) @ p["1.weight"].T + p["1.bias"]
    np.testing.assert_allclose(kernel(p, x), expected, rtol=1e-13)
    np.testing.assert_allclose(kernel(p, x[:, :2], x[:, 2:]), expected, rtol=1e-13)


def test_layers_start_with_sines_of_one_spread():
    """The initial weights keep the deviation of activations whatever the depth."""
    x = np.random.default_rng(1).uniform(-1, 1, size=(4000, 2)).astype(np.float32)
    found = [SirenKernel(2, 1, width=256, depth=d, frequency=30.0)(
        SirenKernel(2, 1, width=256, depth=d, frequency=30.0).parameters, x).std() for d in (2, 6)]  # fmt: skip
    assert 0.5 < found[1] / found[0] < 2.0


@pytest.mark.parametrize("bad", [{"inputs": 0}, {"outputs": 0}, {"width": 0}, {"depth": 0}, {"frequency": 0.0}])
def test_refusals(bad):
    options = {"inputs": 2, "outputs": 1} | bad
    with pytest.raises(InvalidValueError, match="expected"):
        SirenKernel(options.pop("inputs"), options.pop("outputs"), **options)
