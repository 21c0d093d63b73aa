"""Windows of a text, and the loss of tokens with and without padding."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp

from sci.errors import InvalidValueError
from sci.sequence import TextWindows, token_loss

RNG = np.random.default_rng(5)


def test_windows_overlap_in_one_byte() -> None:
    windows = TextWindows(b"abcdefgh", 3)
    assert len(windows) == 2
    assert [bytes(row.astype(np.uint8)) for row in windows[np.array([1, 0])]] == [b"defg", b"abcd"]
    assert repr(windows) == "TextWindows(8 bytes, 2 windows of 3 tokens)"
    with pytest.raises(InvalidValueError, match="longer text"):
        TextWindows(b"short", 5)


@pytest.mark.parametrize("padding", [-1, -100, 4])
def test_ignored_labels_are_as_if_they_were_not_there(padding: int) -> None:
    logits, labels = RNG.normal(size=(2, 6, 5)), RNG.integers(0, 4, (2, 6))
    labels[0, 4:] = labels[1, 0] = padding
    kept = labels != padding
    loss, residuals = token_loss.forward(logits, labels, total=9, ignore_index=padding)
    alone, part = token_loss.forward(logits[kept], labels[kept], total=9)
    np.testing.assert_allclose(loss, alone, rtol=1e-14)
    gradient, none = token_loss.vjp(np.float64(1.0), residuals)
    assert none is None
    assert not gradient[~kept].any()
    np.testing.assert_array_equal(gradient[kept], token_loss.vjp(np.float64(1.0), part)[0])
    assert_vjp(token_loss, [logits, labels], total=9, ignore_index=padding)


@pytest.mark.parametrize("bad", [-1, -100, 5])
def test_labels_outside_the_vocabulary_are_refused(bad: int) -> None:
    labels = np.array([0, bad, 3])
    with pytest.raises(InvalidValueError, match=f"outside of the vocabulary of 5, the first of them {bad};"):
        token_loss(RNG.normal(size=(3, 5)), labels, total=3)


def test_nothing_but_padding_has_no_loss() -> None:
    labels = np.full(3, -100)
    loss, residuals = token_loss.forward(RNG.normal(size=(3, 5)), labels, total=1, ignore_index=-100)
    assert loss == 0
    assert not token_loss.vjp(np.float64(1.0), residuals)[0].any()
