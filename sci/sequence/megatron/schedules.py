"""Pipeline schedules as data: GPipe, 1F1B, interleaved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["PipelineKind", "PipelineSchedule", "PipelineStep", "pipeline_schedule"]

PipelineKind: TypeAlias = Literal["gpipe", "1f1b", "interleaved"]


@entry
@dataclass(frozen=True)
class PipelineStep:
    """One piece of work of a rank: the forward or backward pass of a microbatch through one chunk of its layers.

    Parameters
    ----------
    forward : bool
        A forward pass; else a backward pass.
    chunk : int
        The run of layers on this rank.
    microbatch : int
        Its number.

    Examples
    --------
    >>> from sci.sequence import PipelineStep, simulate
    >>> steps = (PipelineStep(True, 0, 0), PipelineStep(False, 0, 0))
    >>> simulate((steps, steps)).makespan
    6.0
    """

    forward: bool
    chunk: int
    microbatch: int


PipelineSchedule: TypeAlias = tuple[tuple[PipelineStep, ...], ...]


@entry
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
