"""The fused block: derivatives, and the bytes that it moves and keeps, on the CPU and on a device's path."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from gradients import assert_vjp

import sci.operators.fno.block
from sci.kernels import launch
from sci.nn import Tape, value_of
from sci.operators import FNO
from sci.operators.fno import pointwise as block_module
from sci.operators.fno import tiles
from sci.operators.fno.block import BlockSpec, block
from sci.operators.fno.layers import fused_block
from sci.operators.spectral import transform as spectral
from sci.operators.spectral.modes import stored_modes
from sci.operators.spectral.weights import WeightFormat
from sci.tensor.contraction import network, products


def normal(rng, *shape):
    return rng.normal(size=shape)


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
    monkeypatch.setattr(tiles, "TILE_POINTS", 16)
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
