"""Embedding and cross-entropy of a vocabulary on ranks as threads, against the whole vocabulary on one."""

from __future__ import annotations

import numpy as np
import pytest
from gradients import assert_vjp
from thread_ranks import ThreadComm, on_ranks

from sci.distributed import split
from sci.errors import InvalidValueError, ShapeError
from sci.sequence import token_loss, vocabulary_cross_entropy, vocabulary_embedding

VOCABULARY = 7
RNG = np.random.default_rng(1)
LOGITS = 20.0 * RNG.normal(size=(2, 5, VOCABULARY))
LABELS = RNG.integers(0, VOCABULARY, (2, 5))


def test_one_rank_has_the_token_loss() -> None:
    options = {"vocabulary": VOCABULARY, "total": 10}
    np.testing.assert_allclose(
        vocabulary_cross_entropy(LOGITS, LABELS, **options), token_loss(LOGITS, LABELS, total=10), rtol=1e-14
    )
    assert_vjp(vocabulary_cross_entropy, [LOGITS, LABELS], **options)


@pytest.mark.parametrize("ignore_index", [None, -100, 3])
@pytest.mark.parametrize("size", [2, 3])
def test_ranks_have_the_loss_and_gradients_of_one(size: int, ignore_index: int | None) -> None:
    labels = LABELS.copy()
    if ignore_index == -100:
        labels[0, 1:4] = -100
    options = {"vocabulary": VOCABULARY, "total": 7, "ignore_index": ignore_index}
    loss, residuals = token_loss.forward(LOGITS, labels, total=7, ignore_index=ignore_index)
    gradient = token_loss.vjp(np.float64(1.0), residuals)[0]

    def body(comm: ThreadComm) -> tuple[float, np.ndarray]:
        own = LOGITS[..., split(VOCABULARY, comm)]
        value, kept = vocabulary_cross_entropy.forward(own, labels, **options, comm=comm)
        return value, vocabulary_cross_entropy.vjp(np.float64(1.0), kept)[0]

    found = on_ranks(size, body)
    for rank, (value, part) in enumerate(found):
        np.testing.assert_allclose(value, loss, rtol=1e-13)
        expected = gradient[..., split(VOCABULARY, rank=rank, size=size)]
        np.testing.assert_allclose(part, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("bad", [-1, -100, VOCABULARY])
def test_labels_outside_the_vocabulary_are_an_error_on_all_ranks(bad: int) -> None:
    def body(comm: ThreadComm) -> str:
        labels = LABELS.copy()
        labels[1, 2] = bad
        own = LOGITS[..., split(VOCABULARY, comm)]
        with pytest.raises(InvalidValueError, match="outside of the vocabulary of 7") as caught:
            vocabulary_cross_entropy(own, labels, vocabulary=VOCABULARY, total=10, comm=comm)
        return str(caught.value)

    assert len(on_ranks(2, body)) == 2


def test_labels_that_differ_between_ranks_are_refused() -> None:
    def body(comm: ThreadComm) -> None:
        own = LOGITS[..., split(VOCABULARY, comm)]
        with pytest.raises(InvalidValueError, match="labels differs between ranks"):
            vocabulary_cross_entropy(own, (LABELS + comm.rank) % 7, vocabulary=VOCABULARY, total=10, comm=comm)

    on_ranks(2, body)


def test_rows_of_a_cut_table() -> None:
    table, tokens = RNG.normal(size=(VOCABULARY, 4)), LABELS

    def body(comm: ThreadComm, sequence: bool) -> np.ndarray:
        own = table[split(VOCABULARY, comm)].copy()
        return vocabulary_embedding(own, tokens, vocabulary=VOCABULARY, comm=comm, sequence=sequence)

    for part in on_ranks(3, lambda comm: body(comm, False)):
        np.testing.assert_array_equal(part, table[tokens])
    parts = on_ranks(3, lambda comm: body(comm, True))
    np.testing.assert_array_equal(np.concatenate(parts, axis=1), table[tokens])
    with pytest.raises(ShapeError, match=r"7 rows of the table on rank [01]; expected [34]"):
        on_ranks(2, lambda comm: vocabulary_embedding(table, tokens, vocabulary=VOCABULARY, comm=comm))
    with pytest.raises(InvalidValueError, match="a token is outside of the vocabulary of 7"):
        vocabulary_embedding(table, tokens + 3, vocabulary=VOCABULARY)
