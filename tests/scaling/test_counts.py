"""Counts and memory from a model's own code on shapes, against formulas and against the memory of real steps."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

from sci.backend import shape_array
from sci.errors import DTypeError, InvalidValueError
from sci.kernels import get_kernel, launch
from sci.nn import AdamW, SPDNet, UNet, UNetConfig, linear, op, value_and_gradients
from sci.operators import FNO, SFNO, TFNO, UNO, MultigridPatches, TrainingConfig, patch_loss
from sci.operators.training.loop import batch_loss
from sci.scaling import Counts, count, inference_memory, training_memory
from sci.sequence import TransNormer
from sci.solvers import CycleModel
from sci.solvers.dcdm.network import BRANCHES, CHANNELS, initial_network, network
from sci.solvers.learned.levels import first_level, hierarchy
from sci.solvers.learned.reference import cycle_of, vcycle


def fno_flops(batch: int, grid: int, modes: int, width: int, layers: int) -> tuple[int, int]:
    """Multiply-adds and activations of a dense plane FNO of one input channel whose transforms are products."""
    points, columns, q = grid**2, modes // 2 + 1, modes // 2
    pointwise = layers * (2 * width**2) + (3 * 2 * width + 2 * width * width) + (2 * width * width + 2 * width)
    rows = width * grid * grid * 2 * columns  # along the last axis, each way
    columns_of_modes = width * 2 * columns * grid * (2 * q + 1)  # along the first one
    mixing = 4 * modes * columns * width**2
    flops = batch * (points * pointwise + layers * (2 * rows + 2 * columns_of_modes + mixing))
    activations = batch * points * (layers * (3 * width + width // 2) + 3 * width + 2 * width + 1)
    return flops, activations


@pytest.mark.parametrize(("batch", "grid", "modes", "width", "layers"), [(2, 32, 8, 16, 2), (1, 64, 16, 32, 4)])
def test_an_fno_is_counted_as_by_its_formula(batch: int, grid: int, modes: int, width: int, layers: int) -> None:
    model = FNO((modes, modes), 1, 1, width, layers)
    found = count(model.forward, model.parameters, shape_array((batch, 1, grid, grid), np.float32))
    assert (found.flops, found.activations) == fno_flops(batch, grid, modes, width, layers)
    assert found.parameters == model.n_parameters
    assert sum(layer.flops for layer in found.layers) == found.flops


def test_layers_that_are_apart_count_like_the_fused_block() -> None:
    fused, apart = (FNO((8, 8), 1, 1, 16, 2, norm=norm) for norm in (None, "instance"))
    counts = [count(m.forward, m.parameters, np.zeros((1, 1, 32, 32), np.float32)) for m in (fused, apart)]
    assert counts[0].flops == counts[1].flops
    assert counts[0].activations == counts[1].activations


def test_a_language_model_is_counted_as_by_its_formula() -> None:
    model = TransNormer.create(width=32, heads=4, layers=2, hidden=48, vocabulary=64)
    tokens = np.random.default_rng(0).integers(0, 64, (3, 65))
    found = count(model.loss, model.parameters, tokens)
    by_name = {layer.name: layer for layer in found.layers}
    matrices = 2 * (5 * 32**2 + 3 * 32 * 48) + 32 * 64
    assert by_name["linear"].flops == 3 * 64 * matrices
    assert found.parameters == sum(p.size for p in model.parameters.values())


def test_a_convolutional_network_is_counted_as_by_its_formula() -> None:
    found = count(
        lambda p, x: network(64, p, x), initial_network(64, 0, np.float32), shape_array((1, 1, 16, 16, 16), np.float32)
    )
    fine, coarse, upper = BRANCHES[64]
    each = 27 * CHANNELS**2
    cells = 16**3
    assert found.flops == cells * (27 * CHANNELS + (fine + upper) * each + CHANNELS) + cells // 8 * coarse * each
    assert found.activations == CHANNELS * (cells * (1 + fine + upper) + cells // 8 * coarse) + cells


def test_a_network_of_matrices_is_counted_as_by_its_formula() -> None:
    model = SPDNet((10, 6), 3, batch_norm=False)
    found = count(model.loss(), model.parameters, (shape_array((7, 1, 10, 10), np.float32), np.zeros(7, int)))
    by_name = {layer.name: layer.flops for layer in found.layers}
    assert by_name["bimap"] == 7 * (6 * 10 * 10 + 6 * 6 * 10)
    assert by_name["linear"] == 7 * 3 * 21
    assert found.parameters == 6 * 10 + 3 * 21 + 3


def test_the_work_of_stencils_is_of_single_entries() -> None:
    model, mask = CycleModel.pretrained(), np.ones((1, 16, 16, 16), bool)
    levels = hierarchy(first_level(mask, np.zeros_like(mask), ((True, True),) * 3, np.float32))
    cycle = cycle_of(levels, model.parameters)
    found = count(lambda p, r: vcycle(cycle, r)[0], model.parameters, shape_array((1, 16, 16, 16), np.float32))
    assert found.parameters == model.n_parameters
    assert 60 < found.entrywise / 16**3 < 120


def train(model: FNO):
    return batch_loss(model, TrainingConfig(1, 4, loss="h1", periodic=True), None)


def field(*shape: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    return x, x.copy()


def cases():
    model = FNO((16, 16), 1, 1, 32)
    yield "fno", train(model), model.parameters, field(4, 1, 64, 64)
    model = TFNO((16, 16), 1, 1, 48)
    yield "tfno", train(model), model.parameters, field(2, 1, 96, 96)
    model = FNO((8, 8, 8), 1, 1, 16)
    yield "volume", train(model), model.parameters, field(1, 1, 24, 24, 24)
    model = FNO((16, 16), 1, 1, 32, norm="group")
    yield "normalized", train(model), model.parameters, field(2, 1, 64, 64)
    model = FNO((32,), 1, 1, 32)
    yield "line", train(model), model.parameters, field(8, 1, 512)
    model = SFNO((16, 16), 1, 1, 16)
    yield "sphere", train(model), model.parameters, field(2, 1, 32, 64)
    model = UNO(((8, 8), (4, 4), (8, 8)), (32, 32, 32), (1, 0.5, 2), 1, 1, 32)
    yield "uno", train(model), model.parameters, field(2, 1, 64, 64)
    network = UNet(UNetConfig(3, 1, 3, (8, 16, 32)))
    volume = field(1, 1, 32, 32, 32)[0]
    yield "u-net", network.loss(), network.parameters, (volume, (volume[:, 0] > 0).astype(np.int64))
    cut = MultigridPatches(1, 0.25)
    model = FNO((8, 8), cut.channels(1, 2), 1, 16, positional_grid=False)
    yield "patches", patch_loss(model, cut), model.parameters, field(2, 1, 64, 64)
    model = TransNormer.create(width=64, heads=4, layers=2, hidden=128)
    yield "transnormer", model.loss, model.parameters, np.random.default_rng(0).integers(0, 256, (4, 257))
    model = SPDNet((32, 24, 16), 3, batch_norm=False)
    x = np.random.default_rng(0).normal(size=(64, 1, 32, 32)).astype(np.float32)
    labels = np.random.default_rng(0).integers(0, 3, 64)
    yield "spd", model.loss(), model.parameters, (x @ x.swapaxes(2, 3) + np.eye(32, dtype=np.float32), labels)


def peak_of(action) -> int:
    action()
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("name", "loss", "parameters", "batch"), list(cases()), ids=lambda v: v if type(v) is str else ""
)
def test_the_memory_of_a_step_is_that_of_a_real_one(name: str, loss, parameters, batch) -> None:
    found = training_memory(loss, parameters, batch, AdamW())

    def step() -> None:
        own = {key: value.copy() for key, value in parameters.items()}
        state = AdamW().start(own)
        copies = tuple(a.copy() for a in batch) if isinstance(batch, tuple) else batch.copy()
        _, gradients = value_and_gradients(lambda v: loss(v, copies), own)
        AdamW().update(own, gradients, state, 1, 1.0)

    assert 0.95 <= peak_of(step) / found.peak <= 1.1
    assert found.parameters == sum(p.nbytes for p in parameters.values())
    assert found.state == 2 * found.parameters
    assert found.parameters + found.state + found.residuals <= found.peak


def test_the_memory_of_a_prediction_is_that_of_a_real_one() -> None:
    model, (x, _) = TFNO((16, 16), 1, 1, 48), field(2, 1, 96, 96)
    found = inference_memory(model.forward, model.parameters, x)

    def predict() -> None:
        model.forward({key: value.copy() for key, value in model.parameters.items()}, x.copy())

    assert 0.95 <= peak_of(predict) / found.peak <= 1.05
    assert found.parameters == model.nbytes


def test_a_step_is_three_times_a_forward_pass_but_for_the_gradient_of_the_input() -> None:
    """Every product has two gradients, each of its cost; the first one's input is a constant and has none."""
    weights = {"v": shape_array((8, 3)), "w": shape_array((2, 8))}

    def forward(p, x):
        return linear(linear(x, p["v"]), p["w"])

    x = shape_array((5, 3))
    found = training_memory(lambda p, batch: (forward(p, batch) ** 2).sum(), weights, x)
    assert found.flops == 3 * count(forward, weights, x).flops - 5 * 3 * 8
    assert found.state == 0


def test_a_kernel_without_array_formulation_is_refused() -> None:
    kernel = get_kernel("nn/pointwise.cu", "adam", np.float64, False)

    def step(p):
        settings = (0.9, 0.999, 1.0, 1.0, 1e-8, 0.0, 1.0, 1e-3)
        launch(kernel, 1, p, p, p, p, shape_array(0), p.size, *settings)

    with pytest.raises(InvalidValueError, match="1 launches of kernels"):
        count(step, shape_array(3))


def test_work_that_depends_on_numbers_is_refused() -> None:
    @op(vjp=lambda dout, x: (dout,))
    def halve_until_small(x):
        while x.max() > 1:
            x = x / 2
        return x, None

    with pytest.raises(DTypeError, match="neither true nor false"):
        count(lambda p: halve_until_small(p), shape_array(3))


def test_the_numbers_of_a_model_are_not_read_or_changed() -> None:
    model = FNO((4, 4), 1, 1, 8, 1)
    model.parameters["lifting.0.bias"][:] = np.nan
    before = {name: p.copy() for name, p in model.parameters.items()}
    x = np.full((1, 1, 16, 16), np.inf, np.float32)
    found = count(model.forward, model.parameters, x)
    training_memory(train(model), model.parameters, (x, x), AdamW())
    assert isinstance(found, Counts)
    assert math.isfinite(found.flops)
    assert all(np.array_equal(before[name], p, equal_nan=True) for name, p in model.parameters.items())
