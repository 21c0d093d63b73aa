"""Deltas belong to one model, change what they say, and come off without a trace."""

from __future__ import annotations

import numpy as np
import pytest

from sci.errors import DTypeError, InvalidValueError
from sci.nn import FreeWeight, LoLDU, MappedParameters, WeightChange, WeightDelta, WeightDeltas, fingerprint

RNG = np.random.default_rng(4)
MODEL = {"w": RNG.normal(size=(8, 6)).astype("f4"), "b": RNG.normal(size=8).astype("f4")}


def adapted() -> tuple[MappedParameters, dict[str, np.ndarray]]:
    mapped = MappedParameters(MODEL, {"w": LoLDU(MODEL["w"], 4), "b": FreeWeight(MODEL["b"])})
    return mapped, {name: a + np.float32(0.125) for name, a in mapped.start().items()}


def test_a_delta_gives_the_folded_model() -> None:
    mapped, trained = adapted()
    delta = mapped.delta(trained)
    folded, found = mapped.fold(trained), delta.applied(MODEL)
    for name in MODEL:
        np.testing.assert_array_equal(found[name], folded[name])
    assert delta.n_numbers == 4 + 1 + 8
    assert delta.nbytes == 4 * 13 + 4 * 2 * 8


def test_a_delta_of_another_model_is_refused() -> None:
    mapped, trained = adapted()
    delta = mapped.delta(trained)
    other = {**MODEL, "b": MODEL["b"].copy()}
    delta.applied(other)
    other["b"][3] = np.nextafter(other["b"][3], np.float32(9))
    for wrong in (other, {"w": MODEL["w"]}, {**MODEL, "w": MODEL["w"].astype("f8")}):
        with pytest.raises(InvalidValueError, match="the delta belongs to a model with the fingerprint"):
            delta.applied(wrong)


def test_the_fingerprint_does_not_depend_on_order_or_layout() -> None:
    turned = {"b": MODEL["b"], "w": np.asfortranarray(MODEL["w"])}
    assert fingerprint(turned) == fingerprint(MODEL)
    assert fingerprint({"w": MODEL["b"], "b": MODEL["w"]}) != fingerprint(MODEL)
    assert fingerprint({"w": MODEL["w"].reshape(6, 8), "b": MODEL["b"]}) != fingerprint(MODEL)
    with pytest.raises(DTypeError, match="dtype int64"):
        fingerprint({"w": np.arange(3)})


def test_refusals() -> None:
    with pytest.raises(InvalidValueError, match="fingerprint"):
        WeightDelta("abc", {})
    odd = WeightDelta(fingerprint(MODEL), {"w": WeightChange("dora", {})})
    with pytest.raises(InvalidValueError, match="kind 'dora'; expected one of free"):
        odd.applied(MODEL)
    gone = WeightDelta(fingerprint(MODEL), {"x": WeightChange("free", {"value": np.ones(1)})})
    with pytest.raises(InvalidValueError, match="changes x"):
        gone.applied(MODEL)
    one, two = WeightDelta("0" * 64, {}), WeightDelta("1" * 64, {})
    with pytest.raises(InvalidValueError, match="expected deltas of one model"):
        WeightDeltas({"a": one, "b": two})
    with pytest.raises(InvalidValueError, match="expected deltas of one model"):
        WeightDeltas({})
    with pytest.raises(InvalidValueError, match="'a/b'"):
        WeightDeltas({"a/b": one})
    both = WeightDeltas({"a": one, "b": one})
    assert both.named("b") is one
    with pytest.raises(InvalidValueError, match="no name was given of the deltas a, b"):
        both.named()
    with pytest.raises(InvalidValueError, match="'c' was given"):
        both.named("c")
