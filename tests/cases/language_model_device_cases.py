"""The language model and the transformer on a grid on either side; see `device_cases`."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from sci.backend import to_device, to_host
from sci.nn import value_and_gradients
from sci.sequence import ParallelTransformer, TransNormer, rank_grid, token_loss, vocabulary_cross_entropy

Answers = list[np.ndarray]
RNG = np.random.default_rng(3)
BATCH = RNG.integers(0, 13, (2, 9))


def language_model(xp: ModuleType) -> Answers:
    """Loss and gradients, the block form and a step that goes on, and a text."""
    device = "cpu" if xp is np else "cuda"
    model = TransNormer.create(
        seed=0, width=8, heads=2, layers=2, hidden=6, vocabulary=13, dtype=np.float64, device=device
    )
    batch = to_device(BATCH, xp)
    loss, gradients = value_and_gradients(lambda v: model.loss(v, batch), model.parameters)
    logits, state = model.prefill(batch)
    step, _ = model.decode_step(batch[:, 0], state)
    text = np.frombuffer(model.generate(bytes([1, 2]), 5, temperature=0), np.uint8).astype(float)
    return [np.array(float(loss)), text, *(to_host(a) for a in (logits, step, *gradients.values()))]


def halves_and_text(xp: ModuleType) -> Answers:
    """Halved backward passes, blocks computed again and activations of two bytes in float32; a text from a cache."""
    answers = []
    for attention in ("softmax", "lightning"):
        model = ParallelTransformer(16, 2, 2, 24, 13, rank_grid(None), attention=attention)
        whole = model.whole(2, dtype=np.float32, device="cpu" if xp is np else "cuda")
        options = {"microbatches": 2, "schedule": "zb-h1", "recompute": "block", "activations": "bfloat16"}
        loss, gradients = model.loss_and_gradients(whole, to_device(np.tile(BATCH, (2, 2)), xp), **options)
        exact = model.whole(2, dtype=np.float64, device="cpu" if xp is np else "cuda")
        text = model.generate(exact, to_device(BATCH, xp), 5, temperature=0.7, top_k=4, seed=1)
        answers += [np.array([loss, *text.reshape(-1)]), *(to_host(g) for g in gradients.values())]
    return answers


def losses_with_padding(xp: ModuleType) -> Answers:
    """Both cross-entropies, and their gradients, where some labels are ignored."""
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 13, (2, 5))
    labels[0, 2:] = -100
    logits, labels = to_device(rng.normal(size=(2, 5, 13)), xp), to_device(labels, xp)
    answers = []
    for op, options in ((token_loss, {}), (vocabulary_cross_entropy, {"vocabulary": 13})):
        loss, residuals = op.forward(logits, labels, total=7, ignore_index=-100, **options)
        answers += [np.array(float(loss)), to_host(op.vjp(xp.ones(()), residuals)[0])]
    return answers


def parallel_transformer(xp: ModuleType) -> Answers:
    """All stages, layers and microbatches of a model on one rank."""
    answers = []
    for attention in ("softmax", "lightning"):
        model = ParallelTransformer(8, 2, 2, 6, 13, rank_grid(None), attention=attention, chunks=2)
        whole = model.whole(1, dtype=np.float64, device="cpu" if xp is np else "cuda")
        loss, gradients = model.loss_and_gradients(whole, to_device(BATCH, xp), microbatches=2, schedule="interleaved")
        answers += [np.array(loss), *(to_host(g) for g in gradients.values())]
    return answers


CASES = (language_model, losses_with_padding, parallel_transformer, halves_and_text)
