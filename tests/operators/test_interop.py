"""Models that neuraloperator 2.0.0 wrote give the output that it stored with them; what does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sci.errors import FileFormatError, InvalidValueError
from sci.io import read_state_dict
from sci.operators import from_neuraloperator

DATA = Path(__file__).parents[1] / "data"


@pytest.mark.parametrize("name", ["fno", "tfno"])
def test_stored_models(name):
    model = from_neuraloperator(read_state_dict(DATA / f"neuraloperator_{name}.npz"))
    with np.load(DATA / f"neuraloperator_{name}_output.npz") as stored:
        x, y = stored["x"], stored["y"]
    np.testing.assert_allclose(model(x), y, rtol=0, atol=1e-5 * np.abs(y).max())


def test_what_does_not_fit_is_refused():
    state = read_state_dict(DATA / "neuraloperator_fno.npz")
    for changed, message in (
        ({}, "no state dict"),
        ({**state, "extra": np.zeros(3)}, "extra"),
        ({n: a for n, a in state.items() if n != "lifting.fcs.0.bias"}, r"lifting\.fcs\.0\.bias"),
        ({n: a for n, a in state.items() if "channel_mlp.0" not in n}, "channel_mlp"),
        ({**state, "lifting.fcs.0.bias": np.zeros(3, np.float32)}, "do not fit"),
        ({n: a for n, a in state.items() if not n.endswith("convs.1.weight.tensor")}, r"convs\.1"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            from_neuraloperator(changed)
    with pytest.raises(InvalidValueError):
        from_neuraloperator(state, norm="group")


def test_files_that_are_no_state_dict(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    np.savez(tmp_path / "pickled.npz", a=np.array([{}], dtype=object))
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("one.npy", "pickled.npz", "text.npz", "missing.npz"):
        with pytest.raises(FileFormatError, match="npz"):
            read_state_dict(tmp_path / name)
