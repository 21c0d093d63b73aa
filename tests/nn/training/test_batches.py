"""Shares of a batch on ranks and in parts."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

import sci.nn as P
from sci.nn.training.batches import Batches
from sci.nn.training.data import Arrays, Order

X = np.random.default_rng(0).normal(size=(11, 3))
W = {"w": np.random.default_rng(1).normal(size=(1, 3))}


def loss(v, batch, first):
    return P.mean(P.tanh(P.linear(batch[0], v["w"])) ** 2)


@pytest.mark.parametrize("accumulate", [1, 2, 3, 20])
def test_parts_are_all_samples_in_order_and_their_mean_is_that_of_the_whole(accumulate):
    batches = Batches(Arrays((X,)), Order(11, 11, 0, False), accumulate, False, None)
    parts = batches.load(0)
    np.testing.assert_array_equal(np.concatenate([part.batch[0] for part in parts]), X)
    assert [part.first for part in parts] == np.cumsum([0, *(part.count for part in parts)])[:-1].tolist()
    assert len(parts) == min(accumulate, 11)
    value, gradients = batches.gradients(loss, W, parts)
    expected = P.value_and_gradients(lambda v: loss(v, (X,), 0), W)
    np.testing.assert_allclose(value, expected[0], rtol=1e-14)
    np.testing.assert_allclose(gradients["w"], expected[1]["w"], rtol=1e-13)


def test_ranks_have_places_in_the_whole_batch_and_some_have_no_samples():
    def body(comm: ThreadComm) -> tuple:
        plain, collective = (Batches(Arrays((X,)), Order(11, 2, 0, False), 2, c, comm) for c in (False, True))
        assert plain.gradients(loss, W, [])[0] == 0.0
        return [(p.first, p.count) for p in plain.load(1)], [(p.first, p.count) for p in collective.load(1)]

    found = on_ranks(3, body)
    assert sorted(place for own, _ in found for place in own) == [(0, 1), (1, 1)]
    assert [len(own) for _, own in found] == [2, 2, 2]
    assert repr(Batches(Arrays((X,)), Order(11, 2, 0, False), 1, False, None).load(5)[0]) == "Part(1 samples from 0)"
