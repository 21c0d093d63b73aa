"""The transformer on a grid of one rank: sizes that do not fit, gradients against central differences."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DecompositionError, InvalidValueError
from sci.sequence import (
    ParallelTransformer,
    rank_grid,
)


def test_grids_and_models_that_do_not_fit():
    with pytest.raises(DecompositionError, match="on 1 ranks"):
        rank_grid(None, tensor=2)
    grid = rank_grid(None)
    assert grid.shape == (1, 1, 1, 1)
    with pytest.raises(DecompositionError, match="at least one on each"):
        ParallelTransformer(8, 2, 2, 8, 11, grid, chunks=3)
    with pytest.raises(InvalidValueError, match="heads that divide"):
        ParallelTransformer(8, 3, 2, 8, 11, grid)
    model = ParallelTransformer(8, 2, 2, 8, 11, grid)
    with pytest.raises(DecompositionError, match="expected \\(batch, n \\+ 1\\) integers"):
        model.loss_and_gradients(model.whole(0), np.zeros((3, 1), int))
    with pytest.raises(InvalidValueError, match="outside of the vocabulary"):
        model.loss_and_gradients(model.whole(0), np.full((2, 5), 11))


@pytest.mark.parametrize("attention", ["softmax", "lightning"])
def test_gradients_against_central_differences(attention):
    model = ParallelTransformer(8, 2, 2, 6, 11, rank_grid(None), attention=attention)
    whole, rng = model.whole(3, dtype=np.float64), np.random.default_rng(0)
    batch = rng.integers(0, 11, (2, 7))
    _, gradients = model.loss_and_gradients(whole, batch, microbatches=2)
    for name, p in whole.items():
        direction = rng.normal(size=p.shape)
        plus, minus = (model.loss_and_gradients({**whole, name: p + s * 1e-5 * direction}, batch)[0] for s in (1, -1))
        np.testing.assert_allclose((gradients[name] * direction).sum(), (plus - minus) / 2e-5, rtol=1e-5, atol=1e-9)


def test_rows_that_fill_up_a_batch_do_not_count():
    model = ParallelTransformer(8, 2, 2, 6, 11, rank_grid(None))
    whole, batch = model.whole(3, dtype=np.float64), np.random.default_rng(0).integers(0, 11, (3, 7))
    loss, gradients = model.loss_and_gradients(whole, batch)
    filled, others = model.loss_and_gradients(whole, batch, microbatches=2)
    assert filled == pytest.approx(loss, rel=1e-14)
    for name, gradient in gradients.items():
        np.testing.assert_allclose(others[name], gradient, rtol=1e-12, atol=1e-15)
    assert float(model.loss(whole, batch, microbatches=2)) == filled
