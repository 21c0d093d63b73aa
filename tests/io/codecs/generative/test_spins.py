"""Marginalization models and associative memories in files."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import make_models, same

from sci.errors import SciError
from sci.io import load, save


@pytest.mark.parametrize("kind", ["marginal_model", "dense_memory"])
def test_files_give_them_back(kind: str, tmp_path: Path) -> None:
    model = make_models()[kind]
    save(tmp_path / "model.h5", model)
    found = load(tmp_path / "model.h5")
    assert same(found, model)
    assert repr(found) == repr(model)


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [("marginal_model", '"layers": 1', "of shape None"), ("dense_memory", '"order": 4', "order is 9")],
)
def test_options_that_do_not_fit_the_arrays_are_an_error(kind: str, options: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    save(path, make_models()[kind])
    with h5py.File(path, "r+") as file:
        given = file[kind].attrs["options"]
        given = given.decode() if isinstance(given, bytes) else str(given)
        changed = options[:-1] + ("2" if kind == "marginal_model" else "9")
        assert options in given
        file[kind].attrs["options"] = np.bytes_(given.replace(options, changed))
    with pytest.raises(SciError, match=text):
        load(path)
