"""Generation: the loop of draws, prompts, and TransNormer in batches against the whole recomputed."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import InvalidValueError, ShapeError
from sci.sequence import TransNormer
from sci.sequence.models.generation import Rule, continued, tokens_of

PROMPT = np.random.default_rng(5).integers(0, 17, (3, 6))


def model(dtype=np.float64):
    return TransNormer.create(seed=1, width=12, heads=3, layers=2, hidden=10, vocabulary=17, dtype=dtype)


def test_greedy_tokens_are_those_of_all_logits_recomputed():
    made = model().generate(PROMPT, 12, temperature=0)
    text = PROMPT
    for t in range(12):
        logits, _ = model().prefill(text)
        text = np.concatenate([text, logits[:, -1].argmax(axis=-1)[:, None]], axis=1)
        np.testing.assert_array_equal(made[:, t], text[:, -1])


@pytest.mark.parametrize("rule", [{}, {"temperature": 0.7, "top_k": 5}, {"top_p": 0.6}])
def test_each_row_is_drawn_by_its_own_numbers(rule):
    """What a row says depends neither on the rows beside it nor on how many tokens are asked for."""
    made = model().generate(PROMPT, 9, seed=3, **rule)
    assert made.shape == (3, 9)
    np.testing.assert_array_equal(model().generate(PROMPT[:1], 9, seed=3, **rule), made[:1])
    np.testing.assert_array_equal(model().generate(PROMPT, 4, seed=3, **rule), made[:, :4])
    assert (model().generate(PROMPT, 9, seed=4, **rule) != made).any()


def test_frequencies_of_the_first_token():
    """2,000 rows of one prompt draw the next token as often as the model says."""
    small = model()
    logits, _ = small.prefill(PROMPT[:1])
    weights = np.exp(logits[0, -1] / 0.5)
    expected = weights / weights.sum()
    drawn = small.generate(np.repeat(PROMPT[:1], 2000, axis=0), 1, temperature=0.5)[:, 0]
    found = np.bincount(drawn, minlength=17) / 2000
    assert np.abs(found - expected).max() < 5 * (0.25 / 2000) ** 0.5


def test_the_loop_reads_each_token_once():
    seen = []

    def read(given):
        seen.append(given.copy())
        return np.eye(5)[(given[:, -1] + 1) % 5]

    made = continued(read, np.array([[0, 1], [3, 3]]), 4, Rule(0.0, None, None, 0))
    assert made.tolist() == [[2, 3, 4, 0], [4, 0, 1, 2]]
    assert [given.shape for given in seen] == [(2, 2), (2, 1), (2, 1), (2, 1)]
    assert continued(read, np.array([[0]]), 0, Rule(0.0, None, None, 0)).shape == (1, 0)


def test_prompts():
    assert tokens_of(b"ab", 256, 1).tolist() == [[97, 98]]
    for prompt, error, says in (
        (b"", InvalidValueError, "expected a prompt"),
        (np.zeros((0, 3), int), InvalidValueError, "expected a prompt"),
        (np.zeros(3, int), ShapeError, "expected .rows, tokens. integers"),
        (np.zeros((1, 3)), ShapeError, "integers"),
        (np.array([[0, 17]]), InvalidValueError, "the token 17; expected 0 to 16"),
        (np.array([[-1, 3]]), InvalidValueError, "the token -1; expected 0 to 16"),
    ):
        with pytest.raises(error, match=says):
            tokens_of(prompt, 17, 1)
    with pytest.raises(InvalidValueError, match="n = -1"):
        tokens_of(PROMPT, 17, -1)
    with pytest.raises(InvalidValueError, match="seed is -1"):
        model().generate(PROMPT, 1, seed=-1)
    wide = TransNormer.create(seed=0, width=4, heads=1, layers=1, hidden=4, vocabulary=300)
    with pytest.raises(InvalidValueError, match="a prompt of bytes to 300 tokens"):
        wide.generate(b"ab", 1)
