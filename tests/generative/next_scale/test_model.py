"""The next-scale model: its loss on ranks, nats by scale, and files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from next_scale_cases import conditional, line_quantizer, plane_tokens, rough_model, small_config
from thread_ranks import ThreadComm, on_ranks

from sci.compression import MultiScaleVQ
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.generative import NextScaleConfig, NextScaleModel
from sci.io import load, save
from sci.nn import ModelState, value_and_gradients


@pytest.mark.parametrize(
    ("size", "method", "layout"),
    [(2, "ring", "striped"), (3, "ulysses", "zigzag"), (4, "rsa", "contiguous"), (3, "ring", "striped")],
)
def test_ranks_share_the_codes_of_a_field(size: int, method: str, layout: str) -> None:
    _, model, tokens = conditional(3)
    keep = np.array([1.0, 0.0, 1.0])
    value, gradients = value_and_gradients(lambda v: model.loss(v, tokens, keep=keep), model.parameters)

    def body(comm: ThreadComm) -> None:
        options = {"keep": keep, "comm": comm, "method": method, "layout": layout}
        found, parts = value_and_gradients(lambda v: model.loss(v, tokens, **options), model.parameters)
        assert abs(found - value) < 1e-12
        for name, gradient in parts.items():
            np.testing.assert_allclose(gradient, gradients[name], rtol=0, atol=1e-12, err_msg=name)

    on_ranks(size, body)


def test_ranks_may_have_no_code() -> None:
    """Three codes of a field on four ranks."""
    quantizer = line_quantizer()
    model = rough_model(small_config(quantizer))
    tokens = plane_tokens(model.config, quantizer, 4)
    value, gradients = value_and_gradients(lambda v: model.loss(v, tokens), model.parameters)

    def body(comm: ThreadComm) -> None:
        found, parts = value_and_gradients(lambda v: model.loss(v, tokens, comm=comm), model.parameters)
        assert abs(found - value) < 1e-12
        assert all(np.abs(parts[name] - gradient).max() < 1e-12 for name, gradient in gradients.items())

    on_ranks(4, body)


def test_nats_are_the_loss_by_scale() -> None:
    _, model, tokens = conditional(5)
    nats = model.nats(tokens, batch_size=2)
    np.testing.assert_allclose(np.average(nats, weights=model.config.blocks), model.loss(model.parameters, tokens))
    flat = model.with_parameters({n: 0 * p for n, p in model.parameters.items()})
    np.testing.assert_allclose(flat.nats(tokens), np.log(7), rtol=1e-12)
    with pytest.raises(InvalidValueError, match="batch_size 0"):
        model.nats(tokens, batch_size=0)
    with pytest.raises(InvalidValueError, match="for 0 fields"):
        model.nats(tokens[np.arange(0)])


def test_files_give_the_model_back(tmp_path: Path) -> None:
    _, model, tokens = conditional(2)
    save(tmp_path / "model.h5", model)
    found = load(tmp_path / "model.h5")
    assert isinstance(found, NextScaleModel)
    assert found.config == model.config
    np.testing.assert_array_equal(found(tokens), model(tokens))
    assert repr(
        found
    ) == "NextScaleModel(scales 1, 2, 3; 7 codes, for labels, features, context, width 8, 2 layers; " + (
        f"{sum(p.size for p in model.parameters.values()):,} parameters)"
    )


def test_what_does_not_fit_is_named() -> None:
    quantizer, model, tokens = conditional(2)
    with pytest.raises(ShapeError, match="the parameter start of a NextScaleModel has shape None"):
        NextScaleModel(model.config, {})
    with pytest.raises(InvalidValueError, match="the file holds an FNO"):
        NextScaleModel.from_state(ModelState("FNO", {}, {}))
    with pytest.raises(InvalidValueError, match="variables have no start"):
        model.loss({n: p for n, p in model.parameters.items() if n != "start"}, tokens)
    with pytest.raises(ShapeError, match="keep has shape"):
        model.loss(model.parameters, tokens, keep=np.ones(3))
    bare = model.config.__class__(model.config.scales, 7, 2, width=8, heads=2)
    with pytest.raises(InvalidValueError, match="no labels, features, context"):
        model(plane_tokens(bare, quantizer, 2))


def test_states_with_parameters_that_are_no_numbers_are_refused() -> None:
    quantizer = MultiScaleVQ(np.array([[0.0], [1.0], [-1.0]]), [(1,), (2,)])
    model = NextScaleModel.create(NextScaleConfig.of(quantizer, width=8, heads=2, layers=1, classes=2))
    state = model.to_state()
    broken = {**state.parameters, "head.bias": np.full(3, np.nan, np.float32)}
    with pytest.raises(InvalidValueError, match=r"head\.bias"):
        NextScaleModel.from_state(ModelState(state.name, state.options, broken))
    with pytest.raises(DTypeError, match="complex"):
        model.with_parameters({**state.parameters, "head.bias": np.zeros(3, complex)})
