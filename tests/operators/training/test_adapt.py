"""Adaptation of operators: less error by few numbers, bound to its operator, the same merged; refusals by name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.errors import InvalidValueError, ShapeError
from sci.nn import Standardizer
from sci.operators import (
    FNO,
    IncrementalModes,
    TrainedOperator,
    TrainingConfig,
    adapt_operator,
    relative_errors,
    train_operator,
)

RNG = np.random.default_rng(0)
CONFIG = TrainingConfig(epochs=15, batch_size=8, learning_rate=1e-2, weight_decay=0.0, loss="l2")


def fields(n: int, scale: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Return random fields, and a saturated low-pass of them that is scaled and shifted."""
    x = RNG.normal(size=(n, 1, 12)).astype("f4")
    spectrum = np.fft.rfft(x)
    spectrum[..., 4:] = 0
    return x, (scale * np.tanh(np.fft.irfft(spectrum, 12)) + shift).astype("f4")


@pytest.fixture(scope="module")
def trained() -> TrainedOperator:
    config = TrainingConfig(epochs=20, batch_size=16, loss="l2")
    return train_operator(FNO((4,), 1, 1, 16, 2), *fields(96), config, standardize_inputs=True)[0]


@pytest.mark.parametrize("head", [True, False])
def test_an_adaptation_lowers_the_error_on_new_samples(trained: TrainedOperator, head: bool) -> None:
    x, y = fields(48, 2.0, 0.3)
    before = {name: p.copy() for name, p in trained.model.parameters.items()}
    adapted, delta, history = adapt_operator(trained, x, y, CONFIG, rank=8, head=head)
    test = fields(32, 2.0, 0.3)
    errors = [relative_errors(model(test[0]), test[1])["l2"] for model in (trained, adapted)]
    assert errors[1] < 0.8 * errors[0]
    for name, p in trained.model.parameters.items():
        np.testing.assert_array_equal(p, before[name])
    state = trained.to_state()
    merged = TrainedOperator.from_state(replace(state, parameters=delta.applied(state.parameters)))
    np.testing.assert_array_equal(merged(test[0]), adapted(test[0]))
    changed = {n for n, p in adapted.model.parameters.items() if not np.array_equal(p, before[n])}
    assert all(before[n].ndim == 2 or (head and n.startswith("projection.")) for n in changed)
    assert ("projection.1.bias" in changed) == head
    assert delta.n_numbers < (0.25 if head else 0.06) * trained.model.n_parameters
    assert history.step == 15 * 6


def test_a_delta_is_refused_on_an_operator_of_other_standardizers(trained: TrainedOperator) -> None:
    _, delta, _ = adapt_operator(trained, *fields(8), replace(CONFIG, epochs=1), rank=2)
    outputs = trained.outputs
    assert outputs is not None
    other = replace(trained, outputs=Standardizer(outputs.mean + 1, outputs.std, outputs.eps))
    with pytest.raises(InvalidValueError, match="belongs to a model"):
        delta.applied(other.to_state().parameters)


def test_ranks_share_the_batches(trained: TrainedOperator) -> None:
    x, y = fields(16, 2.0)
    config = replace(CONFIG, epochs=2)
    whole = adapt_operator(trained, x, y, config, rank=4)[0](x)

    def body(comm: Any) -> np.ndarray:
        return np.asarray(adapt_operator(trained, x, y, config, rank=4, comm=comm)[0](x))

    parts = on_ranks(2, body)
    np.testing.assert_array_equal(parts[0], parts[1])
    np.testing.assert_allclose(parts[0], whole, rtol=1e-4, atol=1e-4)


def test_refusals(trained: TrainedOperator) -> None:
    x, y = fields(8)
    with pytest.raises(InvalidValueError, match=r"weight_decay is 0\.0001"):
        adapt_operator(trained, x, y, replace(CONFIG, weight_decay=1e-4))
    with pytest.raises(InvalidValueError, match="square is True"):
        adapt_operator(trained, x, y, replace(CONFIG, square=True))
    with pytest.raises(InvalidValueError, match="incremental is given"):
        adapt_operator(trained, x, y, replace(CONFIG, incremental=IncrementalModes()))
    with pytest.raises(InvalidValueError, match="rank is 0"):
        adapt_operator(trained, x, y, CONFIG, rank=0)
    with pytest.raises(ShapeError, match="do not fit a model of 1 input"):
        adapt_operator(trained, np.concatenate([x, x], 1), y, CONFIG)
    with pytest.raises(InvalidValueError, match="n_modes"):
        adapt_operator(trained, x[..., :3], y[..., :3], CONFIG)
    model = trained.model
    low = {**model.parameters, "blocks.0.skip.weight": np.ones((16, 16), "f4")}
    flat = replace(trained, model=FNO.of(model.config, low))
    with pytest.raises(InvalidValueError, match=r"blocks\.0\.skip\.weight: .* rank is 8, and the weight has rank 1"):
        adapt_operator(flat, x, y, CONFIG, rank=8)
