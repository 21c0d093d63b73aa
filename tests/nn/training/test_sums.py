"""A state in shards trains as a whole one, and what needs whole arrays is refused."""

from __future__ import annotations

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import InvalidValueError
from sci.io import kinds, load, save
from sci.nn import Adam, AdamP, AdamW, ParameterLayout, Placement, linear, mean_squared_error, tanh, train
from sci.nn.training.sums import Sums

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))
Y = X @ RNG.normal(size=(3, 1))
START = {"a": RNG.normal(size=(7, 3)), "b": RNG.normal(size=(1, 7)), "c": RNG.normal(size=1)}
OPTIONS = {"optimizer": AdamW(0.01, rates={"a": 0.5}), "batch_size": 8, "average": 0.9, "clip": 0.5}

kinds()  # threads are no place for first imports


def loss(v, batch):
    return mean_squared_error(linear(tanh(linear(batch[0], v["a"])), v["b"], v["c"]), batch[1])


def near(found, expected):
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-13, atol=1e-15)


def test_shards_train_as_the_whole_state_and_go_on_from_files(tmp_path):
    serial = train(loss, START, (X, Y), epochs=3, **OPTIONS)

    def body(comm: ThreadComm):
        half = train(loss, START, (X, Y), epochs=2, shard=True, comm=comm, **OPTIONS)
        path = tmp_path / "half.h5"
        save(path, half, comm=comm)
        found = [half]
        for resume in (half, load(path), load(path, layout=half.layout)):
            options = {"epochs": 3, "shard": True, "resume": resume, "comm": comm}
            found.append(train(loss, START, (X, Y), **options, **OPTIONS))
        with pytest.raises(InvalidValueError, match="state in shards"):
            train(loss, START, (X, Y), epochs=3, resume=half, comm=comm, **OPTIONS)
        return found

    for half, *ends in on_ranks(3, body):
        assert half.optimizer["first"]["a"].shape == (7,)
        for end in ends:
            near(end.parameters, serial.parameters)
            np.testing.assert_allclose(end.losses, serial.losses, rtol=1e-13)
            near(end.optimizer["average"], serial.optimizer["average"])
        for end in ends[1:]:
            for name, array in ends[0].parameters.items():
                np.testing.assert_array_equal(end.parameters[name], array)
    whole = load(tmp_path / "half.h5")
    assert whole.optimizer["second"]["a"].shape == (7, 3)
    near(train(loss, START, (X, Y), epochs=3, resume=whole, **OPTIONS).parameters, serial.parameters)


def test_gradients_in_shards_have_the_bits_of_the_all_reduce():
    def body(comm: ThreadComm):
        own = {n: np.random.default_rng(comm.rank).normal(size=a.shape).astype("f4") for n, a in START.items()}
        layout = ParameterLayout.whole(own, comm)
        value, whole = Sums(layout, weighted=True).added(own, 0.3, 0.4)
        shares = Sums(ParameterLayout(layout.placements, comm, comm, sharded=True), weighted=True)
        again, parts = shares.added(own, 0.3, 0.4)
        assert again == value
        for name, part in shares.stepped(whole).items():
            np.testing.assert_array_equal(parts[name], part)

    on_ranks(3, body)


def test_optimizers_that_see_whole_arrays_are_refused():
    cut = ParameterLayout({"w": Placement((4, 2), 0, 0, 2), "v": Placement((3,), held=False)})
    sums = Sums(cut, weighted=False)
    with pytest.raises(InvalidValueError, match="AdamP sees whole arrays"):
        sums.fitting(AdamP(0.1))
    assert sums.fitting(Adam(0.1, rates={"w": 2.0, "v": 3.0})).rates == {"w": 2.0}
    assert Sums(ParameterLayout.whole(START), weighted=True).fitting(AdamP(0.1)) == AdamP(0.1)
    layout = ParameterLayout.whole(START)
    with pytest.raises(InvalidValueError, match="beside a layout"):
        on_ranks(2, lambda comm: train(loss, START, (X, Y), epochs=1, layout=layout, comm=comm, **OPTIONS))
