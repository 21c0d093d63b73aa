"""The loss of a grid of one rank as an op: its gradient, its value alone, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DecompositionError, InvalidValueError, ShapeError
from sci.nn import value_and_gradients
from sci.sequence import ParallelTransformer, rank_grid

MODEL = ParallelTransformer(8, 2, 4, 6, 11, rank_grid(None))
WHOLE = MODEL.whole(3, dtype=np.float64)
BATCH = np.random.default_rng(0).integers(0, 11, (5, 7))


@pytest.mark.parametrize(("schedule", "microbatches"), [("1f1b", 1), ("interleaved", 2), ("zb-h1", 3)])
def test_value_and_gradients_are_those_of_all_passes(schedule, microbatches):
    model = ParallelTransformer(8, 2, 4, 6, 11, rank_grid(None), chunks=2 if schedule == "interleaved" else 1)
    options = {"microbatches": microbatches, "schedule": schedule}
    loss, expected = MODEL.loss_and_gradients(WHOLE, BATCH)
    value, gradients = value_and_gradients(lambda v: 3.0 * model.loss(v, BATCH, **options), WHOLE)
    assert float(value) == pytest.approx(3 * loss, rel=1e-14)
    assert float(model.loss(WHOLE, BATCH, **options)) == pytest.approx(loss, rel=1e-14)
    for name, gradient in expected.items():
        np.testing.assert_allclose(gradients[name], 3 * gradient, rtol=1e-11, atol=1e-15)


def test_what_does_not_fit_is_refused():
    with pytest.raises(InvalidValueError, match="head are missing or unknown"):
        MODEL.loss({n: p for n, p in WHOLE.items() if n != "head"}, BATCH)
    with pytest.raises(ShapeError, match="the parameter head has shape"):
        MODEL.loss({**WHOLE, "head": np.ones((3, 8))}, BATCH)
    with pytest.raises(InvalidValueError, match="outside of the vocabulary"):
        MODEL.loss(WHOLE, BATCH - 1)
    with pytest.raises(DecompositionError, match="integers"):
        MODEL.loss(WHOLE, BATCH[:0])
