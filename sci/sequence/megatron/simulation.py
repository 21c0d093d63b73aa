"""The time and memory of pipeline schedules, by simulation and by formula."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sci.arguments import entry
from sci.errors import InvalidValueError
from sci.sequence.megatron.schedules import PASSES, PipelineKind, PipelineSchedule, PipelineStep

__all__ = ["Simulation", "peak_in_flight", "pipeline_bubble", "simulate"]


_HELD = {"forward": 1, "backward": -1, "input": 0, "weight": -1}


@entry
@dataclass(frozen=True)
class Simulation:
    """Time and memory of a schedule.

    Parameters
    ----------
    makespan : float
        Time from the first forward to the last backward pass.
    bubble : float
        Idle time of a rank over its time at work, from the first pass of any rank to the last.
    own_bubble : float
        The same between the first and the last pass of the rank itself, of the rank where it is largest: what is left
        where the next step begins without a wait for all ranks.
    peak : tuple of float
        For each rank, most microbatches whose activations it holds at one time; one through a chunk counts 1 / v.

    Examples
    --------
    >>> from sci.sequence import pipeline_schedule, simulate
    >>> simulate(pipeline_schedule("gpipe", 2, 2))
    Simulation(makespan=9.0, bubble=0.5, own_bubble=0.5, peak=(2.0, 2.0))
    """

    makespan: float
    bubble: float
    own_bubble: float
    peak: tuple[float, ...]


@entry
def simulate(
    schedule: PipelineSchedule,
    forward: float = 1.0,
    backward: float = 2.0,
    message: float = 0.0,
    weight: float | None = None,
) -> Simulation:
    """Simulate a schedule.

    Parameters
    ----------
    schedule : sequence of sequences of `PipelineStep`, one per rank
    forward, backward : float
        Time of a pass of one microbatch through all chunks of a rank.
    message : float
        Time from the end of a pass to its arrival at the next rank.
    weight : float, optional
        The part of `backward` that goes into gradients of weights, where they are a pass of their own; half of it.

    Returns
    -------
    Simulation

    Raises
    ------
    InvalidValueError
        If a rank lacks a pass or has one twice, or if the schedule hangs: a pass waits for one that never comes. Also
        for a time below 0, and a `weight` above `backward`.

    Examples
    --------
    >>> from sci.sequence import pipeline_schedule, simulate
    >>> simulate(pipeline_schedule("1f1b", 4, 8)).bubble    # (p - 1) / m
    0.375
    """
    p, chunks = len(schedule), _complete(schedule)
    lengths = _lengths(forward, backward, message, weight)
    done: dict[tuple[str, int, int], float] = {}
    begun: dict[int, float] = {}
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
                start = max(clocks[rank], ready)
                begun.setdefault(rank, start)
                clocks[rank] = start + lengths[step.kind] / chunks
                done[step.makes, step.chunk * p + rank, step.microbatch] = clocks[rank]
                places[rank] += 1
                moved = True
    for rank, steps in enumerate(schedule):
        if places[rank] < len(steps):
            raise InvalidValueError(f"the schedule hangs: rank {rank} waits for ever before {steps[places[rank]]}")
    work = sum(lengths[step.kind] / chunks for step in schedule[0])
    spans = [clock - begun[rank] for rank, clock in enumerate(clocks)]
    peaks = tuple(peak_in_flight(steps, chunks) for steps in schedule)
    return Simulation(max(clocks), max(clocks) / work - 1, max(spans) / work - 1, peaks)


def _lengths(forward: float, backward: float, message: float, weight: float | None) -> dict[str, float]:
    """Return the time of each kind of pass through all chunks of a rank."""
    weight = backward / 2 if weight is None else weight
    if not (min(forward, backward, message, weight) >= 0 and weight <= backward and forward + backward > 0):
        raise InvalidValueError(
            f"forward {forward}, backward {backward}, message {message}, weight {weight}; expected times of 0 or more, "
            "and a weight within backward"
        )
    return {"forward": forward, "backward": backward, "input": backward - weight, "weight": weight}


def _complete(schedule: PipelineSchedule) -> int:
    """Return the chunks of a rank, after a check that each rank runs each pass of each microbatch once."""
    steps = [step for order in schedule for step in order]
    if not steps or min(min(s.chunk, s.microbatch) for s in steps) < 0:
        raise InvalidValueError("an empty schedule, or one with negative numbers; expected passes on each rank")
    chunks, microbatches = 1 + max(s.chunk for s in steps), 1 + max(s.microbatch for s in steps)
    kinds = ("forward", "input", "weight") if any(s.kind in ("input", "weight") for s in steps) else PASSES[:2]
    for rank, order in enumerate(schedule):
        counts = Counter(order)
        for kind, chunk, microbatch in itertools.product(PASSES, range(chunks), range(microbatches)):
            step = PipelineStep(kind, chunk, microbatch)
            if counts[step] != (kind in kinds):
                raise InvalidValueError(
                    f"rank {rank} runs {step} {counts[step]} times; expected each of the passes {', '.join(kinds)} of "
                    f"{microbatches} microbatches through {chunks} chunks once"
                )
    return chunks


def _ready(
    step: PipelineStep, rank: int, p: int, chunks: int, done: dict[tuple[str, int, int], float], message: float
) -> float | None:
    """Return the time at which the input of a pass is ready, or None if the pass that makes it has not run."""
    stage, m = step.chunk * p + rank, step.microbatch
    if step.kind == "forward":
        before = 0.0 if stage == 0 else done.get(("activations", stage - 1, m))
        return before if stage == 0 or before is None else before + message
    own = done.get(("gradients" if step.kind == "weight" else "activations", stage, m))
    if own is None or stage == p * chunks - 1 or step.kind == "weight":
        return own
    after = done.get(("gradients", stage + 1, m))
    return None if after is None else max(own, after + message)


@entry
def peak_in_flight(steps: Sequence[PipelineStep], chunks: int = 1) -> float:
    """Return the most microbatches that a rank holds between their passes; one through a chunk counts 1 / chunks.

    One counts whole until the gradients of the weights are made: what these need, the inputs of products and the
    gradients of their outputs, is about as much as a forward pass keeps.

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
    GPipe m; 1F1B min(m, p - r); interleaved p (1 + (p - 1) / (p v)) at rank 0; on all ranks ZB-H1 min(m, p), ZB-H2
    min(m, 2 p - 1).

    Examples
    --------
    >>> from sci.sequence import peak_in_flight, pipeline_schedule
    >>> [peak_in_flight(steps) for steps in pipeline_schedule("1f1b", 3, 6)]
    [3.0, 2.0, 1.0]
    """
    held = peak = 0
    for step in steps:
        held += _HELD[step.kind]
        peak = max(peak, held)
    return peak / chunks


@entry
def pipeline_bubble(
    stages: int,
    microbatches: int,
    chunks: int = 1,
    *,
    kind: PipelineKind | None = None,
    forward: float = 1.0,
    backward: float = 2.0,
    weight: float | None = None,
) -> float:
    """Return the idle time over the time at work by formula, without messages; `simulate` computes it for any schedule.

    Parameters
    ----------
    stages : int
        Ranks p of the pipeline.
    microbatches : int
        m of a step.
    chunks : int
        Runs v of layers on each rank.
    kind : {"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"}, optional
        All but the last two have one formula.
    forward, backward, weight : float
        F, B and W as in `simulate`; only the zero-bubble schedules depend on them.

    Returns
    -------
    float

    Raises
    ------
    InvalidValueError
        Where a zero-bubble schedule has no formula: for W above F, or fewer microbatches than p (ZB-H1) or 2 p - 1
        (ZB-H2).

    Notes
    -----
    (p - 1) / (v m); ZB-H1 (p - 1) max(F, F + B - 2 W) / (m (F + B)), ZB-H2 (p - 1) max(F, F + B - 3 W) / (m (F + B)):
    the last rank starts p - 1 forward passes after the first. Without that wait, from a rank's own first pass to its
    last (`Simulation.own_bubble`), the maximum is with 0 in the place of F.

    References
    ----------
    Qi et al. (arXiv 2401.10241), table 1, with B and W apart; Narayanan et al. (arXiv 2104.04473), section 2.2.

    Examples
    --------
    >>> from sci.sequence import pipeline_bubble
    >>> pipeline_bubble(4, 8), pipeline_bubble(4, 8, chunks=2), pipeline_bubble(4, 8, kind="zb-h1")
    (0.375, 0.1875, 0.125)
    """
    if kind not in ("zb-h1", "zb-h2"):
        return (stages - 1) / (chunks * microbatches)
    times = _lengths(forward, backward, 0.0, weight)
    delay = 1 if kind == "zb-h1" else 2
    least = delay * (stages - 1) + 1
    if times["weight"] > forward or microbatches < least or chunks != 1:
        raise InvalidValueError(
            f"{kind} of {stages} stages with {microbatches} microbatches, {chunks} chunks, forward {forward} and "
            f"weight {times['weight']} has no formula; expected {least} microbatches or more, 1 chunk, weight within "
            "forward: simulate the schedule"
        )
    idle = max(forward, forward + backward - (1 + delay) * times["weight"])
    return (stages - 1) * idle / (microbatches * (forward + backward))
