"""The time and memory of pipeline schedules, by simulation and by formula."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.sequence.megatron.schedules import PipelineSchedule, PipelineStep

__all__ = ["Simulation", "peak_in_flight", "pipeline_bubble", "simulate"]


@entry
@dataclass(frozen=True)
class Simulation:
    """Time and memory of a schedule.

    Parameters
    ----------
    makespan : float
        Time from the first forward to the last backward pass.
    bubble : float
        Idle time of a rank over its time at work.
    peak : tuple of float
        For each rank, most microbatches whose activations it holds at one time; one through a chunk counts 1 / v.

    Examples
    --------
    >>> from sci.sequence import pipeline_schedule, simulate
    >>> simulate(pipeline_schedule("gpipe", 2, 2))
    Simulation(makespan=9.0, bubble=0.5, peak=(2.0, 2.0))
    """

    makespan: float
    bubble: float
    peak: tuple[float, ...]


@entry
def simulate(
    schedule: PipelineSchedule, forward: float = 1.0, backward: float = 2.0, message: float = 0.0
) -> Simulation:
    """Simulate a schedule.

    Parameters
    ----------
    schedule : sequence of sequences of `PipelineStep`, one per rank
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
        If a rank lacks a pass or has one twice, or if the schedule hangs: a pass waits for one that never comes.

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
    """Return the time at which the input of a pass is ready, or None if the pass that makes it has not run."""
    stage, m = step.chunk * p + rank, step.microbatch
    if step.forward:
        before = 0.0 if stage == 0 else done.get((True, stage - 1, m))
        return before if stage == 0 or before is None else before + message
    own = done.get((True, stage, m))
    if own is None or stage == p * chunks - 1:
        return own
    after = done.get((False, stage + 1, m))
    return None if after is None else max(own, after + message)


@entry
def peak_in_flight(steps: Sequence[PipelineStep], chunks: int = 1) -> float:
    """Return the most microbatches that a rank holds between their passes; one through a chunk counts 1 / chunks.

    Parameters
    ----------
    steps : sequence of PipelineStep
        The passes of one rank in order.
    chunks : int
        Runs of layers on each rank.

    Returns
    -------
    float

    Notes
    -----
    GPipe m; 1F1B min(m, p - r); interleaved p (1 + (p - 1) / (p v)) at rank 0.

    Examples
    --------
    >>> from sci.sequence import peak_in_flight, pipeline_schedule
    >>> [peak_in_flight(steps) for steps in pipeline_schedule("1f1b", 3, 6)]
    [3.0, 2.0, 1.0]
    """
    held = peak = 0
    for step in steps:
        held += 1 if step.forward else -1
        peak = max(peak, held)
    return peak / chunks


@entry
def pipeline_bubble(stages: int, microbatches: int, chunks: int = 1) -> float:
    """Return the idle time over the time at work, (p - 1) / (v m), without messages.

    Parameters
    ----------
    stages : int
        Ranks of the pipeline.
    microbatches : int
        Microbatches of a step.
    chunks : int
        Runs of layers on each rank.

    Returns
    -------
    float

    Examples
    --------
    >>> from sci.sequence import pipeline_bubble
    >>> pipeline_bubble(4, 8), pipeline_bubble(4, 8, chunks=2)
    (0.375, 0.1875)
    """
    return (stages - 1) / (chunks * microbatches)
