"""Two-byte numbers: rounding against its definition, limits, training, files of half the size."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

import sci.nn as P
from sci.errors import DTypeError, FileFormatError, InvalidValueError
from sci.io import load, save
from sci.nn import SGDP, Adam, ModelState, rounded, train
from sci.nn.storage import decoded, encoded

RNG = np.random.default_rng(6)
VALUES = (RNG.normal(size=4000) * 10.0 ** RNG.integers(-30, 30, 4000)).astype("f4")


def bfloat16_by_definition(x: float) -> float:
    """The nearest multiple of 2^(e - 7), ties to even, in exact arithmetic; e is the exponent of x, at least -126."""
    if x == 0:
        return 0.0
    e = max(int(np.floor(np.log2(abs(float(x))))), -126)
    unit = 2.0 ** (e - 7)
    return round(float(x) / unit) * unit  # Python rounds ties to even


def test_bfloat16_is_the_nearest_with_ties_to_even():
    ties = np.array([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 0.0, -0.0, 2**-130, 2**-149, 3.0e38], "f4")
    for values in (VALUES, ties):
        found = rounded({"w": values}, "bfloat16")["w"]
        np.testing.assert_array_equal(found, [bfloat16_by_definition(x) for x in values.astype(float)])
        assert found.dtype == np.float32
    assert np.isnan(decoded(encoded(np.array([np.nan, np.inf], "f4"), "bfloat16", "w"), "bfloat16", "f4")[0])


def test_float16_is_that_of_numpy_and_complex_numbers_are_two():
    z = (RNG.normal(size=(3, 2)) + 1j * RNG.normal(size=(3, 2))).astype("c8")
    found = rounded([z, {"w": z.real.copy()}], "float16")
    assert found[0].dtype == np.complex64
    np.testing.assert_array_equal(found[0].real, z.real.astype("f2").astype("f4"))
    np.testing.assert_array_equal(found[1]["w"], found[0].real)


def test_refusals():
    cases = [
        (lambda: rounded({"w": np.array([7e4], "f4")}, "float16"), InvalidValueError, "'w' has entries up to 7e"),
        (lambda: rounded({"w": np.array([3.4e38], "f4")}, "bfloat16"), InvalidValueError, "too large for bfloat16"),
        (lambda: rounded({"w": np.ones(2)}, "float16"), DTypeError, "dtype float64; expected float32"),
        (lambda: rounded({"w": np.ones(2, "f4")}, "float8"), InvalidValueError, "'float8'"),
        (
            lambda: ModelState("net", {}, {"w": np.full(2, 0.1, "f4")}, "bfloat16"),
            InvalidValueError,
            r"'w' has values that bfloat16 does not have; expected those of rounded",
        ),
    ]
    for call, error, message in cases:
        with pytest.raises(error, match=message):
            call()


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_files_have_half_the_size_and_the_same_values(tmp_path, storage):
    tree = {"layers": [RNG.normal(size=(64, 64)).astype("f4")], "z": RNG.normal(size=(9, 2)).astype("f4").view("c8")}
    near = rounded(tree, storage)
    save(tmp_path / "full.h5", ModelState("net", {}, near))
    save(tmp_path / "half.h5", ModelState("net", {}, near, storage))
    found = load(tmp_path / "half.h5")
    assert found.storage == storage
    assert found.parameters["z"].dtype == np.complex64
    np.testing.assert_array_equal(found.parameters["layers"][0], near["layers"][0])
    np.testing.assert_array_equal(found.parameters["z"], near["z"])
    sizes = [(tmp_path / name).stat().st_size for name in ("full.h5", "half.h5")]
    assert sizes[0] - sizes[1] > 2 * 64 * 64 - 2048
    with h5py.File(tmp_path / "half.h5", "r+") as file:
        file["model/parameters/z"].attrs["dtype"] = "float64"
    with pytest.raises(FileFormatError):
        load(tmp_path / "half.h5")


@pytest.mark.parametrize("storage", ["float16", "bfloat16"])
def test_small_steps_add_up_in_the_float32_parameters(storage):
    """A step of 1e-4 is lost beside 1 in two bytes; a hundred of them are not, and the loss saw rounded weights."""
    seen = []

    def loss(v, batch):
        seen.append(float(v["w"].value[0]))
        return P.sum(v["w"]) + 0.0 * P.mean(batch[0] * v["w"])

    data = (np.ones((100, 1), "f4"),)
    options = {"optimizer": SGDP(1e-4, momentum=0.0, delta=0.0), "epochs": 1, "batch_size": 1, "storage": storage}
    done = train(loss, {"w": np.ones(1, "f4")}, data, **options)
    assert done.parameters["w"][0] == pytest.approx(0.99, abs=1e-5)
    expected = {float(rounded({"w": np.array([w], "f4")}, storage)["w"][0]) for w in np.linspace(1, 0.99, 1000)}
    assert set(seen) <= expected
    assert len(set(seen)) > 1


def test_a_training_with_storage_goes_on_to_the_same_bits(tmp_path):
    x = RNG.normal(size=(24, 3)).astype("f4")
    y = x @ np.array([[1.0], [-2.0], [0.5]], "f4")

    def loss(v, batch):
        return P.mean_squared_error(P.linear(batch[0], v["w"]), batch[1])

    options = {"optimizer": Adam(0.05), "batch_size": 8, "storage": "bfloat16"}
    start = {"w": np.full((1, 3), 0.1, "f4")}
    whole = train(loss, start, (x, y), epochs=4, **options)
    save(tmp_path / "run.h5", train(loss, start, (x, y), epochs=2, **options))
    again = train(loss, start, (x, y), epochs=4, **options, resume=load(tmp_path / "run.h5"))
    assert again.parameters["w"].tobytes() == whole.parameters["w"].tobytes()
    with pytest.raises(InvalidValueError, match="storage: 'bfloat16' then, 'float16' now"):
        train(loss, start, (x, y), epochs=4, **{**options, "storage": "float16"}, resume=load(tmp_path / "run.h5"))
