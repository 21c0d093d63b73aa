"""Spherical convolutions: derivatives, rotations, and the eigenvalues of the Laplacian."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp

from sci.operators.spectral.sphere import spherical_convolution
from sci.operators.spectral.weights import WeightFormat
from sci.spherical import SphereGrid, spherical_synthesis


@pytest.mark.parametrize("kind", ["gauss-legendre", "equiangular"])
@pytest.mark.parametrize("factorization", ["dense", "tucker"])
def test_gradients(kind, factorization):
    rng = np.random.default_rng(0)
    form = WeightFormat(2, 3, (5,), factorization, 0.6)
    weights = form.initialize(rng, np, np.complex128)
    arguments = [rng.normal(size=(2, 2, 7, 8)), rng.normal(size=3), *weights.values()]
    assert_vjp(spherical_convolution, arguments, names=tuple(weights), form=form, kind=kind, orders=4)


def test_decay_of_each_degree_is_diffusion():
    """exp(-l (l + 1) t) solves the heat equation on the sphere; rotations about the axis pass through."""
    degrees, time = 12, 0.01
    grid = SphereGrid(degrees, 2 * degrees)
    rng = np.random.default_rng(1)
    a = np.tril(rng.normal(size=(degrees, degrees))) + 0j
    factor = np.exp(-np.arange(degrees) * (np.arange(degrees) + 1) * time)
    field = spherical_synthesis(a, grid)[None, None]
    form = WeightFormat(1, 1, (degrees,))
    options = {"names": ("weight",), "form": form, "kind": "gauss-legendre", "orders": degrees}
    arguments = (np.zeros(1), factor[:, None, None] + 0j)
    found = spherical_convolution(field, *arguments, **options)
    np.testing.assert_allclose(found[0, 0], spherical_synthesis(a * factor[:, None], grid), rtol=0, atol=1e-12)
    turned = spherical_convolution(np.roll(field, 5, axis=3), *arguments, **options)
    np.testing.assert_allclose(turned, np.roll(found, 5, axis=3), rtol=0, atol=1e-12)


def test_fewer_circles_leave_degrees_out():
    form = WeightFormat(1, 1, (16,))
    weight = np.ones((16, 1, 1), complex)
    options = {"names": ("weight",), "form": form, "kind": "gauss-legendre", "orders": 16}
    grid = SphereGrid(6, 12)
    a = np.tril(np.random.default_rng(2).normal(size=(6, 6))) + 0j
    field = spherical_synthesis(a, grid)[None, None]
    np.testing.assert_allclose(
        spherical_convolution(field, np.ones(1), weight, **options), field + 1, rtol=0, atol=1e-12
    )
