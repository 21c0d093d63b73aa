"""EquiNO models in files: the same predictions, and composites with laws that files do not hold."""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np
import pytest
from samples import make_models

from sci.applications import Composite, LinearElastic
from sci.errors import FileFormatError, InvalidValueError
from sci.io import load, save


def test_a_loaded_model_predicts_the_same_bits(tmp_path):
    model, strains = make_models()["equino"], np.array([[0.1, -0.2, 0.05]])
    save(tmp_path / "a.h5", model)
    found = load(tmp_path / "a.h5")
    for name in ("stress", "mean_stress", "tangent"):
        np.testing.assert_array_equal(getattr(found.predict(strains), name), getattr(model.predict(strains), name))
    np.testing.assert_array_equal(found.strain(strains), model.strain(strains))


def test_a_law_of_the_user_is_refused(tmp_path):
    @dataclass(frozen=True)
    class Mine(LinearElastic):
        pass

    with pytest.raises(InvalidValueError, match="a composite with a Mine; expected the laws"):
        save(tmp_path / "a.h5", Composite(np.zeros((2, 2), int), (Mine(1.0, 1.0),)))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("laws", "message"), [('[["mine", {}]]', "the law .* is unknown"), ("{}", "expected a JSON list")]
)
def test_damaged_laws(tmp_path, laws, message):
    save(tmp_path / "a.h5", Composite(np.zeros((2, 2), int), (LinearElastic(1.0, 1.0),)))
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        file["composite"].attrs["laws"] = np.bytes_(laws)
    with pytest.raises(FileFormatError, match=message):
        load(tmp_path / "a.h5")
