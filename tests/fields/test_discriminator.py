"""The discriminator of patches: modulation, gradients, and a task that needs to know where a patch lies."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.fields import PatchDiscriminator, sample_patches
from sci.fields.discriminator import patch_code
from sci.nn import Adam, Tape, softplus, train, value_and_gradients

RNG = np.random.default_rng(0)


def batch(n: int, size: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scales, offsets = sample_patches(n, 0.8, 0.25, seed=1)
    return RNG.normal(size=(n, 2, size, size)), scales, offsets


def test_an_untrained_one_scales_by_one() -> None:
    judge = PatchDiscriminator(2, (4, 8), code=6, dtype=np.float64)
    judge.parameters["projection.weight"][:] = 0
    x, scales, offsets = batch(3)
    np.testing.assert_array_equal(judge(x, scales, offsets), judge(x, scales[::-1], offsets[::-1]))


def test_channels_are_scaled_by_the_code() -> None:
    """A shift b of the code's map multiplies the input channels of a convolution by 1 + tanh(b)."""
    judge, other = (PatchDiscriminator(2, (4, 8), code=6, dtype=np.float64) for _ in range(2))
    shift = RNG.normal(size=4)
    judge.parameters["0.scale.bias"][:] = shift
    other.parameters["0.0.weight"] *= (1 + np.tanh(shift))[:, None, None]
    x = batch(3)
    np.testing.assert_allclose(judge(*x), other(*x), rtol=1e-12)


def test_gradients_are_those_of_differences() -> None:
    judge, x, step = PatchDiscriminator(2, (4, 8), code=6, dtype=np.float64), batch(3), 1e-6
    for name in judge.parameters:
        if ".scale." in name:
            judge.parameters[name][:] = RNG.normal(size=judge.parameters[name].shape)

    def value(parameters, patches):
        return softplus(judge.forward(parameters, patches, *x[1:])).sum()

    _, gradients = value_and_gradients(lambda p: value(p, x[0]), judge.parameters)
    direction = {name: RNG.normal(size=p.shape) for name, p in judge.parameters.items()}
    ends = [
        float(value({n: p + sign * step * direction[n] for n, p in judge.parameters.items()}, x[0])) for sign in (1, -1)
    ]
    slope = sum((gradients[n] * direction[n]).sum() for n in direction)
    assert slope == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)
    patches = Tape().watch(x[0])
    value(judge.parameters, patches).backward()
    along = RNG.normal(size=x[0].shape)
    ends = [float(value(judge.parameters, x[0] + sign * step * along)) for sign in (1, -1)]
    assert (patches.gradient * along).sum() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6)


def test_it_learns_what_only_the_place_tells() -> None:
    """All patches are alike; those of the left half are to be told from the others."""
    n = 128
    _, scales, offsets = batch(n)
    patches, signs = np.ones((n, 1, 4, 4)), np.where(offsets[:, 0] + scales / 2 < 0.5, 1.0, -1.0)
    judge = PatchDiscriminator(1, (8, 8), code=16, dtype=np.float64)

    def loss(p, numbers):
        logits = judge.forward(p, patches[numbers], scales[numbers], offsets[numbers])
        return softplus(-1.0 * signs[numbers] * logits).mean()

    done = train(loss, judge.parameters, np.arange(n), optimizer=Adam(1e-2), epochs=60, batch_size=n)
    judge.parameters = dict(done.parameters)
    assert ((judge(patches, scales, offsets) > 0) == (signs > 0)).mean() > 0.95


def test_the_code_tells_places_apart() -> None:
    _, scales, offsets = batch(50)
    code = patch_code(scales, offsets)
    assert code.shape == (50, 39)
    np.testing.assert_array_equal(code[:, 0], scales)
    distances = np.linalg.norm(code[:, None] - code[None], axis=2) + 9 * np.eye(50)
    assert distances.min() > 0.05


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: PatchDiscriminator(0), InvalidValueError),
        (lambda: PatchDiscriminator(1, ()), InvalidValueError),
        (lambda: PatchDiscriminator(1, (4, 4))(np.zeros((2, 1, 3, 3)), np.ones(2), np.zeros((2, 2))), ShapeError),
        (lambda: PatchDiscriminator(1, (4,))(np.zeros((2, 3, 8, 8)), np.ones(2), np.zeros((2, 2))), ShapeError),
        (lambda: PatchDiscriminator(1, (4,))(np.zeros((2, 1, 8, 8)), np.ones(3), np.zeros((2, 2))), ShapeError),
    ],
)
def test_what_does_not_fit_is_refused(make, error) -> None:
    with pytest.raises(error):
        make()
