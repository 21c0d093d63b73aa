"""The networks of marginalization models see what is known, and nothing else."""

from __future__ import annotations

import numpy as np

from sci.generative.marginal.network import encode, first_layer, initial_network, network, trunk


def test_unknown_variables_are_zeros() -> None:
    x, known = np.array([[0, 2, 1]]), np.array([[True, False, True]])
    np.testing.assert_array_equal(encode(x, known, 3, np.float32), [[1, 0, 0, 0, 0, 0, 0, 1, 0]])
    other = np.array([[0, -7, 1]])
    np.testing.assert_array_equal(encode(other, known, 3, np.float32), encode(x, known, 3, np.float32))


def test_a_network_is_its_parts_and_starts_from_zero() -> None:
    rng = np.random.default_rng(0)
    parameters = initial_network(rng, 6, 3, 8, 2, 4, np.float64, "cpu")
    encoded = rng.normal(size=(5, 6))
    np.testing.assert_array_equal(network(parameters, encoded), np.zeros((5, 4)))
    parameters["head"] = rng.normal(size=(4, 8))
    silu = lambda z: z / (1 + np.exp(-z))  # noqa: E731
    h = silu(encoded @ parameters["in"].T + parameters["in_bias"])
    for k in range(2):
        h = h + silu(h @ parameters[f"w{k}"].T + parameters[f"b{k}"])
    np.testing.assert_allclose(trunk(parameters, first_layer(parameters, encoded)), h, rtol=1e-12)
    np.testing.assert_allclose(network(parameters, encoded), h @ parameters["head"].T, rtol=1e-12)
