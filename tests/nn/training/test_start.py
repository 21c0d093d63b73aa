"""The start of a training, and checkpoints that do not fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.nn import Adam, ParameterLayout
from sci.nn.training.options import Options
from sci.nn.training.start import started
from sci.nn.training.sums import Sums

OPTIONS = Options(8, 2, 4, 0, True, False, 1, None, 0.9, None, None, "l2", None, None, "epoch", False, 0, True)
W = {"w": np.ones(3, "f4")}
SUMS = Sums(ParameterLayout.whole(W), weighted=True)


def test_the_loop_has_arrays_of_its_own():
    run = started(W, Adam(), OPTIONS.fixed(), None, {}, OPTIONS, SUMS)
    assert sorted(run.optimizer) == ["average", "best", "first", "second"]
    assert {name for group in run.optimizer.values() for name in group} == {"w"}
    assert run.parameters["w"] is not W["w"]
    assert run.optimizer["best"]["w"] is not run.parameters["w"]
    again = started(W, Adam(), OPTIONS.fixed(), run, {}, OPTIONS, SUMS)
    assert again.optimizer["average"]["w"] is not run.optimizer["average"]["w"]


@pytest.mark.parametrize("change", [{"average": None}, {"monitor": None}, {"accumulate": 2}, {"draws": True}])
def test_what_only_one_of_the_trainings_has_is_named(change):
    run = started(W, Adam(), OPTIONS.fixed(), None, {}, OPTIONS, SUMS)
    other = replace(OPTIONS, **change)
    for first, second in ((run, other), (started(W, Adam(), other.fixed(), None, {}, other, SUMS), OPTIONS)):
        with pytest.raises(InvalidValueError, match=f"another training .*{next(iter(change))}: .* then, .* now"):
            started(W, Adam(), second.fixed(), first, {}, second, SUMS)


def test_another_horizon_is_told_as_what_follows_from_the_epochs():
    """Epochs that grow change a horizon that nobody gave: the message says which one to give."""
    settings = {"training": {"horizon": 10.0}}
    run = started(W, Adam(), settings, None, {}, OPTIONS, SUMS)
    with pytest.raises(
        InvalidValueError, match=r"horizon: 10\.0 then, 20\.0 now.* unless given, so give horizon 10\.0"
    ):
        started(W, Adam(), {"training": {"horizon": 20.0}}, run, {}, OPTIONS, SUMS)
    with pytest.raises(InvalidValueError) as caught:
        started(W, Adam(), {**settings, "seed": 3}, run, {}, OPTIONS, SUMS)
    assert "horizon" not in str(caught.value)


def test_parts_of_the_loop_are_no_parts_of_an_optimizer():
    class Odd:
        def start(self, parameters):
            return {"best": {}}

        def update(self, parameters, gradients, state, step, factor):
            pass

    with pytest.raises(InvalidValueError, match="a part 'best', a name of the loop"):
        started(W, Odd(), {}, None, {}, OPTIONS, SUMS)
