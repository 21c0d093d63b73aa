"""Spectra in files: back as they were, labelled, and damage refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import make_objects, same

from sci.errors import FileFormatError
from sci.io import describe, load, load_arrays, save
from sci.linalg import Extremes, SpectralDensity, TraceEstimate
from sci.solvers import PoissonOperator, Spectrum, spectrum


def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    found = spectrum(PoissonOperator(np.ones((6, 7), bool), 1.0, "neumann"), probes=2, steps=9)
    save(tmp_path / "s.h5", found)
    assert same(load(tmp_path / "s.h5"), found)
    told = describe(tmp_path / "s.h5")
    assert told["kind"] == "spectrum"
    assert told["parameters"]["null_size"]["value"] == 1
    assert told["datasets"]["nodes"]["dims"] == told["datasets"]["weights"]["dims"] == ["node"]
    assert load_arrays(tmp_path / "s.h5")["weights"].dims == ("node",)


def test_errors_that_nobody_knows_stay_unknown(tmp_path: Path) -> None:
    density = SpectralDensity(np.ones(1), np.ones(1), 3)
    estimate = TraceEstimate(1.0, float("nan"), 0.0, 1, 1)
    save(tmp_path / "s.h5", Spectrum(density, Extremes(1.0, 1.0, float("inf"), float("inf")), estimate))
    found = load(tmp_path / "s.h5")
    assert np.isnan(found.log_determinant.standard_error)
    assert np.isnan(found.extremes.largest_error)
    assert found.extremes.largest == 1.0


@pytest.mark.parametrize("name", ["weights", "size", "largest", "log_determinant_value", "log_determinant_probes"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "s.h5"
    save(path, make_objects()["spectrum"])
    with h5py.File(path, "a") as file:
        del file[name]
    with pytest.raises(FileFormatError, match=name):
        load(path)


def test_nodes_have_to_ascend(tmp_path: Path) -> None:
    whole = make_objects()["spectrum"]
    assert isinstance(whole, Spectrum)
    density = SpectralDensity(whole.density.nodes[::-1].copy(), whole.density.weights, 60)
    save(tmp_path / "s.h5", Spectrum(density, whole.extremes, whole.log_determinant))
    with pytest.raises(FileFormatError, match="ascending"):
        load(tmp_path / "s.h5")
