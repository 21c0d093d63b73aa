"""FNO and TFNO: derivatives, dtypes and grids, symmetry, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from sci.backend import Array
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.nn import Op, Tape, relative_l2, value_and_gradients
from sci.operators import FNO, TFNO


def normal(rng, *shape):
    return rng.normal(size=shape)


def double(model):
    return {
        n: p.astype(np.complex128 if p.dtype.kind == "c" else np.float64) + 0.05 for n, p in model.parameters.items()
    }


def test_counts_of_models():
    assert FNO((8, 8), 1, 1, 32).n_parameters == 340_833
    assert TFNO((8, 8), 1, 1, 32).n_parameters == 49_977
    joint = TFNO((8, 8), 1, 1, 32, joint=True)
    assert joint.config.form().shape == (4, 32, 32, 8, 5)
    assert 35_000 < joint.n_parameters < 45_000


OPTIONS = [
    {},
    {"norm": "instance"},
    {"norm": "group"},
    {"preactivation": True},
    {"preactivation": True, "norm": "group"},
    {"stabilizer": "tanh"},
    {"domain_padding": 0.2},
    {"domain_padding": (0.0, 0.3), "positional_grid": False},
    {"fno_skip": "soft-gating", "channel_mlp_skip": "linear"},
    {"fno_skip": "identity", "channel_mlp_skip": None},
    {"factorization": "tucker", "rank_fraction": 0.4, "joint": True},
    {"factorization": "cp", "rank_fraction": 0.4, "joint": True},
    {"factorization": "tt", "rank_fraction": 0.4, "joint": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_gradients_of_a_model(options):
    model = FNO((4, 3), 2, 1, 4, 2, seed=1, **options)
    rng = np.random.default_rng(0)
    x, target = normal(rng, 2, 2, 6, 5), normal(rng, 2, 1, 6, 5)
    parameters = double(model)

    def loss(variables, checkpoint=False):
        y = model.forward(variables, x, checkpoint=checkpoint)
        return relative_l2(y, target=target)

    value, gradients = value_and_gradients(loss, parameters)
    again, same = value_and_gradients(lambda v: loss(v, checkpoint=True), parameters)
    assert value == again
    for name, gradient in gradients.items():
        np.testing.assert_allclose(gradient, same[name], rtol=0, atol=1e-13, err_msg=name)
    for _ in range(4):
        steps = {
            n: normal(rng, *g.shape) + (1j * normal(rng, *g.shape) if g.dtype.kind == "c" else 0)
            for n, g in gradients.items()
        }
        ends = [loss({n: p + s * 1e-6 * steps[n] for n, p in parameters.items()}) for s in (1, -1)]
        found = sum(np.vdot(g, steps[n]).real for n, g in gradients.items())
        assert abs(found - (ends[0] - ends[1]) / 2e-6) < 1e-6 * abs(found)


def dtypes_in(thing, seen):
    """Every dtype among arrays within residuals."""
    if hasattr(thing, "dtype"):
        seen.add(str(thing.dtype))
    elif isinstance(thing, dict):
        for entry in thing.values():
            dtypes_in(entry, seen)
    elif isinstance(thing, tuple | list):
        for entry in thing:
            dtypes_in(entry, seen)
    return seen


class Watching(Tape):
    """A tape that notes the dtype of every array that comes out or is kept, forward and backward."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def record(self, op, out, cells, residuals):
        dtypes_in([out, residuals], self.seen)

        def watched_vjp(dout, kept):
            gradients = op.vjp(dout, kept)
            dtypes_in([dout, *gradients], self.seen)
            return gradients

        return super().record(Op(op.forward, watched_vjp), out, cells, residuals)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_no_float64_leaks_into_float32(options):
    model = FNO((4, 3), 1, 1, 4, 2, **options)
    tape = Watching()
    x = np.ones((2, 1, 6, 5), np.float32)
    y = model.forward(tape.watch(model.parameters), x)
    relative_l2(y, target=x).backward()
    assert tape.seen == {"float32", "complex64"}


def test_dtype_and_grid_are_those_of_the_input():
    for model in (FNO((4, 4), 1, 2, 8), TFNO((4, 4), 1, 2, 8, rank_fraction=0.5)):
        for dtype in (np.float32, np.float64):
            for grid in ((16, 16), (15, 8), (3, 2)):
                y = model(np.ones((2, 1, *grid), dtype))
                assert (y.dtype, y.shape) == (dtype, (2, 2, *grid))
    x = normal(np.random.default_rng(0), 1, 1, 12, 12)
    np.testing.assert_allclose(model(x.astype(np.float32)), model(x), atol=1e-5)


def test_without_positions_a_model_commutes_with_shifts():
    model = FNO((4, 5), 1, 1, 6, positional_grid=False)
    x = normal(np.random.default_rng(0), 1, 1, 9, 10)
    shifted = np.roll(x, (2, 3), (2, 3))
    np.testing.assert_allclose(model(shifted), np.roll(model(x), (2, 3), (2, 3)), atol=1e-12)


def test_bad_input_is_refused():
    model = FNO((4, 4), 2, 1, 8)
    with pytest.raises(ShapeError, match="expected"):
        model(np.ones((1, 1, 8, 8)))
    with pytest.raises(DTypeError, match="int64"):
        model(np.ones((1, 2, 8, 8), int))
    with pytest.raises(InvalidValueError, match="NaN"):
        model(np.full((1, 2, 8, 8), np.nan))
    for bad in ({"norm": "batch"}, {"fno_skip": "none"}, {"domain_padding": (0.1,)}, {"domain_padding": -1.0}):
        with pytest.raises(InvalidValueError):
            FNO((4, 4), 1, 1, 8, **bad)
    with pytest.raises(InvalidValueError, match="no such option"):
        FNO((4, 4), 1, 1, 8, modes=3)
    for hidden in (0, 2.5):
        with pytest.raises(InvalidValueError, match="hidden_channels"):
            FNO((4, 4), 1, 1, hidden)
    good: dict[str, Array] = dict(model.parameters)
    with pytest.raises(ShapeError, match=r"lifting\.0\.bias"):
        FNO((4, 4), 2, 1, 8, parameters={**good, "lifting.0.bias": np.zeros(3)})
    good.pop("lifting.0.bias")
    with pytest.raises(InvalidValueError, match="missing"):
        FNO((4, 4), 2, 1, 8, parameters=good)


def test_repr_tells_modes_parameters_and_bytes():
    text = repr(FNO((8, 8), 1, 1, 32))
    assert text == "FNO((8, 8), 1 -> 32 -> 1 channels, 4 layers, dense, 340,833 parameters, 1,363.3 kB)"
    joint = repr(TFNO((8, 8), 1, 2, 32, joint=True))
    assert joint.startswith("TFNO((8, 8), 1 -> 32 -> 2 channels, 4 layers, tucker (")
    assert "joint" in joint
