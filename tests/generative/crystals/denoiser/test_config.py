"""The choices of a diffusion of crystals."""

from __future__ import annotations

from typing import Any

import pytest

from sci.errors import SciError
from sci.generative import CrystalConfig


def test_options_give_it_back() -> None:
    config = CrystalConfig("unet", (4, 8), 2, 50, "joint", "velocity", "fraction")
    assert CrystalConfig(**config.to_options()) == config


@pytest.mark.parametrize(
    "options",
    [
        {"network": "mlp"},
        {"predicts": "score"},
        {"representation": "matrix"},
        {"widths": (8, 8)},
        {"widths": (0,)},
        {"network": "unet"},
        {"network": "unet", "widths": (4, 5)},
        {"network": "unet", "widths": (4, 4, 4, 4)},
        {"depth": 0},
        {"steps": 1},
    ],
)
def test_what_fits_no_network_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SciError):
        CrystalConfig(**options)
