"""A parallel transformer that reads token by token: its logits are those of the whole prefix read at once."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.sequence import ParallelTransformer, rank_grid
from sci.sequence.models.decoding import Decoder

PROMPT = np.random.default_rng(5).integers(0, 17, (2, 6))


@pytest.mark.parametrize("attention", ["softmax", "lightning"])
@pytest.mark.parametrize("chunks", [1, 2])
def test_logits_token_by_token(attention, chunks):
    model = ParallelTransformer(12, 3, 3, 10, 17, rank_grid(None), attention=attention, chunks=chunks)
    parameters = model.own(model.whole(2, dtype=np.float64))
    made = model.generate(parameters, PROMPT, 10, temperature=0)
    text, reader = PROMPT, Decoder(model, parameters)
    found = reader(text)
    for t in range(10):
        whole = Decoder(model, parameters)(text)
        np.testing.assert_allclose(found, whole, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(made[:, t], whole.argmax(axis=-1))
        text = np.concatenate([text, made[:, t : t + 1]], axis=1)
        found = reader(made[:, t : t + 1])
    np.testing.assert_array_equal(model.generate(parameters, PROMPT[:1], 10, seed=2), made_by(model, parameters)[:1])


def made_by(model, parameters):
    return model.generate(parameters, PROMPT, 10, seed=2)


def test_the_logits_are_those_of_the_loss():
    """exp(-loss) of one token is its probability."""
    model = ParallelTransformer(12, 3, 2, 10, 17, rank_grid(None))
    parameters = model.whole(2, dtype=np.float64)
    losses = []
    for length in (4, 5):
        loss, _ = model.loss_and_gradients(parameters, PROMPT[:1, : length + 1])
        losses.append(loss * length)
    logits = Decoder(model, parameters)(PROMPT[:1, :5])[0]
    weights = np.exp(logits - logits.max())
    np.testing.assert_allclose(losses[1] - losses[0], -np.log(weights[PROMPT[0, 5]] / weights.sum()), rtol=1e-10)


def test_what_is_refused():
    model = ParallelTransformer(8, 2, 1, 8, 11, rank_grid(None))
    parameters = model.whole(0)
    with pytest.raises(InvalidValueError, match="the token 16; expected 0 to 10"):
        model.generate(parameters, np.array([[16]]), 1)
    with pytest.raises(InvalidValueError, match="head are missing or unknown"):
        model.generate({n: p for n, p in parameters.items() if n != "head"}, np.array([[1]]), 1)
    with pytest.raises(InvalidValueError, match="top_k is 0"):
        model.generate(parameters, np.array([[1]]), 1, top_k=0)
