"""Model and checkpoint files: whatever the classes take comes back to the bit, and damage is an error of ours."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from samples import make_models, same

from sci.errors import FileFormatError, InvalidValueError
from sci.io import load, model_codec, save
from sci.io.core import registry
from sci.nn import Checkpoint, ModelState
from sci.operators import TrainedOperator
from sci.solvers import DeepConjugateDirection

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
        model = ModelState(name, options, parameters)
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


def test_nan_parameters_are_not_written(tmp_path):
    with pytest.raises(InvalidValueError, match="parameters/w holds NaN"):
        save(tmp_path / "a.h5", ModelState("M", {}, {"w": np.array([np.nan])}))
    assert list(tmp_path.iterdir()) == []


class Line:
    """A model of a user."""

    def __init__(self, slope: np.ndarray) -> None:
        self.slope = slope

    def to_state(self) -> ModelState:
        return ModelState("any name", {"degree": 1}, {"slope": self.slope})

    @classmethod
    def from_state(cls, model: ModelState) -> Line:
        assert model.options == {"degree": 1}
        return cls(model.parameters["slope"])


def test_a_model_of_the_user_comes_back_as_one(tmp_path, monkeypatch):
    for table in ("_BY_NAME", "_BY_CLASS"):
        monkeypatch.setattr(registry, table, dict(getattr(registry, table)))
    with pytest.raises(InvalidValueError, match=r"cannot save a .*Line; expected"):
        save(tmp_path / "a.h5", Line(np.ones(2)))
    model_codec(Line, kind="line")
    save(tmp_path / "a.h5", Line(np.ones(2)))
    found = load(tmp_path / "a.h5")
    assert type(found) is Line
    assert found.slope.tolist() == [1.0, 1.0]


def test_the_network_of_directions_comes_back(tmp_path):
    network = DeepConjugateDirection(64, seed=3)
    save(tmp_path / "a.h5", network)
    found = load(tmp_path / "a.h5")
    assert type(found) is DeepConjugateDirection
    assert found.size == 64
    assert _same(found.parameters, network.parameters)


@pytest.mark.parametrize("name", ["TransNormer", "DeepConjugateDirection", "DirectionNetwork", "FNO", "Mine"])
def test_models_of_schema_1_are_named_by_their_class(tmp_path, name):
    """Every model had the kind "model" then; those of ours come back as themselves, the others as a ModelState."""
    models = make_models()
    expected = {
        "TransNormer": models["transnormer"],
        "DeepConjugateDirection": models["learned_multigrid"],
        "DirectionNetwork": DeepConjugateDirection(64),
        "FNO": models["trained_operator"],
        "Mine": ModelState("Mine", {"n": 3}, {"w": np.ones(2)}),
    }[name]
    stored = expected if isinstance(expected, ModelState) else expected.to_state()
    save(tmp_path / "a.h5", ModelState(name, stored.options, stored.parameters))
    assert type(load(tmp_path / "a.h5")) is ModelState, "in the present schema it stays one, whatever its name"
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file.attrs["schema_version"] = 1
    found = load(tmp_path / "a.h5")
    assert type(found) is type(expected)
    if isinstance(expected, DeepConjugateDirection):
        assert _same(found.parameters, expected.parameters)
    else:
        assert same(found, expected)
    if isinstance(expected, TrainedOperator):
        assert found.outputs is not None


def test_a_damaged_fno_is_named(tmp_path):
    save(tmp_path / "a.h5", make_models()["fno"])
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["fno"].attrs["options"] = np.bytes_('{"n_modes": [2, 2]}')
    with pytest.raises(FileFormatError, match="are not those of an FNO"):
        load(tmp_path / "a.h5")
