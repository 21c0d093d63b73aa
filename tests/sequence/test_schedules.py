"""Pipeline schedules, their simulated bubble and memory, and the analytic model of training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sci.errors import DecompositionError, InvalidValueError
from sci.sequence import (
    LanguageModelSize,
    ParallelTransformer,
    PipelineStep,
    pipeline_bubble,
    pipeline_bytes,
    pipeline_schedule,
    rank_grid,
    run_pipeline,
    simulate,
    tensor_parallel_bytes,
    training_days,
)

CASES = [
    *[("gpipe", p, m, 1) for p, m in ((1, 3), (4, 8), (4, 2))],
    *[("1f1b", p, m, 1) for p, m in ((1, 1), (4, 8), (4, 2), (8, 32), (64, 512))],
    *[("interleaved", p, m, v) for p, m, v in ((4, 8, 2), (8, 32, 4), (4, 4, 2), (2, 8, 3), (1, 3, 2))],
]


@pytest.mark.parametrize(("kind", "p", "m", "v"), CASES)
def test_the_simulated_bubble_is_the_formula(kind, p, m, v):
    found = simulate(pipeline_schedule(kind, p, m, v), 1.0, 2.0)
    np.testing.assert_allclose(found.bubble, pipeline_bubble(p, m, v), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.makespan, 3 * m * (1 + (p - 1) / (v * m)), rtol=1e-12)


@pytest.mark.parametrize(("p", "m"), [(4, 8), (8, 32), (4, 2)])
def test_peaks_of_gpipe_and_1f1b(p, m):
    assert simulate(pipeline_schedule("gpipe", p, m)).peak == (m,) * p
    assert simulate(pipeline_schedule("1f1b", p, m)).peak == tuple(min(m, p - r) for r in range(p))


@pytest.mark.parametrize(("p", "v", "expected"), [(4, 2, 5.5), (8, 4, 9.75)])
def test_peak_of_interleaved(p, v, expected):
    assert simulate(pipeline_schedule("interleaved", p, 4 * p, v)).peak[0] == expected == p * (1 + (p - 1) / (p * v))


@given(st.sampled_from(["gpipe", "1f1b", "interleaved"]), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4))
@settings(max_examples=80, deadline=None)
def test_every_schedule_runs_each_pass_once_and_ends(kind, p, groups, v):
    chunks = v if kind == "interleaved" else 1
    schedule = pipeline_schedule(kind, p, groups * p, chunks)
    expected = {PipelineStep(f, c, m) for f in (True, False) for c in range(chunks) for m in range(groups * p)}
    for steps in schedule:
        assert len(steps) == len(expected)
        assert set(steps) == expected
    assert simulate(schedule, 1.0, 2.0, 0.25).makespan >= simulate(schedule).makespan


def test_messages_cost_time():
    schedule = pipeline_schedule("1f1b", 4, 8)
    assert simulate(schedule, message=0.1).makespan >= simulate(schedule).makespan + 6 * 0.1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("2f2b", 2, 2), "expected 'gpipe'"),
        (("1f1b", 0, 2), "1 or more"),
        (("1f1b", 2, 2, 2), "expected 'interleaved'"),
        (("interleaved", 4, 6, 2), "a multiple"),
    ],
)
def test_bad_schedules(arguments, text):
    with pytest.raises(InvalidValueError, match=text):
        pipeline_schedule(*arguments)


def test_a_schedule_that_hangs_is_refused():
    with pytest.raises(InvalidValueError, match="rank 0 waits for ever"):
        simulate(((PipelineStep(False, 0, 0), PipelineStep(True, 0, 0)),))


def test_one_rank_runs_all_chunks():
    """All stages on one rank: y = x 2^6, dL/dx = 2^6."""
    seen: dict[str, float] = {}

    def forward(chunk, i, x):
        y = 2.0 * (np.full(2, i + 1.0) if x is None else x)
        seen[f"y{chunk}{i}"] = y[0]
        return y, chunk

    def backward(chunk, i, dy, residual):
        assert residual == chunk
        seen[f"d{chunk}{i}"] = (1.0 if dy is None else dy[0]) * 2.0
        return np.full(2, seen[f"d{chunk}{i}"])

    run_pipeline(pipeline_schedule("interleaved", 1, 2, 6), forward, backward, shape=(2,), dtype=float)
    assert seen["y51"] == 128.0
    assert seen["d00"] == 64.0


def test_a_stage_must_hand_on_the_shape_that_was_promised():
    with pytest.raises(InvalidValueError, match=r"hands on \(3,\)"):
        run_pipeline(
            pipeline_schedule("interleaved", 1, 1, 2), lambda *_: (np.zeros(3), None), None, shape=(2,), dtype=float
        )


TABLE = """
1.7 24 2304 1 1 32 512 137 4.4
3.6 30 3072 2 1 64 512 138 8.8
7.5 36 4096 4 1 128 512 142 18.2
18.4 40 6144 8 1 256 1024 135 34.6
39.1 48 8192 8 2 512 1536 138 70.8
76.1 60 10240 8 4 1024 1792 140 143.8
145.6 80 12288 8 8 1536 2304 148 227.1
310.1 96 16384 8 16 1920 2160 155 297.4
529.6 105 20480 8 35 2520 2520 163 410.2
1008 128 25600 8 64 3072 3072 163 502.0
"""


@pytest.mark.parametrize("row", TABLE.split("\n")[1:-1])
def test_the_published_table(row):
    """Parameters in 1e9 to the digits printed, petaflop/s from devices and teraflop/s each within their rounding."""
    billions, layers, width, _, _, devices, batch, teraflops, petaflops = map(float, row.split())
    size = LanguageModelSize(int(layers), int(width))
    digits = 0 if billions == 1008 else 1
    assert round(size.parameters / 1e9, digits) == billions
    assert abs(devices * teraflops / 1e3 - petaflops) <= devices * 0.5 / 1e3 + 0.05
    seconds = size.seconds(int(batch), int(devices), teraflops * 1e12)
    np.testing.assert_allclose(size.flops(int(batch)) / seconds / 1e15, devices * teraflops / 1e3, rtol=1e-12)


def test_flops_are_the_published_formula():
    size, b, s, h, n, v = LanguageModelSize(24, 2304), 512, 2048, 2304, 24, 51200
    np.testing.assert_allclose(size.flops(b), 96 * b * s * n * h**2 * (1 + s / (6 * h) + v / (16 * n * h)), rtol=1e-12)
    assert size.flops(b, recompute=False) < size.flops(b)


def test_training_days():
    trillion = LanguageModelSize(128, 25600).parameters
    assert round(training_days(450e9, trillion, 3072, 163e12)) == 84
    assert round(training_days(300e9, 175e9, 1024, 140e12)) == 34


def test_message_volumes():
    assert tensor_parallel_bytes(2, 8, 4, 4, itemsize=8) == 8 * 2 * 8 * 4 * 3 / 4 * 8
    assert pipeline_bytes(6, 2, 8, 4, chunks=2, tensor_ranks=2, itemsize=8) == 6 * 2 * 2 * 8 * 4 / 2 * 8


def test_grids_and_models_that_do_not_fit():
    with pytest.raises(DecompositionError, match="on 1 ranks"):
        rank_grid(None, tensor=2)
    grid = rank_grid(None)
    assert grid.shape == (1, 1, 1, 1)
    with pytest.raises(DecompositionError, match="at least one on each"):
        ParallelTransformer(8, 2, 2, 8, 11, grid, chunks=3)
    with pytest.raises(InvalidValueError, match="heads that divide"):
        ParallelTransformer(8, 3, 2, 8, 11, grid)
    model = ParallelTransformer(8, 2, 2, 8, 11, grid)
    with pytest.raises(DecompositionError, match="multiple of that many rows"):
        model.loss_and_gradients(model.whole(0), np.zeros((3, 5), int), microbatches=2)
    with pytest.raises(InvalidValueError, match="outside of the vocabulary"):
        model.loss_and_gradients(model.whole(0), np.full((2, 5), 11))


@pytest.mark.parametrize("attention", ["softmax", "lightning"])
def test_gradients_against_central_differences(attention):
    model = ParallelTransformer(8, 2, 2, 6, 11, rank_grid(None), attention=attention)
    whole, rng = model.whole(3, dtype=np.float64), np.random.default_rng(0)
    batch = rng.integers(0, 11, (2, 7))
    _, gradients = model.loss_and_gradients(whole, batch, microbatches=2)
    for name, p in whole.items():
        direction = rng.normal(size=p.shape)
        plus, minus = (model.loss_and_gradients({**whole, name: p + s * 1e-5 * direction}, batch)[0] for s in (1, -1))
        np.testing.assert_allclose((gradients[name] * direction).sum(), (plus - minus) / 2e-5, rtol=1e-5, atol=1e-9)
