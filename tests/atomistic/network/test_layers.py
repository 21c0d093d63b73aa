"""Layers: products on the sphere are exact, and the parts of a network fit together."""

from __future__ import annotations

import math

import numpy as np
from atom_cases import potential

from sci.atomistic.network.layers import coupling, initial_parameters, layer_degree, sphere
from sci.spherical import spherical_harmonics

RNG = np.random.default_rng(6)


def test_products_of_three_functions_are_projected_exactly():
    """The same coefficients from a grid of twice the degree, and values at points where nothing was cut off."""
    coarse, fine = sphere(2, 3, 1, "float64"), sphere(2, 6, 1, "float64")
    functions = RNG.normal(size=(3, 9))
    one, two = ((np.prod(functions @ grid.values, axis=0) @ grid.sums) for grid in (coarse, fine))
    np.testing.assert_allclose(one, two, atol=1e-13)
    whole = sphere(2, 3, 6, "float64")
    points = RNG.normal(size=(20, 3))
    exact = np.prod(functions @ spherical_harmonics(points, 2).T, axis=0)
    coefficients = np.prod(functions @ whole.values, axis=0) @ whole.sums
    np.testing.assert_allclose(coefficients @ spherical_harmonics(points, 6).T, exact, atol=1e-12)


def test_couplings_are_gaunt_coefficients():
    table = coupling(2, 1, "float64").reshape(4, 9, 9) / math.sqrt(4 * math.pi)
    a, b = RNG.normal(size=4), RNG.normal(size=9)
    grid = sphere(2, 3, 2, "float64")
    product = (a @ grid.values[:4]) * (b @ grid.values)
    np.testing.assert_allclose(np.einsum("a,b,abc->c", a, b, table), product @ grid.sums, atol=1e-13)
    np.testing.assert_allclose(table[0], np.eye(9) / math.sqrt(4 * math.pi), atol=1e-13)


def test_the_last_layer_gives_scalars():
    config = potential(layers=3, message_degree=2).config
    assert [layer_degree(config, k) for k in range(3)] == [2, 2, 0]
    parameters = initial_parameters(config, np.random.default_rng(0), np.float64)
    assert parameters["2.linear"].shape == (1, 4, 4)
    assert parameters["1.linear"].shape == (3, 4, 4)
