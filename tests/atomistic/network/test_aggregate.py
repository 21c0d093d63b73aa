"""Sums over neighbors against loops, and their derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from atom_cases import crystal, potential

from sci.atomistic.network import aggregate as module
from sci.atomistic.network.aggregate import aggregate, degrees
from sci.atomistic.network.geometry import forces_and_virials, pair_functions
from sci.nn import value_and_gradients

RNG = np.random.default_rng(2)
NEAR = potential().neighborhood(crystal())
VALUES, GRADIENTS = pair_functions(NEAR, 4.0, 3, 2)
CHANNELS, COMPONENTS = 2, 4
WEIGHT = RNG.normal(size=(3, 3 * CHANNELS))
FEATURES = RNG.normal(size=(12, CHANNELS * COMPONENTS))


def loops(radial, weight, features, angular):
    """The formula, pair by pair."""
    out = np.zeros((12, CHANNELS, COMPONENTS, 9))
    tables = (radial @ weight).reshape(*radial.shape[:2], 3, CHANNELS)
    for i, k in zip(*np.nonzero(NEAR.present)):
        h = features[NEAR.index[i, k]].reshape(CHANNELS, COMPONENTS)
        for level, part in enumerate(degrees(2)):
            scaled = tables[i, k, level][:, None] * h
            out[i, :, :, part] += scaled[..., None] * angular[i, k, part]
    return out.reshape(12, -1, 9)


@pytest.mark.parametrize("block", [1, 1 << 17])
def test_sums_are_those_of_loops(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    found = aggregate(VALUES[..., :3], WEIGHT, FEATURES, VALUES[..., 3:], near=NEAR, geometry=True)
    np.testing.assert_allclose(found, loops(VALUES[..., :3], WEIGHT, FEATURES, VALUES[..., 3:]), atol=1e-12)


@pytest.mark.parametrize("block", [1, 1 << 17])
def test_gradients_against_differences(block, monkeypatch):
    monkeypatch.setattr(module, "BLOCK", block)
    arguments = [VALUES[..., :3].copy(), WEIGHT, FEATURES, VALUES[..., 3:].copy()]
    arguments[0][~NEAR.present] = arguments[3][~NEAR.present] = 0
    out = RNG.normal(size=(12, CHANNELS * COMPONENTS, 9))

    def total(given):
        return (aggregate(*given, near=NEAR, geometry=True) * out).sum()

    _, gradients = value_and_gradients(total, arguments)
    for k, argument in enumerate(arguments):
        d = RNG.normal(size=argument.shape) * (NEAR.present[..., None] if k in (0, 3) else 1)
        moved = [float(total([*arguments[:k], argument + s * d, *arguments[k + 1 :]])) for s in (0.5, -0.5)]
        assert np.vdot(gradients[k], d) == pytest.approx(moved[0] - moved[1], rel=1e-10)


def test_forces_follow_from_slopes_of_pair_functions():
    """The gradient op is the transpose of the forces, and forces that of a pair function."""
    slopes = RNG.normal(size=VALUES.shape) * NEAR.present[..., None]
    forces, virials = forces_and_virials(slopes, gradients=GRADIENTS, near=NEAR)
    of_forces, of_virials = RNG.normal(size=forces.shape), RNG.normal(size=(1, 3, 3))

    def total(s):
        both = forces_and_virials(s, gradients=GRADIENTS, near=NEAR)
        return (both[0] * of_forces).sum() + (both[1] * of_virials).sum()

    value, gradient = value_and_gradients(total, slopes)
    assert float(value) == pytest.approx(np.vdot(gradient, slopes), rel=1e-12)
    np.testing.assert_allclose(forces.sum(axis=0), 0, atol=1e-12)
    expected = np.zeros((3, 3))
    for i, k in zip(*np.nonzero(NEAR.present)):
        expected += np.outer(NEAR.vectors[i, k], GRADIENTS[i, k] @ slopes[i, k])
    np.testing.assert_allclose(virials[0], expected, atol=1e-12)
