"""Lifting and group convolutions: closed forms of Gaussians, equivariance by samples, gradients, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import (
    GroupSamples,
    LinearGroup,
    SirenKernel,
    group_convolution,
    integrate_group,
    lifting_convolution,
    value_and_gradients,
)

GROUP = LinearGroup(2)
T = np.array([[0.20, 0.05], [0.05, 0.40]])
MU, SIGMA = np.array([0.3, -0.2]), np.array([[0.5, 0.1], [0.1, 0.3]])
A, SHIFT = np.array([[1.5, 0.6], [-0.2, 0.9]]), np.array([0.4, 0.1])


def bell(points: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Gaussian density at points (..., n) of zero mean and covariance (..., n, n)."""
    square = (points * np.linalg.solve(covariance, points[..., None])[..., 0]).sum(axis=-1)
    return np.exp(-square / 2) / np.sqrt(np.linalg.det(2 * np.pi * covariance))


def spread_by(g: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    return g @ covariance @ np.swapaxes(g, -1, -2)


def grid(cells: int, spacing: float) -> np.ndarray:
    axis = spacing * (np.arange(cells) - cells // 2)
    return np.stack(np.meshgrid(axis, axis, indexing="ij"), axis=-1)


def test_the_oracle_itself_is_equivariant():
    """(L f)(x, g) = N(x; mu, Sigma + g T g'), and f a^-1 = |det A| N(x; A mu + t, A Sigma A')."""
    rng = np.random.default_rng(0)
    g, x = rng.normal(size=(200, 2, 2)), rng.normal(size=(200, 2))
    moved = np.linalg.det(A) * bell(x - A @ MU - SHIFT, spread_by(A, SIGMA) + spread_by(g, T))
    inverse = np.linalg.inv(A)
    back = bell((x - SHIFT) @ inverse.T - MU, SIGMA + spread_by(inverse @ g, T))
    scale = np.linalg.cond(spread_by(A, SIGMA) + spread_by(g, T))
    assert (np.abs(moved - back) / back / scale).max() < 4e-15


def test_lifting_a_gaussian_is_a_gaussian():
    """On a grid that holds both, the sum over cells is the integral: the layer gives the closed form."""
    elements = GROUP.sample(5, seed=3, spread=0.25).elements
    spacing, cells, near = 0.18, 71, slice(30, 41)  # where taps reach all of the field
    field = bell(grid(cells, spacing) - MU, SIGMA)
    found = lifting_convolution(
        field[None, None], lambda points: bell(points, T)[:, None], elements, taps=cells, spacing=spacing
    )[0, 0, :, near, near]
    where = grid(cells, spacing)[near, near]
    for k, g in enumerate(elements):
        expected = bell(where - MU, SIGMA + spread_by(g, T))
        np.testing.assert_allclose(found[k], expected, rtol=0, atol=1e-14 * expected.max())


def falling(features: np.ndarray) -> np.ndarray:
    return np.exp(-2 * (features[..., :3] ** 2).sum(axis=-1) - (features[..., 3:] ** 2).sum(axis=-1) / 2)


def kernel_of(points: np.ndarray, features: np.ndarray) -> np.ndarray:
    return (bell(points, T) * falling(features))[:, None]


def convolved(x: np.ndarray, g: np.ndarray, mean: np.ndarray, covariance: np.ndarray, samples: GroupSamples) -> float:
    """The group convolution of a lifted Gaussian at x and g in closed form over place, a sum over samples."""
    h = samples.elements
    values = bell(x - mean, covariance + spread_by(h, T) + spread_by(g, T))
    return float(samples.weights @ (values * falling(GROUP.features(np.linalg.inv(g) @ h))))


def test_a_group_convolution_is_its_sum_over_samples():
    samples, g = GROUP.sample(6, seed=1, spread=0.2), np.array([[1.1, 0.1], [-0.1, 0.95]])
    spacing, cells = 0.3, 45
    lifted = np.stack([bell(grid(cells, spacing) - MU, SIGMA + spread_by(h, T)) for h in samples.elements])
    found = group_convolution(lifted[None, None], kernel_of, samples, g[None], taps=cells, spacing=spacing)[0, 0, 0]
    middle = cells // 2
    for cell in ((0, 0), (3, -2)):
        x = spacing * np.array(cell)
        expected = convolved(x, g, MU, SIGMA, samples)
        assert found[middle + cell[0], middle + cell[1]] == pytest.approx(expected, rel=1e-12)


def equivariance_error(count: int, seed: int, weighted: bool = True) -> float:
    """Difference of the layer of a moved field and the moved layer, over its size."""
    samples = GROUP.sample(count, seed=seed, spread=0.5)
    if not weighted:
        samples = GroupSamples(samples.elements, np.full(count, 1.0 / count))
    g, x, inverse = np.array([[1.05, 0.1], [0.0, 0.95]]), np.array([0.2, 0.1]), np.linalg.inv(A)
    moved = np.linalg.det(A) * convolved(x, g, A @ MU + SHIFT, spread_by(A, SIGMA), samples)
    back = convolved(inverse @ (x - SHIFT), inverse @ g, MU, SIGMA, samples)
    return abs(moved - back) / (abs(back) + abs(moved)) * 2


def test_the_error_of_equivariance_falls_with_the_root_of_the_samples():
    counts = (64, 256, 1024)
    errors = [np.sqrt(np.mean([equivariance_error(n, s) ** 2 for s in range(32)])) for n in counts]
    slope = np.polyfit(np.log(counts), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.1), errors
    # Samples without the weights of the measure keep an error, however many.
    unweighted = np.mean([equivariance_error(1024, s, weighted=False) for s in range(8)])
    assert unweighted > 3 * errors[-1]


def test_translations_are_exact_and_linear_in_the_field():
    rng = np.random.default_rng(2)
    x, elements = rng.normal(size=(2, 3, 9, 11)), GROUP.sample(4, seed=2, spread=0.3).elements
    weight = rng.normal(size=(1, 6))

    def kernel(points):
        return np.exp(-(points**2).sum(axis=1, keepdims=True)) * weight

    found = lifting_convolution(x, kernel, elements, boundary="periodic")
    assert found.shape == (2, 2, 4, 9, 11)
    rolled = lifting_convolution(np.roll(x, (2, 3), (2, 3)), kernel, elements, boundary="periodic")
    np.testing.assert_allclose(rolled, np.roll(found, (2, 3), (3, 4)), atol=1e-13)


@pytest.mark.parametrize("n", [1, 3])
def test_other_spaces(n):
    group = LinearGroup(n)
    samples, x = group.sample(3, seed=0, spread=0.2), np.random.default_rng(0).normal(size=(1, 1, *[5] * n))
    lifted = lifting_convolution(x, lambda p: np.exp(-(p**2).sum(axis=1, keepdims=True)), samples.elements, taps=3)
    found = group_convolution(
        lifted, lambda p, c: np.exp(-(p**2).sum(axis=1) - (c**2).sum(axis=1))[:, None], samples, taps=3
    )
    assert found.shape == (1, 1, 3, *[5] * n)
    assert integrate_group(found, samples).shape == (1, 1, *[5] * n)


def test_gradients_reach_kernels_and_fields():
    rng = np.random.default_rng(4)
    samples, x = GROUP.sample(3, seed=4, spread=0.3), rng.normal(size=(2, 1, 5, 5))
    lift = SirenKernel(2, 2, width=4, frequency=2.0, dtype=np.float64)
    mix = SirenKernel(2 + GROUP.n_features, 2, width=4, frequency=2.0, seed=1, dtype=np.float64)
    dout = rng.normal(size=(2, 1, 5, 5))

    def loss(v):
        lifted = lifting_convolution(v["x"], lambda p: lift(v["lift"], p), samples.elements, taps=3)
        mixed = group_convolution(lifted, lambda p, c: mix(v["mix"], p, c), samples, taps=3)
        return (integrate_group(mixed, samples) * dout).sum()

    tree = {"x": x, "lift": lift.parameters, "mix": mix.parameters}
    _, gradients = value_and_gradients(loss, tree)
    for path in (("x",), ("lift", "0.weight"), ("lift", "2.bias"), ("mix", "1.weight"), ("mix", "0.bias")):
        array, gradient = tree, gradients
        for key in path:
            array, gradient = array[key], gradient[key]
        step, kept, ends = rng.normal(size=array.shape), array.copy(), []
        for t in (1e-5, -1e-5):
            array[...] = kept + t * step
            ends.append(float(loss(tree)))
        array[...] = kept
        assert (gradient * step).sum() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6), path


def test_refusals():
    samples, x = GROUP.sample(3, spread=0.2), np.ones((1, 1, 5, 5))

    def bump(points, *features):
        return np.ones((len(points), 1))

    with pytest.raises(ShapeError, match="n = 1 to 3 axes"):
        lifting_convolution(np.ones((1, 1, 5)), bump, samples.elements)
    with pytest.raises(InvalidValueError, match=r"elements\[1\] has determinant -1"):
        lifting_convolution(x, bump, np.stack([np.eye(2), np.diag([1.0, -1.0])]))
    with pytest.raises(InvalidValueError, match=r"elements\[0\] has determinant 0"):
        lifting_convolution(x, bump, np.zeros((1, 2, 2)))
    with pytest.raises(InvalidValueError, match="odd"):
        lifting_convolution(x, bump, samples.elements, taps=4)
    with pytest.raises(InvalidValueError, match="positive"):
        lifting_convolution(x, bump, samples.elements, spacing=-1.0)
    with pytest.raises(DTypeError, match="float32"):
        lifting_convolution(x.astype(np.float32), bump, samples.elements)
    with pytest.raises(ShapeError, match="a matrix for each place"):
        lifting_convolution(x, lambda points: np.ones(len(points)), samples.elements)
    with pytest.raises(ShapeError, match="a value for each sample"):
        group_convolution(np.ones((1, 1, 2, 5, 5)), bump, samples)
    with pytest.raises(ShapeError, match="batch, channels, 3"):
        integrate_group(np.ones((1, 1, 2, 5, 5)), samples)
