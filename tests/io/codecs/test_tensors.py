"""Tensors and particles in files: factors that are missing or do not fit."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from samples import make_objects, same

from sci.errors import FileFormatError
from sci.io import load, save


def _replace(group: h5py.Group, name: str, value: np.ndarray) -> None:
    del group[name]
    group[name] = value


DAMAGE = {
    "no factors": ("tucker", lambda g: [g.__delitem__(f"factor_{k}") for k in range(3)], "holds 0 factors"),
    "one factor": ("cp", lambda g: [g.__delitem__(f"factor_{k}") for k in (1, 2)], "holds 1 factors"),
    "a gap": ("cp", lambda g: g.move("factor_1", "factor_7"), "factor_1 is missing"),
    "ranks": ("tucker", lambda g: _replace(g, "factor_0", np.ones((9, 3))), "factor"),
    "domain": (
        "chebtuck",
        lambda g: (g.__delitem__("domain"), g.__setitem__("domain", np.ones((2, 2)))),
        "domain has shape",
    ),
    "names": (
        "particles",
        lambda g: (g.__delitem__("names"), g.__setitem__("names", np.array([b"A"]))),
        "names has shape",
    ),
}


@pytest.mark.parametrize("name", ["cp", "tucker", "complex_tucker", "chebtuck", "particles", "bare_particles"])
def test_every_bit_comes_back(tmp_path, name):
    save(tmp_path / "a.h5", make_objects()[name])
    assert same(load(tmp_path / "a.h5"), make_objects()[name])


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_named(tmp_path, case):
    name, damage, message = DAMAGE[case]
    save(tmp_path / "a.h5", make_objects()[name])
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        damage(file[name])
    with pytest.raises(FileFormatError, match=message):
        load(tmp_path / "a.h5")
