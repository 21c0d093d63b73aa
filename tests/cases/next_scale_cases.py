"""Small quantizers, fields and next-scale models in float64 for the tests of `sci.generative`."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from sci.backend import to_device, to_host
from sci.compression import MultiScaleVQ
from sci.generative import NextScaleConfig, NextScaleModel, Sampling, ScaleTokens
from sci.nn import value_and_gradients

SCALES = ((1, 1), (2, 2), (3, 3))


def plane_quantizer(vocabulary: int = 7, channels: int = 2) -> MultiScaleVQ:
    """Return a quantizer of planes of 3 x 3 latent cells."""
    return MultiScaleVQ(np.random.default_rng(3).normal(size=(vocabulary, channels)), SCALES)


def line_quantizer() -> MultiScaleVQ:
    """Return a quantizer of two cells by three codes: 27 sequences in all."""
    return MultiScaleVQ(np.array([[0.0], [1.0], [-2.0]]), [(1,), (2,)])


def small_config(quantizer: MultiScaleVQ, **options: Any) -> NextScaleConfig:
    return NextScaleConfig.of(quantizer, **{"width": 8, "heads": 2, "layers": 2, "hidden": 12, **options})


def rough_model(config: NextScaleConfig, seed: int = 0, size: float = 0.5) -> NextScaleModel:
    """Return a model in float64 whose parameters are all random, those that start as zeros too."""
    model, rng = NextScaleModel.create(config, seed=seed, dtype=np.float64), np.random.default_rng(seed)
    return model.with_parameters({n: p + size * rng.normal(size=p.shape) for n, p in model.parameters.items()})


def conditions(n: int, seed: int = 1) -> dict[str, np.ndarray]:
    """Return labels of 3 classes, two features and a context of one channel on a grid of 6 x 6 for n fields."""
    rng = np.random.default_rng(seed)
    return {
        "labels": rng.integers(0, 3, n),
        "features": rng.normal(size=(n, 2)),
        "context": rng.normal(size=(n, 1, 6, 6)),
    }


def plane_tokens(
    config: NextScaleConfig, quantizer: MultiScaleVQ, n: int, seed: int = 2, **given: np.ndarray
) -> ScaleTokens:
    fields = np.random.default_rng(seed).normal(size=(n, quantizer.channels, *quantizer.grid))
    return ScaleTokens.of(config, quantizer, fields, dtype=np.float64, **given)


def next_scale(xp: ModuleType) -> list[np.ndarray]:
    """Return loss, gradients, nats and draws on either side, see `device_cases`."""
    host, model, _ = conditional(3)
    quantizer = MultiScaleVQ(to_device(host.codebook, xp), host.scales)
    model = model.with_parameters({name: to_device(p, xp) for name, p in model.parameters.items()})
    given = {name: to_device(array, xp) for name, array in conditions(3).items()}
    fields = to_device(np.random.default_rng(2).normal(size=(3, 2, 3, 3)), xp)
    tokens = ScaleTokens.of(model.config, quantizer, fields, dtype=np.float64, **given)
    keep = to_device(np.array([1.0, 0.0, 1.0]), xp)
    loss, gradients = value_and_gradients(lambda v: model.loss(v, tokens, keep=keep), model.parameters)
    codes = model.sample(quantizer, 3, sampling=Sampling(guidance=1.0), seed=1, **given)
    finer = model.sample(quantizer, 3, given=codes[:1], seed=2)
    found = [np.array(float(loss)), model.nats(tokens, batch_size=2), *(to_host(g) for g in gradients.values())]
    return [*found, *(to_host(c).astype(float) for c in (*codes, *finer))]


def conditional(n: int = 4) -> tuple[MultiScaleVQ, NextScaleModel, ScaleTokens]:
    """Return a quantizer, a model with all conditions, and tokens of n fields."""
    quantizer = plane_quantizer()
    config = small_config(quantizer, classes=3, features=2, context=1)
    return quantizer, rough_model(config), plane_tokens(config, quantizer, n, **conditions(n))
