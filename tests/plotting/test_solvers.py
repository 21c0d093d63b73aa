"""The picture of iterations against size."""

from __future__ import annotations

import pytest

from sci.errors import InvalidValueError
from sci.plotting import plot_iterations


def test_it_draws_and_refuses_nothing(tmp_path):
    pytest.importorskip("matplotlib")
    plot_iterations({"a": [(64, 8), (32, 7)], "b": [(32, 9)]}, tmp_path / "x.png", title="Iterations")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    for nothing in ({}, {"a": []}):
        with pytest.raises(InvalidValueError, match="nothing"):
            plot_iterations(nothing, tmp_path / "y.png")
    assert not (tmp_path / "y.png").exists()
