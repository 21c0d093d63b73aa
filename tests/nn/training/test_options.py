"""The options of a training: ranges, and what a training that goes on has to share."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sci.errors import InvalidValueError
from sci.nn.training.options import Options

GOOD = Options(8, 2, 4, 0, True, False, 1, None, None, None, None, None, None, None, "epoch", False, 0, True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_samples": 0}, "the number of samples is 0"),
        ({"accumulate": 0}, "accumulate is 0; expected a positive integer"),
        ({"accumulate": 1.5}, "accumulate is 1.5"),
        ({"accumulate": 5}, "accumulate is 5 for batches of 4; expected at most batch_size"),
        ({"average": 1.0}, "average is 1.0; expected a decay between 0 and 1"),
        ({"average": 0.0}, "average is 0.0"),
        ({"patience": 0, "monitor": "l2"}, "patience is 0"),
        ({"patience": 3}, "patience is 3 without monitor"),
        ({"monitor": "l2", "evaluated": False}, "monitor is 'l2' without evaluate"),
        ({"prefetch": -1}, "prefetch is -1; expected an integer of 0 or more"),
        ({"storage": "float8"}, "storage is 'float8'"),
        ({"activations": "float16"}, "activations is 'float16'; expected 'bfloat16'"),
    ],
)
def test_refusals(change, message):
    with pytest.raises(InvalidValueError, match=message):
        replace(GOOD, **change)


def test_plain_options_are_not_noted():
    assert GOOD.fixed() == {}
    assert replace(GOOD, average=0.9, monitor="l2", patience=3, prefetch=2).fixed() == {"average": 0.9, "monitor": "l2"}
    assert "order" not in GOOD.compared()
    assert GOOD.compared()["prefetch"] == 0
