"""Compression of whole models: every kind of weight, errors, ranks, refusals."""

from __future__ import annotations

from typing import Any

import coded_models
import numpy as np
import pytest
from thread_ranks import on_ranks

from sci.compression import compress_model
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import flatten_tree

RNG = np.random.default_rng(12)


@pytest.mark.parametrize("name", coded_models.OPERATORS)
def test_operators_of_every_kind(name: str) -> None:
    model, x = coded_models.operator(name), coded_models.fields(name, RNG)
    small = compress_model(model, 4, x, steps=10, sweeps=2)
    wanted, found = model(x), small(x)
    assert found.shape == wanted.shape
    assert abs(np.linalg.norm(found - wanted) / np.linalg.norm(wanted) - small.output_error) < 1e-4
    assert small.output_error < 0.15
    np.testing.assert_allclose(small.fold()(x), found, rtol=0, atol=1e-4 * np.abs(found).max())
    assert small.ratio > 5
    without = {n for n, r in small.reports.items() if not r.calibrated}
    spectral = {n for n in small.reports if ".spectral" in f".{n}"}
    assert without == (spectral if name in ("complex", "sphere") else set())
    for report in small.reports.values():
        assert report.error <= report.start_error * (1 + 1e-6)


def test_learning_beats_codes_only_by_half() -> None:
    """In squared error of the outputs of each layer, and of the network, at 2 bits."""
    rng = np.random.default_rng(0)
    model, x = coded_models.perceptron(rng, (16, 64, 48, 5)), np.abs(rng.normal(size=(400, 16))).astype("f4")
    x[:, 8:] = x[:, :8] + 0.1 * x[:, 8:]
    plain = compress_model(model, 2, x, steps=0, sweeps=0)
    for options in ({"steps": 150, "sweeps": 0}, {"steps": 0, "sweeps": 10}, {"steps": 150, "sweeps": 10}):
        small = compress_model(model, 2, x, **options)
        for name, report in small.reports.items():
            assert report.start_error <= 1.3 * plain.reports[name].start_error
            assert report.error**2 < 0.5 * report.start_error**2
        assert small.output_error < 0.6 * plain.output_error
    assert plain.nbytes == small.nbytes
    assert all(r.error == r.start_error for r in plain.reports.values())


def test_convolutions_and_nested_parameters() -> None:
    model, x = coded_models.convolver(RNG), RNG.normal(size=(30, 3, 8, 8)).astype("f4")
    small = compress_model(model, 3, x)
    assert small.reports["first.kernel"].calibrated
    assert small.reports["second.0"].calibrated
    assert not small.reports["second.1"].calibrated, "multiply is linear in it, but no matrix product"
    assert small.reports["second.0"].error < 0.9 * small.reports["second.0"].start_error
    np.testing.assert_allclose(small.fold()(x), small(x), atol=1e-5)
    assert small.fold().parameters["second"][1].shape == (6, 8, 8)


def test_float64_models_and_eight_bits() -> None:
    model, x = coded_models.perceptron(RNG, dtype="f8"), RNG.normal(size=(50, 16))
    small = compress_model(model, 4, x, steps=5)
    assert small(x).dtype == np.float64
    assert small.ratio > 7.5
    large = coded_models.perceptron(RNG, (64, 128, 64), "f4")
    eight = compress_model(large, 8, RNG.normal(size=(50, 64)).astype("f4"), groups=1)
    assert eight.output_error < 0.01


def test_what_is_kept_is_kept() -> None:
    model, x = coded_models.perceptron(RNG), RNG.normal(size=(50, 16)).astype("f4")
    small = compress_model(model, 4, x, keep=["1.weight"], steps=2)
    assert set(small.codes) == {"0.weight", "2.weight"}
    kept = flatten_tree(small.parameters())["1.weight"]
    np.testing.assert_array_equal(kept, model.parameters["1.weight"].astype("f2").astype("f4"))
    assert "1.weight" in small.halves


@pytest.mark.parametrize("name", ["fno", "tucker"])
def test_every_number_of_ranks_makes_the_same_model(name: str) -> None:
    """Sums are rounded so that they are exact: codes and codebooks agree to the bit."""
    model, x = coded_models.operator(name), coded_models.fields(name, RNG, 7)
    options: dict[str, Any] = {"steps": 5, "sweeps": 2, "batch_size": 2}
    alone = compress_model(model, 3, x, **options)

    def work(comm: Any) -> Any:
        return compress_model(model, 3, x, **options, comm=comm)

    for small in on_ranks(3, work):
        assert small.output_error == alone.output_error
        assert small.reports == alone.reports
        for key, weight in small.codes.items():
            np.testing.assert_array_equal(weight.packed, alone.codes[key].packed)
            np.testing.assert_array_equal(weight.codebooks, alone.codes[key].codebooks)


def test_refusals() -> None:
    model, x = coded_models.operator("fno"), coded_models.fields("fno", RNG)
    with pytest.raises(InvalidValueError, match="bits is 5; expected one of 1, 2, 3, 4, 8"):
        compress_model(model, 5, x)
    with pytest.raises(InvalidValueError, match="0 calibration samples"):
        compress_model(model, 4, x[:0])
    with pytest.raises(ShapeError, match=r"expected \(batch, 1, \*grid\)"):
        compress_model(model, 4, np.ones((3, 2, 16, 16), "f4"))
    bad = x.copy()
    bad[1, 0, 2, 3] = np.nan
    with pytest.raises(InvalidValueError, match="samples holds 1 values that are NaN"):
        compress_model(model, 4, bad)
    with pytest.raises(InvalidValueError, match="groups is 1000; expected 1 to"):
        compress_model(model, 4, x, groups=1000)
    with pytest.raises(InvalidValueError, match="groups is 0"):
        compress_model(model, 4, x, groups=0)
    with pytest.raises(InvalidValueError, match="keep has nothing"):
        compress_model(model, 4, x, keep=["nothing"])
    with pytest.raises(InvalidValueError, match="steps=-1"):
        compress_model(model, 4, x, steps=-1)
    with pytest.raises(InvalidValueError, match="no weight is large enough"):
        compress_model(coded_models.perceptron(RNG, (4, 4)), 4, np.ones((3, 4), "f4"))
    with pytest.raises(InvalidValueError, match="has no to_state"):
        compress_model(lambda y: y, 4, x)
    with pytest.raises(DTypeError):
        compress_model(model, 4, x.astype(complex))
