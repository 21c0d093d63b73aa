"""The layers of a U-Net: the whole forward pass from SciPy's correlation, and skips."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate

from sci.nn import UNet, UNetConfig
from sci.nn.unet.layers import Layers

RNG = np.random.default_rng(2)


def conv(p, name, x, stride=1):
    w, b = p[f"{name}.weight"], p[f"{name}.bias"]
    if w.ndim == 2:
        w = w.reshape(*w.shape, *[1] * (x.ndim - 2))
    out = np.array([[sum(correlate(c, k, "same") for c, k in zip(image, kernels)) for kernels in w] for image in x])
    out += b.reshape(-1, *[1] * (x.ndim - 2))
    return out[(..., *[slice(None, None, stride)] * (x.ndim - 2))]


def norm(p, name, x):
    grid = tuple(range(2, x.ndim))
    unit = (x - x.mean(grid, keepdims=True)) / np.sqrt(x.var(grid, keepdims=True) + 1e-5)
    one = [1] * (x.ndim - 2)
    return unit * p[f"{name}.weight"].reshape(-1, *one) + p[f"{name}.bias"].reshape(-1, *one)


def leaky(x):
    return np.where(x > 0, x, 0.01 * x)


def block(p, name, x, stride):
    inner = leaky(norm(p, f"{name}.norm1", conv(p, f"{name}.conv1", x, stride)))
    inner = norm(p, f"{name}.norm2", conv(p, f"{name}.conv2", inner))
    through = conv(p, f"{name}.shortcut", x, stride) if f"{name}.shortcut.weight" in p else x
    return leaky(inner + through)


def stunet(p, x, stages, depth, factors):
    """The network as the paper describes it."""
    skips = []
    for s in range(stages):
        for b in range(depth):
            x = block(p, f"encoder.{s}.{b}", x, 2 if s and b == 0 else 1)
        skips.append(x)
    x, outputs = skips.pop(), []
    for level in reversed(range(stages - 1)):
        for axis in range(2, x.ndim):
            x = x.repeat(2, axis=axis)
        x = np.concatenate([conv(p, f"decoder.{level}.mix", x), factors[level] * skips.pop()], axis=1)
        for b in range(depth):
            x = block(p, f"decoder.{level}.{b}", x, 1)
        outputs.append(conv(p, f"heads.{level}", x))
    return outputs[::-1]


@pytest.mark.parametrize("grid", [(24,), (8, 12), (8, 4, 8)])
@pytest.mark.parametrize("scaling", ["none", "decay"])
def test_the_network_is_that_of_the_paper(grid, scaling):
    config = UNetConfig(len(grid), 2, 3, (3, 4, 5), 2, skip_scaling=scaling, skip_decay=0.6)
    model = UNet(config, seed=1, dtype=np.float64)
    p = {name: a + 0.1 * RNG.normal(size=a.shape) for name, a in model.parameters.items()}
    x = RNG.normal(size=(2, 2, *grid))
    for found, expected in zip(model.forward(p, x), stunet(p, x, 3, 2, config.skip_factors()), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_learned_factors_are_those_of_squeeze_and_excitation():
    config = UNetConfig(2, 1, 2, (32, 8), skip_scaling="learned")
    model = UNet(config, seed=1, dtype=np.float64)
    p, x = model.parameters, RNG.normal(size=(2, 32, 4, 6))
    hidden = np.maximum(0, x.mean(axis=(2, 3)) @ p["decoder.0.squeeze.weight"].T + p["decoder.0.squeeze.bias"])
    assert hidden.shape == (2, 2)
    logit = hidden @ p["decoder.0.excite.weight"].T + p["decoder.0.excite.bias"]
    expected = x / (1 + np.exp(-logit))[:, :, None, None]
    found = Layers(config, p, {}, False).skip(0, x)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
