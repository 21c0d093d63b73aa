"""Pipeline schedules as data, and a simulator of their time and memory: GPipe, 1F1B, interleaved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from sci.errors import InvalidValueError

__all__ = [
    "PipelineKind",
    "PipelineStep",
    "Simulation",
    "peak_in_flight",
    "pipeline_bubble",
    "pipeline_schedule",
    "simulate",
]

PipelineKind: TypeAlias = Literal["gpipe", "1f1b", "interleaved"]


@dataclass(frozen=True)
class PipelineStep:
    """One piece of work of a rank: the forward or backward pass of a microbatch through one chunk of its layers."""

    forward: bool
    chunk: int
    microbatch: int


PipelineSchedule: TypeAlias = tuple[tuple[PipelineStep, ...], ...]


def pipeline_schedule(kind: PipelineKind, stages: int, microbatches: int, chunks: int = 1) -> PipelineSchedule:
    """Return the order of work of every rank of a pipeline.

    Rank r holds the chunks c = 0 ... v - 1 of the model's layers, chunk c being stage c p + r of v p stages. All start
    with some forward passes, then take turns, then run the backward passes that are left.

    Parameters
    ----------
    kind : {"gpipe", "1f1b", "interleaved"}
    stages : int
        Ranks p of the pipeline.
    microbatches : int
        m; a multiple of p for "interleaved".
    chunks : int
        v, 1 but for "interleaved".

    Returns
    -------
    tuple of p tuples of `PipelineStep`

    Raises
    ------
    InvalidValueError

    Notes
    -----
    Forward passes before the first backward one: GPipe m; 1F1B min(m, p - 1 - r); interleaved min(m v, 2 (p - 1 - r) +
    (v - 1) p), all of them if m = p.

    References
    ----------
    Narayanan et al., Megatron-LM (arXiv 2104.04473), section 2.2.

    Examples
    --------
    >>> from sci.sequence import pipeline_schedule
    >>> ["FB"[not s.forward] + str(s.microbatch) for s in pipeline_schedule("1f1b", 2, 3)[0]]
    ['F0', 'F1', 'B0', 'F2', 'B1', 'B2']
    """
    _check(kind, stages, microbatches, chunks)
    total = microbatches * chunks
    return tuple(
        _order(_warm_up(kind, rank, stages, microbatches, chunks), total, stages, chunks) for rank in range(stages)
    )


def _check(kind: str, stages: int, microbatches: int, chunks: int) -> None:
    if kind not in ("gpipe", "1f1b", "interleaved"):
        raise InvalidValueError(f"the schedule is {kind!r}; expected 'gpipe', '1f1b' or 'interleaved'")
    if min(stages, microbatches, chunks) < 1:
        raise InvalidValueError(
            f"{stages} stages, {microbatches} microbatches, {chunks} chunks; expected 1 or more each"
        )
    if kind != "interleaved" and chunks != 1:
        raise InvalidValueError(f"{chunks} chunks a rank in the schedule {kind!r}; expected 'interleaved'")
    if kind == "interleaved" and microbatches % stages:
        raise InvalidValueError(
            f"{microbatches} microbatches on {stages} stages; expected a multiple for the interleaved schedule"
        )


def _warm_up(kind: str, rank: int, stages: int, microbatches: int, chunks: int) -> int:
    if kind == "gpipe":
        return microbatches
    if kind == "1f1b":
        return min(microbatches, stages - 1 - rank)
    if microbatches == stages:
        return microbatches * chunks
    return min(microbatches * chunks, 2 * (stages - 1 - rank) + (chunks - 1) * stages)


def _order(warm_up: int, total: int, stages: int, chunks: int) -> tuple[PipelineStep, ...]:
    forward = [_virtual(k, stages, chunks, True) for k in range(total)]
    backward = [_virtual(k, stages, chunks, False) for k in range(total)]
    steps = forward[:warm_up]
    for f, b in zip(forward[warm_up:], backward):
        steps += [f, b]
    return (*steps, *backward[total - warm_up :])


def _virtual(k: int, stages: int, chunks: int, forward: bool) -> PipelineStep:
    """Return the k-th pass of a rank: p microbatches through each chunk in turn."""
    group, i = divmod(k, stages * chunks)
    chunk, place = divmod(i, stages)
    return PipelineStep(forward, chunk if forward else chunks - 1 - chunk, group * stages + place)


@dataclass(frozen=True)
class Simulation:
    """What a schedule costs.

    Parameters
    ----------
    makespan : float
        Time from the first forward to the last backward pass.
    bubble : float
        Idle time of a rank over its time at work.
    peak : tuple of float
        For each rank, most microbatches whose activations it holds at one time; one through a chunk counts 1 / v.
    """

    makespan: float
    bubble: float
    peak: tuple[float, ...]


def simulate(
    schedule: PipelineSchedule, forward: float = 1.0, backward: float = 2.0, message: float = 0.0
) -> Simulation:
    """Run a schedule on paper.

    Parameters
    ----------
    schedule : sequence of sequences of `PipelineStep`, one a rank
    forward, backward : float
        Time of a pass of one microbatch through all chunks of a rank.
    message : float
        Time from the end of a pass to its arrival at the next rank.

    Returns
    -------
    Simulation

    Raises
    ------
    InvalidValueError
        If a rank lacks a pass or has one twice, or if a pass waits for one that never comes: the schedule hangs.

    Examples
    --------
    >>> from sci.sequence import pipeline_schedule, simulate
    >>> simulate(pipeline_schedule("1f1b", 4, 8)).bubble    # (p - 1) / m
    0.375
    """
    p, chunks = len(schedule), _complete(schedule)
    done: dict[tuple[bool, int, int], float] = {}
    clocks, places = [0.0] * p, [0] * p
    moved = True
    while moved:
        moved = False
        for rank, steps in enumerate(schedule):
            while places[rank] < len(steps):
                step = steps[places[rank]]
                ready = _ready(step, rank, p, chunks, done, message)
                if ready is None:
                    break
                length = (forward if step.forward else backward) / chunks
                clocks[rank] = max(clocks[rank], ready) + length
                done[step.forward, step.chunk * p + rank, step.microbatch] = clocks[rank]
                places[rank] += 1
                moved = True
    for rank, steps in enumerate(schedule):
        if places[rank] < len(steps):
            raise InvalidValueError(f"the schedule hangs: rank {rank} waits for ever before {steps[places[rank]]}")
    work = sum((forward if step.forward else backward) / chunks for step in schedule[0])
    return Simulation(max(clocks), max(clocks) / work - 1, tuple(peak_in_flight(steps, chunks) for steps in schedule))


def _complete(schedule: PipelineSchedule) -> int:
    """Return the chunks of a rank, after a check that each rank runs each pass of each microbatch once."""
    steps = [step for order in schedule for step in order]
    if not steps or min(min(s.chunk, s.microbatch) for s in steps) < 0:
        raise InvalidValueError("an empty schedule, or one with negative numbers; expected passes on each rank")
    chunks, microbatches = 1 + max(s.chunk for s in steps), 1 + max(s.microbatch for s in steps)
    every = [PipelineStep(f, c, m) for m in range(microbatches) for c in range(chunks) for f in (True, False)]
    for rank, order in enumerate(schedule):
        counts = Counter(order)
        for step in every:
            if counts[step] != 1:
                raise InvalidValueError(
                    f"rank {rank} runs {step} {counts[step]} times; expected each pass of {microbatches} microbatches "
                    f"through {chunks} chunks once"
                )
    return chunks


def _ready(
    step: PipelineStep, rank: int, p: int, chunks: int, done: dict[tuple[bool, int, int], float], message: float
) -> float | None:
    """Return when the input of a pass is there, or None if what makes it has not run yet."""
    stage, m = step.chunk * p + rank, step.microbatch
    if step.forward:
        before = 0.0 if stage == 0 else done.get((True, stage - 1, m))
        return before if stage == 0 or before is None else before + message
    own = done.get((True, stage, m))
    if own is None or stage == p * chunks - 1:
        return own
    after = done.get((False, stage + 1, m))
    return None if after is None else max(own, after + message)


def peak_in_flight(steps: Sequence[PipelineStep], chunks: int = 1) -> float:
    """Return the most microbatches that a rank holds between their passes; one through a chunk counts 1 / chunks.

    Notes
    -----
    GPipe m; 1F1B min(m, p - r); interleaved p (1 + (p - 1) / (p v)) at rank 0.
    """
    held = peak = 0
    for step in steps:
        held += 1 if step.forward else -1
        peak = max(peak, held)
    return peak / chunks


def pipeline_bubble(stages: int, microbatches: int, chunks: int = 1) -> float:
    """Return the idle time over the time at work, (p - 1) / (v m), without messages."""
    return (stages - 1) / (chunks * microbatches)
