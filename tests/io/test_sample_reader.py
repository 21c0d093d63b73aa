"""Samples by their numbers: any order, on ranks, in trainings, and files that fail on the way."""

from __future__ import annotations

import threading

import h5py
import numpy as np
import pytest
from thread_ranks import on_ranks

from sci import nn
from sci.errors import DTypeError, FileFormatError, InvalidValueError, SciError
from sci.io import SampleReader, save_samples

RNG = np.random.default_rng(9)
X, Y = RNG.normal(size=(23, 2, 5)).astype("f4"), RNG.normal(size=(23, 1, 5)).astype("f4")


@pytest.fixture
def path(tmp_path):
    save_samples(tmp_path / "set.h5", X, Y, grid_axes=1)
    return tmp_path / "set.h5"


@pytest.mark.parametrize("indices", [[3], [4, 5, 6], [22, 0, 5, 5, 4], [], list(range(23)), [7, 2, 9, 8]])
def test_rows_are_those_of_the_arrays_in_any_order(path, indices):
    with SampleReader(path) as reader:
        assert len(reader) == 23
        for found, expected in zip(reader[np.array(indices, int)], (X, Y)):
            np.testing.assert_array_equal(found, expected[np.array(indices, int)])
            assert found.dtype == expected.dtype
    assert "23 samples, x (2, 5), y (1, 5)" in repr(reader)


def test_refusals(path):
    reader = SampleReader(path)
    for indices, error, message in (
        ([23], InvalidValueError, "samples 23 to 23; expected 0 to 22"),
        ([-1], InvalidValueError, "samples -1 to -1"),
        ([0.5], DTypeError, "expected an array of integers"),
        ([[1]], DTypeError, "expected an array of integers"),
    ):
        with pytest.raises(error, match=message):
            reader[np.array(indices)]
    reader.close()
    reader.close()
    with pytest.raises(InvalidValueError, match="this reader is closed"):
        reader[np.array([0])]
    with pytest.raises(FileFormatError):
        SampleReader(path.with_name("none.h5"))


def loss(v, batch):
    return nn.mean_squared_error(nn.tanh(nn.pointwise_conv(batch[0], v["w"])), batch[1])


def fit(data, comm=None, **options):
    start = {"w": np.full((1, 2), 0.3, "f4")}
    return nn.train(loss, start, data, optimizer=nn.Adam(1e-2), epochs=2, batch_size=6, comm=comm, **options)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_training_on_a_file_is_that_on_arrays_to_the_bit(path, prefetch):
    with SampleReader(path) as reader:
        done = fit(reader, prefetch=prefetch)
    assert done.parameters["w"].tobytes() == fit((X, Y)).parameters["w"].tobytes()

    def body(comm):
        with SampleReader(path) as own:
            return fit(own, comm, prefetch=prefetch).parameters["w"]

    expected = on_ranks(3, lambda comm: fit((X, Y), comm).parameters["w"])
    for found in on_ranks(3, body):
        assert found.tobytes() == expected[0].tobytes()


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_damaged_sample_is_an_error_on_all_ranks_that_names_it(path, prefetch):
    with h5py.File(path, "r+") as file:
        file["x"][17, 1, 2] = np.nan

    def body(comm):
        with SampleReader(path) as own, pytest.raises(SciError) as error:
            fit(own, comm, prefetch=prefetch)
        return str(error.value)

    for message in on_ranks(3, body):
        assert "x of sample 17 holds NaN or Inf" in message
    assert not [t for t in threading.enumerate() if t.name == "sci read ahead"]
