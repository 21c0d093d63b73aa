"""Models that neuraloperator 2.0.0 wrote give the output that it stored with them; what does not fit is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from sci.errors import InvalidValueError
from sci.io import read_state_dict
from sci.operators import FNO, SFNO, TFNO, UNO, from_neuraloperator

DATA = Path(__file__).parents[2] / "data"


CLASSES = {"fno": FNO, "tfno": TFNO, "sfno": SFNO, "complex": FNO, "separable": FNO, "scaled": FNO, "uno": UNO}


@pytest.mark.parametrize("name", CLASSES)
def test_stored_models(name):
    state = read_state_dict(DATA / f"neuraloperator_{name}.npz")
    model = from_neuraloperator(state, assume_defaults="_metadata" not in state)
    assert type(model) is CLASSES[name]
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
            from_neuraloperator(changed, assume_defaults=True)
    with pytest.raises(InvalidValueError):
        from_neuraloperator(state, assume_defaults=True, norm="group")


def with_metadata(**options):
    state = read_state_dict(DATA / "neuraloperator_fno.npz")
    return {**state, "_metadata": json.dumps({"args": [[4, 6]], "_name": "FNO", **options})}


def test_something_must_say_what_the_options_are():
    with pytest.raises(InvalidValueError, match="no _metadata"):
        from_neuraloperator(read_state_dict(DATA / "neuraloperator_fno.npz"))
    with pytest.raises(InvalidValueError, match="give none in the call"):
        from_neuraloperator(with_metadata(), stabilizer="tanh")
    assert from_neuraloperator(with_metadata(stabilizer="tanh")).config.stabilizer == "tanh"


def test_boundaries_of_the_grid_become_weights_of_the_lifting():
    """Coordinates a + (b - a) p are what the same model without a grid sees as channels."""
    boundaries = [[-1.0, 3.0], [2.0, 2.5]]
    model = from_neuraloperator(with_metadata(positional_embedding={"grid_boundaries": boundaries}))
    plain = from_neuraloperator(read_state_dict(DATA / "neuraloperator_fno.npz"), assume_defaults=True)
    options = {**asdict(plain.config), "positional_grid": False, "in_channels": 4}
    open_model = FNO(parameters=plain.parameters, **options)
    x = np.random.default_rng(0).normal(size=(2, 2, 8, 9))
    axes = [a + (b - a) * np.arange(n) / n for (a, b), n in zip(boundaries, x.shape[2:])]
    grid = np.broadcast_to(np.stack(np.meshgrid(*axes, indexing="ij")), (2, 2, 8, 9))
    np.testing.assert_allclose(model(x), open_model(np.concatenate([x, grid], axis=1)), rtol=0, atol=1e-6)


def test_of_more_stored_modes_those_in_use_are_kept():
    """Weights of the wavenumbers that a model with fewer modes uses: the others do not act."""
    model = from_neuraloperator(with_metadata(max_n_modes=[4, 6], n_modes=[2, 4], args=[]))
    full = from_neuraloperator(with_metadata())
    assert model.config.n_modes == (2, 4)
    kept = full.parameters["blocks.0.spectral.weight"][1:3, :3]
    np.testing.assert_array_equal(model.parameters["blocks.0.spectral.weight"], kept)
    with pytest.raises(InvalidValueError, match="at most as many"):
        from_neuraloperator(with_metadata(n_modes=[8, 6], args=[]))


def test_other_conventions_are_other_outputs():
    """The right transforms of the same weights differ from that library's, which misplaces wavenumbers."""
    for name in ("scaled", "complex", "uno"):
        model = from_neuraloperator(read_state_dict(DATA / f"neuraloperator_{name}.npz"))
        assert model.config.conventions == "neuraloperator"
        right = type(model).of(replace(model.config, conventions="exact"), model.parameters)
        with np.load(DATA / f"neuraloperator_{name}_output.npz") as stored:
            x, y = stored["x"], stored["y"]
        assert right(x).shape == y.shape
        assert np.abs(right(x) - y).max() > 1e-3 * np.abs(y).max()


def test_a_uno_that_does_not_fit_is_refused():
    state = read_state_dict(DATA / "neuraloperator_uno.npz")
    for changed, message in (
        ({**state, "extra": np.zeros(3)}, "extra"),
        ({n: a for n, a in state.items() if n != "fno_blocks.1.convs.0.bias"}, r"convs\.1\.bias"),
        ({**state, "projection.fcs.0.bias": np.zeros(3, np.float32)}, "do not fit"),
    ):
        with pytest.raises(InvalidValueError, match=message):
            from_neuraloperator(changed)
