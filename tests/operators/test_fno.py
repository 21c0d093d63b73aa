"""FNO and TFNO: parameter counts, derivatives, the fused block against its layers, dtypes, refusals."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from gradients import assert_vjp

import sci.operators.fno.block
from sci.backend import Array
from sci.errors import DTypeError, InvalidValueError, ShapeError
from sci.kernels import launch
from sci.nn import Op, Tape, relative_l2, value_and_gradients, value_of
from sci.operators import FNO, TFNO, FNOConfig, SpectralConv
from sci.operators.fno import pointwise as block_module
from sci.operators.fno.block import BlockSpec, block
from sci.operators.fno.layers import fused_block, layered_block
from sci.operators.fno.model import parameter_shapes
from sci.operators.fno.perceptron import channel_mlp
from sci.operators.spectral import transform as spectral
from sci.operators.spectral.convolution import spectral_convolution
from sci.operators.spectral.modes import stored_modes
from sci.operators.spectral.weights import WeightFormat
from sci.tensor.contraction import network, products

# Table of the method sheet, complex numbers counted as two.
COUNTS = [
    (1_192_801, (16, 16), 32, {}),
    (140_521, (16, 16), 32, {"factorization": "tucker", "rank_fraction": 0.1}),
    (72_417, (16, 16), 32, {"factorization": "tucker", "rank_fraction": 0.05}),
    (132_673, (16, 16), 32, {"factorization": "cp", "rank_fraction": 0.1}),
    (134_761, (16, 16), 32, {"factorization": "tt", "rank_fraction": 0.1}),
    (340_833, (8, 8), 32, {}),
    (49_977, (8, 8), 32, {"factorization": "tucker", "rank_fraction": 0.1}),
    (69_265_345, (64, 64), 64, {"projection_ratio": 4}),
    (7_202_905, (64, 64), 64, {"factorization": "tucker", "rank_fraction": 0.1}),
    (745_153, (64, 64), 64, {"factorization": "cp", "rank_fraction": 0.01}),
    (2_634_657, (8, 8, 8), 32, {}),
    (264_217, (8, 8, 8), 32, {"factorization": "tucker", "rank_fraction": 0.1}),
    (133_529, (8, 8, 8), 32, {"factorization": "tucker", "rank_fraction": 0.05}),
    (345_665, (16,), 64, {}),
]


def normal(rng, *shape):
    return rng.normal(size=shape)


def double(model):
    return {
        n: p.astype(np.complex128 if p.dtype.kind == "c" else np.float64) + 0.05 for n, p in model.parameters.items()
    }


@pytest.mark.parametrize(("count", "n_modes", "hidden", "options"), COUNTS)
def test_parameter_counts(count, n_modes, hidden, options):
    shapes = parameter_shapes(FNOConfig(n_modes, 1, 1, hidden, **options))
    spectral = [n for n in shapes if ".spectral." in n and not n.endswith("bias")]
    assert sum(math.prod(shape) * (1 + (n in spectral)) for n, shape in shapes.items()) == count


def test_counts_of_models():
    assert FNO((8, 8), 1, 1, 32).n_parameters == 340_833
    assert TFNO((8, 8), 1, 1, 32).n_parameters == 49_977
    joint = TFNO((8, 8), 1, 1, 32, joint=True)
    assert joint.config.form().shape == (4, 32, 32, 8, 5)
    assert 35_000 < joint.n_parameters < 45_000


@pytest.mark.parametrize("grid", [(9,), (6, 7), (7, 6), (4, 5, 6)])
@pytest.mark.parametrize("other", [None, 3])
def test_gradients_of_a_spectral_convolution(grid, other):
    rng = np.random.default_rng(0)
    form = WeightFormat(2, 3, stored_modes((5, 4, 6)[-len(grid) :]))
    weights = form.initialize(rng, np, np.complex128)
    target = tuple(n + other for n in grid) if other else None
    arguments = [normal(rng, 2, 2, *grid), normal(rng, 3), *weights.values()]
    options = {"names": tuple(weights), "form": form, "grid": target}
    assert_vjp(spectral_convolution, arguments, **options)


def test_gradients_of_a_perceptron(monkeypatch):
    monkeypatch.setattr(block_module, "TILE_POINTS", 16)  # several tiles, the last one shorter
    rng = np.random.default_rng(0)
    shapes = ((2, 3, 5, 7), (6, 3), (6,), (4, 6), (4,))
    assert_vjp(channel_mlp, [normal(rng, *s) for s in shapes])


@pytest.mark.parametrize(
    ("factorization", "fno_skip", "mlp_skip"),
    [
        ("dense", "linear", "soft-gating"),
        ("tucker", "soft-gating", "linear"),
        ("dense", "identity", None),
        ("dense", None, "identity"),
    ],
)
def test_gradients_of_a_block(monkeypatch, factorization, fno_skip, mlp_skip):
    monkeypatch.setattr(block_module, "TILE_POINTS", 16)
    rng = np.random.default_rng(0)
    form = WeightFormat(4, 4, stored_modes((3, 4)), factorization, 0.5)
    weights = form.initialize(rng, np, np.complex128)
    arrays = {"bias": normal(rng, 4), **weights}
    for name, kind in (("skip", fno_skip), ("gate", mlp_skip)):
        if kind in ("linear", "soft-gating"):
            arrays[name] = normal(rng, *((4, 4) if kind == "linear" else (4,)))
    arrays.update(mlp_0=normal(rng, 2, 4), mlp_0_bias=normal(rng, 2))
    arrays.update(mlp_1=normal(rng, 4, 2), mlp_1_bias=normal(rng, 4))
    for activate in (True, False):
        spec = BlockSpec(form, tuple(arrays), 0, fno_skip, mlp_skip, activate)
        arguments = [normal(rng, 2, 4, 5, 7), *arrays.values()]
        assert_vjp(block, arguments, directions=1, spec=spec)
        kept, dropped = block.forward(*arguments, spec=spec)[0], block(*arguments, spec=spec)
        np.testing.assert_array_equal(kept, dropped)


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


@pytest.mark.parametrize("options", [{}, {"fno_skip": "identity", "channel_mlp_skip": "linear"}], ids=str)
def test_the_fused_block_is_its_layers(options):
    model = FNO((4, 6), 1, 1, 5, 3, **options)
    x = normal(np.random.default_rng(0), 2, 5, 9, 8)
    for layer in (0, 2):
        one, many = (f(double(model), x, model.config, layer) for f in (fused_block, layered_block))
        np.testing.assert_allclose(one, many, rtol=0, atol=1e-13)


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


def test_the_seed_decides():
    a, b, c = (FNO((4, 4), 1, 1, 8, seed=s).parameters for s in (3, 3, 4))
    assert all(np.array_equal(a[n], b[n]) for n in a)
    assert not any(np.array_equal(a[n], c[n]) for n in a if "mlp_skip" not in n)


def test_without_positions_a_model_commutes_with_shifts():
    model = FNO((4, 5), 1, 1, 6, positional_grid=False)
    x = normal(np.random.default_rng(0), 1, 1, 9, 10)
    shifted = np.roll(x, (2, 3), (2, 3))
    np.testing.assert_allclose(model(shifted), np.roll(model(x), (2, 3), (2, 3)), atol=1e-12)


def test_the_same_function_on_another_grid():
    """A band-limited input through one spectral convolution: values at shared points agree."""
    layer = SpectralConv.create(1, 2, (5, 5), seed=2)

    def sampled(n):
        i, j = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
        return (np.cos(2 * np.pi * (i + j)) + np.sin(4 * np.pi * i))[None, None]

    coarse, fine = layer(sampled(10)), layer(sampled(30))
    np.testing.assert_allclose(fine[..., ::3, ::3], coarse, atol=1e-12)
    np.testing.assert_allclose(layer(sampled(10), grid=(30, 30)), fine, atol=1e-12)


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


def test_the_block_moves_and_keeps_what_its_model_says(monkeypatch):
    """Bytes counted: of every array that the kernel is given, and of all that is allocated, in fields of a block."""
    moved = []

    def counted(kernel, grid, *arguments):
        moved.append(sum(a.nbytes for a in arguments if hasattr(a, "nbytes")))
        return launch(kernel, grid, *arguments)

    monkeypatch.setattr(block_module, "launch", counted)
    model = FNO((8, 8), 1, 1, 32, 2)
    x = np.ones((4, 32, 64, 64), np.float32)
    weights = sum(p.nbytes for n, p in model.parameters.items() if n.startswith("blocks.0."))
    for keep, fields, kept in ((True, 4, 3), (False, 3, 1)):
        moved.clear()
        parameters = Tape().watch(model.parameters) if keep else model.parameters
        fused_block(parameters, x, model.config, 0)  # matrices and kernels are in their caches
        tracemalloc.start()
        out = value_of(fused_block(parameters, x, model.config, 0))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert out.nbytes == x.nbytes
        if moved:  # v is read and written: one field more than arrays
            assert moved[-1] - weights < fields * x.nbytes < moved[-1] + weights
            # v (and out and slope) beside the rows of the half-transformed spectrum
            assert peak < (kept + 0.8) * x.nbytes


@pytest.mark.parametrize("factorization", ["dense", "tucker"])
def test_a_layer_on_a_device_moves_the_bytes_that_its_kernels_say(monkeypatch, factorization):
    """The path of a device, run by the host's kernels: the answer of the CPU's path, and the bytes of every launch."""
    model = FNO((16, 16), 1, 1, 32, 2, factorization=factorization, rank_fraction=0.1)
    x = np.random.default_rng(0).normal(size=(2, 32, 64, 64)).astype(np.float32)
    expected = fused_block(model.parameters, x, model.config, 0)
    moved: dict[str, int] = {}

    def counted(kernel, grid, *arguments):
        name, arrays = kernel.name.partition("<")[0], {id(a): a for a in arguments if hasattr(a, "nbytes")}
        moved[name] = moved.get(name, 0) + sum(a.nbytes for a in arrays.values())
        return launch(kernel, grid, *arguments)

    for module in (block_module, products):
        monkeypatch.setattr(module, "launch", counted)
    for module in (sci.operators.fno.block, network, spectral):
        monkeypatch.setattr(module, "is_device_array", lambda array: True)
    out = fused_block(model.parameters, x, model.config, 0)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    if set(moved) != {"row_product", "mode_product", "block_forward"}:
        pytest.skip("no compiler")
    spectrum, half = 8 * 2 * 32 * 144, 18 / 64 * x.nbytes
    if factorization == "dense":
        mixing = 8 * 32 * 32 * 144 + 2 * spectrum
    else:  # the core, expanded over one axis, then over both; the channels projected, mixed, and brought back
        r, q, s, t = model.config.form().ranks()
        mixing = 8 * r * q * (s * t + 2 * s * 9 + 2 * 144) + 2 * spectrum * (32 + r + q) / 32
    # Each kernel reads and writes once what its source says; matrices of waves and of the block are a few KiB.
    said = {
        "row_product": x.nbytes + half,
        "mode_product": 2 * half + 2 * spectrum + mixing,
        "block_forward": half + 2 * x.nbytes,
    }
    for name, count in said.items():
        assert count <= moved[name] < 1.03 * count, name
    assert sum(said.values()) < 33 * x.nbytes / 4  # single calls move 33 fields
