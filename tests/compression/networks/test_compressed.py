"""Compressed models: sizes, the model that they belong to, refusals."""

from __future__ import annotations

import coded_models
import numpy as np
import pytest

from sci.compression import CompressedModel, WeightReport, compress_model
from sci.errors import InvalidValueError

RNG = np.random.default_rng(13)
MODEL, X = coded_models.operator("fno"), coded_models.fields("fno", RNG)


@pytest.fixture(scope="module")
def small() -> CompressedModel:
    """A compressed operator."""
    return compress_model(MODEL, 3, X, steps=3, sweeps=2)


def test_sizes(small: CompressedModel) -> None:
    assert small.dense_nbytes == sum(a.nbytes for a in MODEL.to_state().parameters.values())
    coded = sum(c.nbytes for c in small.codes.values())
    rest = [a for n, a in small.state.parameters.items() if n not in small.codes]
    assert coded + sum(a.nbytes for a in rest) // 2 == small.nbytes
    assert small.ratio == small.dense_nbytes / small.nbytes
    assert small.bits == "3"
    assert "3 bits" in repr(small)
    assert (
        repr(WeightReport(2, 1, 0.5, 0.25, False)) == "WeightReport(2 bits, 1 group, error of the entries 0.5 -> 0.25)"
    )


def test_the_codes_know_their_model(small: CompressedModel) -> None:
    small.require(MODEL)
    with pytest.raises(InvalidValueError, match="expected the model that was compressed"):
        small.require(coded_models.operator("tucker"))
    with pytest.raises(InvalidValueError, match="expected the model that was compressed"):
        small.require(small.fold())


def test_refusals(small: CompressedModel) -> None:
    with pytest.raises(InvalidValueError, match="without a weight of codes"):
        CompressedModel(type(MODEL), MODEL.to_state(), small.original)
    with pytest.raises(InvalidValueError, match="of nothing"):
        CompressedModel(small.cls, small.state, small.original, halves=["nothing"])
    name = next(n for n, a in MODEL.to_state().parameters.items() if n.endswith("bias"))
    state = type(small.state)(
        small.state.name, small.state.options, {**small.state.parameters, name: np.full(64, 1 / 3)}
    )
    with pytest.raises(InvalidValueError, match="float16 does not have"):
        CompressedModel(small.cls, state, small.original, halves=[name])
