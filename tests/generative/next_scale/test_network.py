"""The transformer: its start, what a code can see, and its gradients."""

from __future__ import annotations

import numpy as np
from next_scale_cases import conditional, plane_quantizer, plane_tokens, rough_model, small_config
from scipy.special import erf

from sci.generative import NextScaleModel
from sci.generative.next_scale.tokens import ScaleTokens
from sci.nn import value_and_gradients


def layer_norm(x: np.ndarray) -> np.ndarray:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def dense_logits(model: NextScaleModel, tokens: ScaleTokens) -> np.ndarray:
    """Return the logits by array calls and a dense mask: the oracle."""
    c, p = model.config, model.parameters
    about = p["start"] + p["condition.labels"][tokens.condition.labels]
    about = about + tokens.condition.features @ p["condition.features"].T
    x = tokens.inputs @ p["input"].T + p["position"] + p["level"][c.levels]
    x = x + tokens.condition.context @ p["condition.context"].T
    x[:, : c.blocks[0]] += about[:, None]
    active = about / (1 + np.exp(-about))
    seen = c.levels[:, None] >= c.levels
    n, d = len(x), c.width // c.heads
    for layer in range(c.layers):
        own = {name.removeprefix(f"{layer}."): a for name, a in p.items() if name.startswith(f"{layer}.")}
        parts = (active @ own["norm.weight"].T + own["norm.bias"]).reshape(n, 6, 1, c.width)
        y = (1 + parts[:, 0]) * layer_norm(x) + parts[:, 1]
        q, k, v = ((y @ own[f"attention.{name}"].T).reshape(n, -1, c.heads, d).transpose(0, 2, 1, 3) for name in "qkv")
        q, k = (a / np.sqrt((a * a).mean(-1, keepdims=True) + 1e-6) / d**0.5 for a in (q, k))
        scores = q @ k.swapaxes(2, 3) * np.exp(np.minimum(own["attention.scale"], np.log(100)))
        weights = np.exp(np.where(seen, scores, -np.inf))
        mixed = (weights / weights.sum(-1, keepdims=True)) @ v
        mixed = mixed.transpose(0, 2, 1, 3).reshape(n, -1, c.width)
        x = x + parts[:, 2] * (mixed @ own["attention.o"].T + own["attention.o_bias"])
        y = (1 + parts[:, 3]) * layer_norm(x) + parts[:, 4]
        h = y @ own["mlp.up"].T + own["mlp.up_bias"]
        h = h * (1 + erf(h / 2**0.5)) / 2
        x = x + parts[:, 5] * (h @ own["mlp.down"].T + own["mlp.down_bias"])
    scale, shift = (active @ p["head.norm.weight"].T + p["head.norm.bias"]).reshape(n, 2, 1, c.width).swapaxes(0, 1)
    return ((1 + scale) * layer_norm(x) + shift) @ p["head.weight"].T + p["head.bias"]


def test_logits_are_those_of_a_dense_transformer() -> None:
    _, model, tokens = conditional()
    np.testing.assert_allclose(model(tokens), dense_logits(model, tokens), rtol=0, atol=1e-12)


def test_a_code_sees_its_scale_and_coarser_ones() -> None:
    quantizer = plane_quantizer()
    config = small_config(quantizer)
    model, tokens = rough_model(config), plane_tokens(config, quantizer, 2)
    before = model(tokens)
    for level, start in enumerate((0, 1, 5)):
        changed = tokens.inputs.copy()
        changed[:, start] += 1.0  # one token of the scale
        after = model(ScaleTokens(tokens.codes, changed))
        same = (after == before).all(axis=(0, 2))
        assert same.tolist() == (config.levels < level).tolist()


def test_a_start_does_not_depend_on_the_condition_but_at_the_first_scale() -> None:
    """Norms and gates start without the condition, and the gates are open."""
    quantizer = plane_quantizer()
    config = small_config(quantizer, classes=3)
    model = NextScaleModel.create(config, seed=4)
    again = NextScaleModel.create(config, seed=4)
    assert all((a == b).all() for a, b in zip(model.parameters.values(), again.parameters.values()))
    assert all(p.dtype == np.float32 for p in model.parameters.values())
    bias = model.parameters["1.norm.bias"].reshape(6, 8)
    assert bias.mean(axis=1).tolist() == [0, 0, 1, 0, 0, 1]
    np.testing.assert_allclose(np.exp(model.parameters["0.attention.scale"]), 4, rtol=1e-6)


def test_gradients_are_central_differences() -> None:
    _, model, tokens = conditional(2)
    _, gradients = value_and_gradients(lambda v: model.loss(v, tokens), model.parameters)
    rng, step = np.random.default_rng(0), 1e-6
    for name, gradient in gradients.items():
        direction = rng.normal(size=gradient.shape)
        ends = []
        for sign in (1, -1):
            moved = {**model.parameters, name: model.parameters[name] + sign * step * direction}
            ends.append(float(model.loss(moved, tokens)))
        slope = float((gradient * direction).sum())
        assert abs((ends[0] - ends[1]) / (2 * step) - slope) < 1e-8 * max(1.0, abs(slope)), name
        assert np.abs(gradient).max() > 0, name
