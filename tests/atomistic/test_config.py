"""Choices of a potential: JSON and back, and what is refused."""

from __future__ import annotations

import json

import pytest

from sci.atomistic import AtomisticConfig
from sci.atomistic.config import names_in
from sci.errors import InvalidValueError


def test_options_come_back_from_json():
    for charges in (None, "given", {"Cl": -1.0, "Na": 1.0}):
        config = AtomisticConfig(["Na", "Cl"], 4.5, channels=8, charges=charges)
        assert AtomisticConfig.from_options(json.loads(json.dumps(config.to_options()))) == config
    assert config.reach == 9.0
    with pytest.raises(InvalidValueError, match="width"):
        AtomisticConfig.from_options({"species": ["H"], "width": 3})
    assert names_in([("Na", "Cl"), ("K", "Cl")]) == ("Cl", "K", "Na")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"species": []}, "one at least"),
        ({"species": "NaCl"}, "different names"),
        ({"species": ["H", "H"]}, "different names"),
        ({"cutoff": -1.0}, "cutoff"),
        ({"layers": 0}, "layers is 0"),
        ({"message_degree": 3}, "message_degree is 3; expected an integer from 0 to 2"),
        ({"correlation": 5}, "correlation"),
        ({"tol": 1.0}, "tol"),
        ({"charges": {"H": 1.0, "O": 1.0}}, "differ in O"),
        ({"charges": {"H": float("inf")}}, "finite"),
        ({"charges": "found"}, "charges"),
        ({"charge_start": {"H": 1.0}}, "expected it with charges='learned' alone"),
        ({"charges": "learned", "charge_start": {"O": 1.0}}, "charge_start and species differ in H, O"),
        ({"charges": "learned", "charge_start": {"H": float("nan")}}, r"charge_start\['H'\] is nan"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(InvalidValueError, match=words):
        AtomisticConfig(**{"species": ["H"], **options})
