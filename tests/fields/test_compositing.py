"""The ray integral: identities, the derivative's formula, and both conventions for its end."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.fields import composite
from sci.nn import Tape

RNG = np.random.default_rng(0)
DENSITY, VALUES = RNG.uniform(0, 3, (5, 12)), RNG.normal(size=(5, 12, 2))
LENGTHS = RNG.uniform(0.05, 0.3, (5, 12))


def by_loops(opaque: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colors, opacities and weights, step after step."""
    colors, opacities, weights = np.zeros((5, 2)), np.zeros(5), np.zeros((5, 12))
    for ray in range(5):
        through = 1.0
        for s in range(12):
            alpha = 1.0 if opaque and s == 11 else 1 - np.exp(-DENSITY[ray, s] * LENGTHS[ray, s])
            weights[ray, s] = through * alpha
            colors[ray] += weights[ray, s] * VALUES[ray, s]
            through *= 1 - alpha
        opacities[ray] = 1 - through
    return colors, opacities, weights


@pytest.mark.parametrize("opaque", [False, True])
def test_it_is_the_loop_over_steps(opaque: bool) -> None:
    color, opacity = composite(DENSITY, VALUES, lengths=LENGTHS, opaque_end=opaque)
    expected = by_loops(opaque)
    np.testing.assert_allclose(color, expected[0], rtol=0, atol=1e-14)
    np.testing.assert_allclose(opacity, expected[1], rtol=0, atol=1e-14)
    assert not opaque or (opacity == 1).all()


@pytest.mark.parametrize("sigma", [1e-9, 0.3, 1.7, 60.0])
@pytest.mark.parametrize("steps", [1, 2, 48, 97])
def test_a_homogeneous_medium_absorbs_by_its_depth(sigma: float, steps: int) -> None:
    lengths = RNG.uniform(0.01, 0.05, (3, steps))
    color, opacity = composite(np.full((3, steps), sigma), np.ones((3, steps, 1)), lengths=lengths)
    expected = -np.expm1(-sigma * lengths.sum(axis=1))
    np.testing.assert_allclose(color[:, 0], expected, rtol=0, atol=1e-15 * (1 if steps < 50 else 2))
    np.testing.assert_allclose(opacity, expected, rtol=0, atol=3e-15)


@pytest.mark.parametrize("opaque", [False, True])
def test_the_derivative_is_that_of_the_formula(opaque: bool) -> None:
    g = RNG.normal(size=(5, 2))
    density, values = Tape().watch([DENSITY, VALUES])
    color, _ = composite(density, values, lengths=LENGTHS, opaque_end=opaque)
    color.backward(g)
    weights = by_loops(opaque)[2]
    along = np.einsum("rsf,rf->rs", VALUES, g)
    after = 1 - np.cumsum(weights, axis=1)
    behind = (weights * along).sum(axis=1, keepdims=True) - np.cumsum(weights * along, axis=1)
    expected = LENGTHS * (after * along - behind)
    if opaque:
        expected[:, -1] = 0
    np.testing.assert_allclose(density.gradient, expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(values.gradient, weights[..., None] * g[:, None], rtol=0, atol=1e-14)


@pytest.mark.parametrize("opaque", [False, True])
def test_gradients_are_those_of_differences(opaque: bool) -> None:
    g, d, step = RNG.normal(size=(5, 2)), RNG.normal(size=5), 1e-6

    def value(density: np.ndarray) -> float:
        color, opacity = composite(density, VALUES, lengths=LENGTHS, opaque_end=opaque)
        return float((color * g).sum() + (opacity * d).sum())

    density = Tape().watch(DENSITY)
    color, opacity = composite(density, VALUES, lengths=LENGTHS, opaque_end=opaque)
    ((color * g).sum() + (opacity * d).sum()).backward()
    direction = RNG.normal(size=DENSITY.shape)
    slope = (value(DENSITY + step * direction) - value(DENSITY - step * direction)) / (2 * step)
    assert (density.gradient * direction).sum() == pytest.approx(slope, rel=1e-7)


def test_pieces_of_a_ray_join() -> None:
    whole, opacity = composite(DENSITY, VALUES, lengths=LENGTHS)
    first, near = composite(DENSITY[:, :5], VALUES[:, :5], lengths=LENGTHS[:, :5])
    second, far = composite(DENSITY[:, 5:], VALUES[:, 5:], lengths=LENGTHS[:, 5:])
    np.testing.assert_allclose(first + (1 - near)[:, None] * second, whole, rtol=0, atol=1e-14)
    np.testing.assert_allclose(1 - (1 - near) * (1 - far), opacity, rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("density", "values", "lengths", "error"),
    [
        (DENSITY[:4], VALUES, LENGTHS, ShapeError),
        (DENSITY, VALUES[..., 0], LENGTHS, ShapeError),
        (DENSITY[:, :0], VALUES[:, :0], LENGTHS[:, :0], ShapeError),
        (-DENSITY, VALUES, LENGTHS, InvalidValueError),
        (np.full_like(DENSITY, np.nan), VALUES, LENGTHS, InvalidValueError),
        (DENSITY, VALUES, -LENGTHS, InvalidValueError),
    ],
)
def test_what_makes_no_medium_is_refused(density, values, lengths, error) -> None:
    with pytest.raises(error):
        composite(density, values, lengths=lengths)
