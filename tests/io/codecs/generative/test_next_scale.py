"""Next-scale models in files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import make_models, same

from sci.errors import InvalidValueError, SciError
from sci.io import load, save


def test_files_give_them_back(tmp_path: Path) -> None:
    model = make_models()["next_scale_model"]
    save(tmp_path / "model.h5", model)
    found = load(tmp_path / "model.h5")
    assert same(found, model)
    assert found.config.codebook == "0f" * 32


def test_options_that_do_not_fit_the_arrays_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    save(path, make_models()["next_scale_model"])
    with h5py.File(path, "r+") as file:
        options = file["next_scale_model"].attrs["options"]
        text = options.decode() if isinstance(options, bytes) else str(options)
        file["next_scale_model"].attrs["options"] = np.bytes_(text.replace('"layers": 1', '"layers": 2'))
    with pytest.raises(SciError, match="has shape None"):
        load(path)
    with pytest.raises(InvalidValueError):
        save(path, make_models()["next_scale_model"], overwrite=False)
