"""Files of compressed models: there and back, codes of another model, damage."""

from __future__ import annotations

import json
from pathlib import Path

import coded_models
import h5py
import numpy as np
import pytest

from sci.compression import CompressedModel, compress_model
from sci.errors import FileFormatError
from sci.io import describe, load, save
from sci.nn import fingerprint
from sci.operators import FNO, TrainedOperator

RNG = np.random.default_rng(13)
MODEL, X = coded_models.operator("fno"), coded_models.fields("fno", RNG)


@pytest.fixture(scope="module")
def small() -> CompressedModel:
    """A compressed operator."""
    return compress_model(MODEL, 3, X, steps=3, sweeps=2)


@pytest.mark.parametrize("name", ["fno", "tucker", "uno"])
def test_files_give_the_model_back(name: str, tmp_path: Path) -> None:
    x = coded_models.fields(name, RNG)
    small = compress_model(coded_models.operator(name), 2, x, steps=2, sweeps=1)
    save(tmp_path / "small.h5", small)
    found = load(tmp_path / "small.h5")
    np.testing.assert_array_equal(found(x), small(x))
    assert found.reports == small.reports
    assert (found.original, found.halves, found.nbytes) == (small.original, small.halves, small.nbytes)
    assert fingerprint(found.parameters()) == fingerprint(small.parameters())
    save(tmp_path / "dense.h5", found.fold())
    np.testing.assert_allclose(load(tmp_path / "dense.h5")(x), small(x), rtol=0, atol=1e-4 * np.abs(small(x)).max())


def test_what_the_description_says(small: CompressedModel, tmp_path: Path) -> None:
    save(tmp_path / "small.h5", small)
    about = {name.partition("/")[2]: p["value"] for name, p in describe(tmp_path / "small.h5")["parameters"].items()}
    assert (about["bits"], about["bytes"], about["dense_bytes"]) == ("3", small.nbytes, small.dense_nbytes)
    assert about["ratio"] == small.ratio
    assert about["output_error"] == small.output_error


def test_codes_of_another_model_are_refused(small: CompressedModel, tmp_path: Path) -> None:
    save(tmp_path / "small.h5", small)
    other = compress_model(TrainedOperator(FNO((6, 6), 1, 1, 16, 2, seed=7)), 3, X, steps=3, sweeps=2)
    save(tmp_path / "other.h5", other)
    with h5py.File(tmp_path / "other.h5") as source, h5py.File(tmp_path / "small.h5", "r+") as target:
        del target["compressed_model/packed"]
        source.copy("compressed_model/packed", target["compressed_model"])
    with pytest.raises(FileFormatError, match="they belong to another one"):
        load(tmp_path / "small.h5")


@pytest.mark.parametrize("change", ["short", "long", "layout", "json", "class", "report"])
def test_damaged_files(small: CompressedModel, tmp_path: Path, change: str) -> None:
    save(tmp_path / "small.h5", small)
    with h5py.File(tmp_path / "small.h5", "r+") as file:
        group = file["compressed_model"]
        layout = json.loads(group.attrs["layout"])
        if change in ("short", "long"):
            layout[2][3][0] += 1 if change == "short" else -1
        elif change == "layout":
            layout[0] = ["odd"]
        elif change == "class":
            group.attrs["class"] = "particles_of_nobody"
        elif change == "report":
            group.attrs["reports"] = json.dumps({"w": {"bits": 2}})
        group.attrs["layout"] = "[" if change == "json" else json.dumps(layout)
    with pytest.raises(FileFormatError):
        load(tmp_path / "small.h5")
