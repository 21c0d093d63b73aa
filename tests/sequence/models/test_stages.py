"""Recomputation in the models: gradients bit by bit, memory, and masks that are drawn again."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import Draws, Tape, add, checkpoint, dropout, linear, value_and_gradients
from sci.sequence import ParallelTransformer, TransNormer, rank_grid, softmax_attention

CHOICES = ["attention", "feedforward", "block", ["block", "none", "attention"]]


def transformer(attention="softmax"):
    return ParallelTransformer(16, 2, 3, 64, 17, rank_grid(None), attention=attention)


@pytest.mark.parametrize("recompute", CHOICES)
@pytest.mark.parametrize("attention", ["softmax", "lightning"])
@pytest.mark.parametrize("schedule", ["1f1b", "zb-h1"])
def test_gradients_of_the_transformer_bit_by_bit(recompute, attention, schedule):
    model, batch = transformer(attention), np.random.default_rng(0).integers(0, 17, (4, 9))
    whole = model.whole(1)
    loss, expected = model.loss_and_gradients(whole, batch, microbatches=2)
    again, found = model.loss_and_gradients(whole, batch, microbatches=2, schedule=schedule, recompute=recompute)
    assert again == loss
    for name, gradient in expected.items():
        np.testing.assert_array_equal(found[name], gradient, err_msg=name)


@pytest.mark.parametrize("recompute", CHOICES)
def test_gradients_of_transnormer_bit_by_bit(recompute):
    model = TransNormer.create(seed=1, width=12, heads=3, layers=3, hidden=40, vocabulary=17)
    batch = np.random.default_rng(0).integers(0, 17, (2, 9))
    loss, expected = value_and_gradients(lambda v: model.loss(v, batch), model.parameters)
    again, found = value_and_gradients(lambda v: model.loss(v, batch, recompute=recompute), model.parameters)
    assert again == loss
    for name, gradient in expected.items():
        np.testing.assert_array_equal(found[name], gradient, err_msg=name)


def test_masks_of_dropout_are_drawn_again():
    """Dropout by Draws, and the seed of attention weights, are the same in the second pass."""
    rows, dout = np.random.default_rng(1).normal(size=(2, 2, 3, 8, 4))

    def block(x, weight):
        mixed, _ = softmax_attention(x, x, linear(x, weight), causal=True, dropout=0.3, seed=5)
        return add(x, dropout(mixed, 0.4, Draws(7, 2), name="mixed"))

    def gradients(call):
        x, weight = Tape().watch((rows, np.linspace(-1, 1, 16).reshape(4, 4)))
        out = call(x, weight)
        out.backward(dout)
        return out.value, x.gradient, weight.gradient

    for kept, again in zip(gradients(block), gradients(lambda *a: checkpoint(block, *a))):
        np.testing.assert_array_equal(again, kept)


def test_memory_of_recomputation():
    """What is left of the activations of 6 layers: those of one, and the inputs of all."""
    model = TransNormer.create(seed=1, width=32, heads=2, layers=6, hidden=128, vocabulary=17)
    batch = np.random.default_rng(0).integers(0, 17, (2, 257))
    peaks = {}
    for recompute in ("none", "attention", "feedforward", "block"):
        tracemalloc.start()
        value_and_gradients(lambda v, r=recompute: model.loss(v, batch, recompute=r), model.parameters)
        peaks[recompute] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peaks["block"] < 0.35 * peaks["none"], peaks
    assert max(peaks["attention"], peaks["feedforward"]) < 0.75 * peaks["none"], peaks


def test_bad_choices():
    model = transformer()
    for wrong, says in ((["block"], "or one for each of 3 layers"), (["block", "none", "all"], "is 'all'; expected")):
        with pytest.raises(InvalidValueError, match=says):
            model.loss_and_gradients(model.whole(0), np.zeros((2, 5), int), recompute=wrong)
