"""Model and checkpoint files: whatever the classes take comes back to the bit, and damage is an error of ours."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sci.errors import FileFormatError, InvalidValueError
from sci.io import load, save
from sci.nn import Checkpoint, Model

# Surrogates have no UTF-8, so no file can hold them.
TEXT = st.characters(exclude_categories=["Cs"])
NAMES = st.text(TEXT, min_size=1, max_size=12)
FINITE = {"allow_nan": False, "allow_infinity": False}
SHAPES = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
NUMBERS = st.sampled_from(["f4", "f8", "c8", "c16"]).flatmap(
    lambda dtype: hnp.arrays(np.dtype(dtype), SHAPES, elements=FINITE)
)
LEAVES = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(**FINITE) | st.text(TEXT, max_size=5)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=6
)
OPTIONS, PARAMETERS = st.dictionaries(NAMES, JSON, max_size=3), st.dictionaries(NAMES, NUMBERS, max_size=4)


def _same(a: dict, b: dict) -> bool:
    return list(a) == list(b) and all(
        x.dtype == y.dtype and x.shape == y.shape and x.tobytes() == y.tobytes() for x, y in zip(a.values(), b.values())
    )


@settings(max_examples=25, deadline=None, database=None)
@given(name=NAMES, options=OPTIONS, parameters=PARAMETERS)
def test_any_model_that_can_be_made_can_be_stored(tmp_path_factory, name, options, parameters):
    try:
        model = Model(name, options, parameters)
    except InvalidValueError:
        return
    path = tmp_path_factory.mktemp("model") / "m.h5"
    save(path, model)
    found = load(path)
    assert (found.name, found.options) == (name, options)
    assert _same(found.parameters, parameters)


def _saved(path: Path) -> Path:
    w = {"w": np.ones((2, 3), "f4")}
    save(path, Checkpoint(1, w, {"first": {"w": np.zeros((2, 3), "f4")}}, np.ones(1), {"l2": np.ones(1)}, {"seed": 0}))
    return path


def _to_integers(group: h5py.Group, name: str) -> None:
    del group[name]
    group[name] = np.ones(2, "i8")


DAMAGE = {
    "no losses": (lambda f: f.__delitem__("checkpoint/losses"), "losses is missing"),
    "no parameters": (lambda f: f.__delitem__("checkpoint/parameters"), "parameters is missing"),
    "no optimizer": (lambda f: f.__delitem__("checkpoint/optimizer"), "optimizer is missing"),
    "no part": (lambda f: f.__delitem__("checkpoint/optimizer/first"), "first is missing"),
    "array": (lambda f: f.__delitem__("checkpoint/parameters/w"), "not those of its datasets"),
    "extra": (lambda f: f.__setitem__("checkpoint/parameters/v", np.ones(2)), "not those of its datasets"),
    "integers": (lambda f: _to_integers(f["checkpoint/parameters"], "w"), "w has dtype int64"),
    "settings": (lambda f: f["checkpoint"].attrs.__setitem__("settings", np.bytes_("[]")), "expected a JSON object"),
    "no JSON": (lambda f: f["checkpoint"].attrs.__setitem__("settings", np.bytes_("{")), "damaged"),
    "names": (lambda f: f["checkpoint/optimizer"].attrs.__setitem__("names", np.bytes_("3")), "expected a JSON list"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damaged_checkpoints(tmp_path, case):
    damage, message = DAMAGE[case]
    path = _saved(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(FileFormatError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_nan_parameters_are_refused_on_reading(tmp_path):
    save(tmp_path / "a.h5", Model("M", {}, {"w": np.array([np.nan])}))
    with pytest.raises(FileFormatError, match="holds NaN"):
        load(tmp_path / "a.h5")
