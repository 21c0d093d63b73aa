"""Roles of parameters: the table of the maximal update rule, rates inside optimizers, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optimizer_steps import steps_of

from sci.errors import InvalidValueError
from sci.nn import SGDP, Adam, AdamP, AdamW, Role, initial_factors, rate_factors, rescaled, with_roles

RNG = np.random.default_rng(3)


def network(width: int, modes: int = 4) -> dict[str, Role]:
    return {
        "in": Role("input", 3, width),
        "in.bias": Role("bias", 3, width),
        "hidden": Role("hidden", width, width, scale_invariant="channel"),
        "hidden.bias": Role("bias", width, width),
        "spectral": Role("spectral", width, width, (modes, modes)),
        "gain": Role("gain", 1, width),
        "out": Role("output", width, 2),
        "out.bias": Role("bias", width, 2),
    }


WIDE, BASE = network(32, 16), network(8)


def test_the_table_of_adam() -> None:
    # k = 4 and s = 2: the columns of the table.
    initial = {"out": 0.5, "hidden.bias": 2.0, "out.bias": 2.0, "spectral": 2**-0.5}
    rates = {"hidden": 0.25, "out": 0.25, "spectral": 0.25 * 2**-0.5}
    assert initial_factors(WIDE, BASE) == pytest.approx({n: initial.get(n, 1.0) for n in WIDE})
    assert rate_factors(WIDE, BASE) == pytest.approx({n: rates.get(n, 1.0) for n in WIDE})


def test_the_table_of_gradient_descent() -> None:
    rates = {"in": 4.0, "in.bias": 4.0, "hidden.bias": 4.0, "gain": 4.0, "out": 0.25}
    found = rate_factors(network(32), BASE, rule="sgd")
    assert found == pytest.approx({n: rates.get(n, 1.0) for n in WIDE})
    with pytest.raises(InvalidValueError, match="steps of Adam"):
        rate_factors(WIDE, BASE, rule="sgd")


def test_the_base_model_is_as_it_was() -> None:
    assert set(initial_factors(BASE, BASE).values()) == set(rate_factors(BASE, BASE).values()) == {1.0}
    assert set(rate_factors(BASE, BASE, rule="sgd").values()) == {1.0}


def test_initial_values_keep_their_dtype_and_are_new() -> None:
    arrays = {n: RNG.normal(size=3).astype("c8" if n == "spectral" else "f4") for n in WIDE}
    found = rescaled(arrays, WIDE, BASE)
    for name, factor in initial_factors(WIDE, BASE).items():
        assert found[name].dtype == arrays[name].dtype
        np.testing.assert_allclose(found[name], arrays[name] * factor, rtol=1e-6)
        assert found[name] is not arrays[name]


@pytest.mark.parametrize("optimizer", [Adam(0.01), AdamW(0.01), AdamP(0.01, weight_decay=0.1), SGDP(0.01)])
def test_optimizers_step_by_their_factors(optimizer: Any) -> None:
    start = {n: RNG.normal(size=(4, 5)) for n in BASE}
    gradient = {n: RNG.normal(size=(4, 5)) for n in BASE}
    rule = "sgd" if isinstance(optimizer, SGDP) else "adam"
    modes = 4 if rule == "sgd" else 16
    known = with_roles(optimizer, network(32, modes), base=BASE)
    assert type(known) is type(optimizer)
    plain = with_roles(optimizer, network(32, modes))
    decay = optimizer.weight_decay if not isinstance(optimizer, SGDP) else 0.0
    steps = [steps_of(o, start, lambda w, t: gradient, 1) for o in (known, plain)]
    for name, factor in rate_factors(network(32, modes), BASE, rule=rule).items():
        kept = start[name] * (1 - 0.01 * decay * (0.1 if isinstance(optimizer, AdamP) and name == "hidden" else 1.0))
        np.testing.assert_allclose(steps[0][name] - kept, factor * (steps[1][name] - kept), rtol=1e-9, atol=1e-14)


def test_projecting_optimizers_learn_what_is_scale_invariant() -> None:
    assert with_roles(AdamP(), WIDE).scale_invariant == {"hidden": "channel"}
    assert with_roles(SGDP(scale_invariant={"in": "layer"}), WIDE).scale_invariant == {
        "hidden": "channel",
        "in": "layer",
    }


def test_what_has_no_rule_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="no rule"):
        with_roles(Adam(weight_decay=0.1), WIDE, base=BASE)
    with pytest.raises(InvalidValueError, match="do not have the same"):
        rate_factors(WIDE, {"in": WIDE["in"]})
    with pytest.raises(InvalidValueError, match="one number of channels"):
        rate_factors({"w": Role("input", 3, 8)}, {"w": Role("input", 2, 8)})
    with pytest.raises(InvalidValueError, match="in the base model"):
        rate_factors({"w": Role("hidden", 8, 8)}, {"w": Role("bias", 8, 8)})
    with pytest.raises(InvalidValueError, match="no logarithm"):
        rate_factors({"w": Role("spectral", 8, 8, (4,))}, {"w": Role("spectral", 8, 8, (1,))})
    with pytest.raises(InvalidValueError, match="no role"):
        rescaled({"v": np.ones(2)}, WIDE, BASE)
    with pytest.raises(InvalidValueError, match="names of parameters"):
        Adam(rates={"v": 1.0}).start({"w": np.ones(2)})
    with pytest.raises(InvalidValueError, match="rates"):
        Adam(rates={"v": -1.0})
    for bad in (("hidden", 0, 4), ("spectral", 4, 4), ("hidden", 4, 4, (3,))):
        with pytest.raises(InvalidValueError):
            Role(*bad)  # type: ignore[arg-type]
