"""The executor of pipeline schedules on ranks as threads: which array reaches which pass, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from thread_ranks import ThreadComm, on_ranks

from sci.errors import InvalidValueError
from sci.sequence import PipelineStep, pipeline_schedule, run_pipeline, simulate


def steps(text: str) -> tuple[PipelineStep, ...]:
    """Read "F0 F1 B0 B1"; a letter after the number is the chunk: "F0b" runs chunk 1."""
    return tuple(
        PipelineStep(
            {"F": "forward", "B": "backward", "I": "input", "W": "weight"}[s[0]], "abc".index((s + "a")[2]), int(s[1])
        )
        for s in text.split()
    )


def products(schedule: Sequence[Sequence[PipelineStep]], chunks: int = 1) -> list[dict[str, float]]:
    """Run stages that multiply by 2, 3, 5, ... on inputs 1, 10, 100; return what each pass of each rank made."""
    factors = (2.0, 3.0, 5.0, 7.0, 11.0, 13.0)
    n_ranks = len(schedule)

    def body(comm: ThreadComm) -> dict[str, float]:
        made: dict[str, float] = {}

        def forward(chunk: int, i: int, x: np.ndarray | None) -> tuple[np.ndarray, None]:
            y = factors[chunk * n_ranks + comm.rank] * (np.array([10.0**i]) if x is None else x)
            made[f"F{i}{'abc'[chunk]}"] = float(y[0])
            return y, None

        def backward(chunk: int, i: int, dy: np.ndarray | None, _: None) -> np.ndarray:
            dx = factors[chunk * n_ranks + comm.rank] * (np.array([10.0**i]) if dy is None else dy)
            made[f"B{i}{'abc'[chunk]}"] = float(dx[0])
            return dx

        def gradient(chunk: int, i: int, dy: np.ndarray | None, kept: None) -> object:
            dx = backward(chunk, i, dy, kept)
            return (dx, float(dx[0])) if halved else dx

        def weight(chunk: int, i: int, kept: float) -> None:
            made[f"W{i}{'abc'[chunk]}"] = kept

        halved = any(step.kind == "weight" for step in schedule[0])
        run_pipeline(schedule, forward, gradient, weight, shape=(1,), dtype=float, comm=comm)
        return made

    return on_ranks(n_ranks, body)


def test_stages_may_take_microbatches_in_different_orders() -> None:
    schedule = (steps("F0 F1 F2 B0 B1 B2"), steps("F2 F0 B0 F1 B2 B1"))
    assert simulate(schedule).makespan > 0
    first, second = products(schedule)
    for i in range(3):
        assert first[f"F{i}a"] == 2 * 10**i
        assert second[f"F{i}a"] == 6 * 10**i
        assert second[f"B{i}a"] == 3 * 10**i
        assert first[f"B{i}a"] == 6 * 10**i


@pytest.mark.parametrize(
    ("kind", "p", "m", "v"),
    [("gpipe", 3, 4, 1), ("1f1b", 3, 4, 1), ("interleaved", 2, 4, 3), ("zb-h1", 3, 4, 1), ("zb-h2", 3, 5, 1)],
)
def test_every_value_is_the_product_of_the_stages_before(kind, p, m, v) -> None:
    made = products(pipeline_schedule(kind, p, m, v), v)
    factors = np.array([2.0, 3.0, 5.0, 7.0, 11.0, 13.0])[: p * v]
    for rank, values in enumerate(made):
        for chunk in range(v):
            stage = chunk * p + rank
            for i in range(m):
                assert values[f"F{i}{'abc'[chunk]}"] == 10.0**i * factors[: stage + 1].prod()
                assert values[f"B{i}{'abc'[chunk]}"] == 10.0**i * factors[stage:].prod()
                if kind.startswith("zb"):
                    assert values[f"W{i}a"] == values[f"B{i}a"]


@pytest.mark.parametrize(
    ("schedule", "text"),
    [
        (("F0 F1 B0 B1", "F0 B0 F0 B0"), "rank 1 runs PipelineStep.* 2 times"),
        (("F0 F1 B0 B1", "F0 B0"), "rank 1 runs PipelineStep.* 0 times"),
        (("F0 B0 B0", "F0 B0"), "rank 0 runs .* 2 times"),
        (("F0 B0", "F0"), "rank 1 runs .*kind='backward'.* 0 times"),
        (("F0 F0b B0b B0", "F0 B0"), "rank 1 runs .*chunk=1.* 0 times"),
        (("F0 F2 B0 B2", "F0 F2 B0 B2"), "microbatch=1.* 0 times"),
        (("F0 I0", "F0 I0 W0"), "rank 0 runs .*kind='weight'.* 0 times"),
        (("F0 I0 W0", "F0 B0"), "rank 1 runs .*kind='backward'.* 1 times"),
        (("F0 W0", "F0 B0"), "rank 0 runs .*kind='input'.* 0 times"),
        ((), "an empty schedule"),
    ],
)
def test_duplicate_and_missing_passes_are_refused(schedule: tuple[str, ...], text: str) -> None:
    plan = tuple(map(steps, schedule))
    with pytest.raises(InvalidValueError, match=text):
        simulate(plan)
    if plan:
        with pytest.raises(InvalidValueError, match=text):
            products(plan)


def test_ranks_must_have_one_schedule_and_shape() -> None:
    plans = [pipeline_schedule(kind, 2, 2) for kind in ("gpipe", "1f1b")]

    def run(comm: ThreadComm, plan: int, shape: tuple[int, ...]) -> None:
        run_pipeline(plans[plan], min, max, shape=shape, dtype=float, comm=comm)

    with pytest.raises(InvalidValueError, match="schedule differs between ranks"):
        on_ranks(2, lambda comm: run(comm, comm.rank, (2,)))
    with pytest.raises(InvalidValueError, match="shape differs between ranks"):
        on_ranks(2, lambda comm: run(comm, 0, (2 + comm.rank,)))


def test_a_split_schedule_needs_its_second_half() -> None:
    with pytest.raises(InvalidValueError, match="expected weight="):
        run_pipeline(pipeline_schedule("zb-h1", 1, 2), min, max, shape=(1,), dtype=float)


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


def test_a_stage_must_return_the_shape_that_was_promised():
    with pytest.raises(InvalidValueError, match=r"stage 0 returns \(3,\) of float64; expected \(2,\) of float64"):
        run_pipeline(
            pipeline_schedule("interleaved", 1, 1, 2), lambda *_: (np.zeros(3), None), max, shape=(2,), dtype=float
        )
