"""Deltas in files: back to the bit, a hundred in one small file, damage refused."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from samples import make_deltas, same

from sci.errors import FileFormatError
from sci.io import describe, load, save, write_text
from sci.nn import FreeWeight, LoLDU, MappedParameters, WeightDeltas


def test_they_come_back_as_they_were(tmp_path: Path) -> None:
    save(tmp_path / "d.h5", make_deltas())
    found = load(tmp_path / "d.h5")
    assert same(found, make_deltas())
    assert list(found.deltas) == ["low viscosity", "Ω"]
    assert describe(tmp_path / "d.h5")["kind"] == "weight_deltas"


def test_one_model_and_a_hundred_deltas(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = {f"{k}.weight": rng.normal(size=(64, 64)).astype("f4") for k in range(8)} | {"b": np.zeros(64, "f4")}
    maps = {name: LoLDU(w, 16) if w.ndim == 2 else FreeWeight(w) for name, w in model.items()}
    mapped = MappedParameters(model, maps)
    start = mapped.start()
    trained = [{name: (a + rng.normal(size=a.shape)).astype("f4") for name, a in start.items()} for _ in range(100)]
    deltas = WeightDeltas({f"case {k}": mapped.delta(one) for k, one in enumerate(trained)})
    save(tmp_path / "d.h5", deltas)
    size = (tmp_path / "d.h5").stat().st_size
    weights = sum(w.nbytes for w in model.values())
    assert size < 100 * weights / 15, "a delta costs less than a fifteenth of the model"
    found = load(tmp_path / "d.h5")
    for k in (0, 57, 99):
        folded, applied = mapped.fold(trained[k]), found.named(f"case {k}").applied(model)
        assert all(applied[name].tobytes() == folded[name].tobytes() for name in model)


@pytest.mark.parametrize("name", ["f4", "f8", "c8", "i8"])
def test_what_is_missing_is_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "d.h5"
    save(path, make_deltas())
    with h5py.File(path, "a") as file:
        del file[f"weight_deltas/delta0/{name}"]
    with pytest.raises(FileFormatError, match=name):
        load(path)


@pytest.mark.parametrize(
    "layout",
    [
        {},
        [["w", "free", [["value", "f4", [99]]]]],
        [["w", "free", [["value", "f4", [1]]]]],
        [["w", "free", [["value", "f4", [-1]]]]],
        [["w", "free", [["value", "f2", [1]]]]],
        [["w", "free"]],
        [["w", "free", []], ["w", "free", []]],
    ],
)
def test_a_damaged_layout_is_refused(tmp_path: Path, layout: object) -> None:
    path = tmp_path / "d.h5"
    save(path, make_deltas())
    with h5py.File(path, "a") as file:
        write_text(file["weight_deltas/delta0"], "layout", json.dumps(layout))
    with pytest.raises(FileFormatError, match="delta0"):
        load(path)


def test_a_missing_delta_is_named(tmp_path: Path) -> None:
    path = tmp_path / "d.h5"
    save(path, make_deltas())
    with h5py.File(path, "a") as file:
        del file["weight_deltas/delta1"]
    with pytest.raises(FileFormatError, match="delta1"):
        load(path)
