"""Pipeline schedules as data: GPipe, 1F1B, interleaved, and zero bubble."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from sci.arguments import entry
from sci.errors import InvalidValueError

__all__ = ["PASSES", "PipelineKind", "PipelinePass", "PipelineSchedule", "PipelineStep", "pipeline_schedule"]

PipelineKind: TypeAlias = Literal["gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"]
PipelinePass: TypeAlias = Literal["forward", "backward", "input", "weight"]
PASSES: tuple[PipelinePass, ...] = get_args(PipelinePass)
_KINDS: tuple[PipelineKind, ...] = get_args(PipelineKind)


@entry
@dataclass(frozen=True)
class PipelineStep:
    """One piece of work of a rank: a pass of a microbatch through one chunk of its layers.

    Parameters
    ----------
    kind : {"forward", "backward", "input", "weight"}
        "backward" makes all gradients; "input" only that of the chunk's input, which the stage before waits for, and
        "weight" later those of its weights.
    chunk : int
        The run of layers on this rank.
    microbatch : int
        Its number.

    Examples
    --------
    >>> from sci.sequence import PipelineStep, simulate
    >>> steps = (PipelineStep("forward", 0, 0), PipelineStep("backward", 0, 0))
    >>> simulate((steps, steps)).makespan
    6.0
    """

    kind: PipelinePass
    chunk: int
    microbatch: int

    @property
    def makes(self) -> Literal["activations", "gradients", "nothing"]:
        """What the pass hands to another stage."""
        return _MAKES[self.kind]


_MAKES: dict[str, Literal["activations", "gradients", "nothing"]] = {
    "forward": "activations",
    "backward": "gradients",
    "input": "gradients",
    "weight": "nothing",
}
PipelineSchedule: TypeAlias = tuple[tuple[PipelineStep, ...], ...]


@entry
def pipeline_schedule(kind: PipelineKind, stages: int, microbatches: int, chunks: int = 1) -> PipelineSchedule:
    """Return the order of work of every rank of a pipeline.

    Rank r holds the chunks c = 0 ... v - 1 of the model's layers, chunk c being stage c p + r of v p stages. All start
    with some forward passes, then take turns, then run the backward passes that are left. In the zero-bubble schedules
    "zb-h1" and "zb-h2" a backward pass is two: the gradient of the input goes up at once, and those of the weights are
    computed where the rank would wait.

    Parameters
    ----------
    kind : {"gpipe", "1f1b", "interleaved", "zb-h1", "zb-h2"}
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
    Forward passes before the first pair of a forward and a backward one: GPipe m; 1F1B and ZB-H1 min(m, p - 1 - r);
    ZB-H2 min(m, 2 (p - 1 - r)); interleaved min(m v, 2 (p - 1 - r) + (v - 1) p), all of them if m = p. Gradients of
    weights follow those of inputs r microbatches later in ZB-H1, 2 r in ZB-H2, so that all ranks hold as many
    activations as the first.

    References
    ----------
    Narayanan et al., Megatron-LM (arXiv 2104.04473), section 2.2. Qi et al., Zero Bubble Pipeline Parallelism (arXiv
    2401.10241), section 2.

    Examples
    --------
    >>> from sci.sequence import pipeline_schedule
    >>> [s.kind[0].upper() + str(s.microbatch) for s in pipeline_schedule("1f1b", 2, 3)[0]]
    ['F0', 'F1', 'B0', 'F2', 'B1', 'B2']
    >>> [s.kind[0].upper() + str(s.microbatch) for s in pipeline_schedule("zb-h1", 2, 3)[1]]
    ['F0', 'I0', 'F1', 'I1', 'W0', 'F2', 'I2', 'W1', 'W2']
    """
    _check(kind, stages, microbatches, chunks)
    total = microbatches * chunks
    plans = (
        _order(_warm_up(kind, rank, stages, microbatches, chunks), total, stages, chunks) for rank in range(stages)
    )
    if kind in ("zb-h1", "zb-h2"):
        delay = 1 if kind == "zb-h1" else 2
        return tuple(_halved(steps, delay * rank) for rank, steps in enumerate(plans))
    return tuple(plans)


def _check(kind: str, stages: int, microbatches: int, chunks: int) -> None:
    if kind not in _KINDS:
        raise InvalidValueError(f"the schedule is {kind!r}; expected one of {', '.join(map(repr, _KINDS))}")
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
    if kind in ("1f1b", "zb-h1"):
        return min(microbatches, stages - 1 - rank)
    if kind == "zb-h2":
        return min(microbatches, 2 * (stages - 1 - rank))
    if microbatches == stages:
        return microbatches * chunks
    return min(microbatches * chunks, 2 * (stages - 1 - rank) + (chunks - 1) * stages)


def _order(warm_up: int, total: int, stages: int, chunks: int) -> tuple[PipelineStep, ...]:
    forward = [_virtual(k, stages, chunks, "forward") for k in range(total)]
    backward = [_virtual(k, stages, chunks, "backward") for k in range(total)]
    steps = forward[:warm_up]
    for f, b in zip(forward[warm_up:], backward):
        steps += [f, b]
    return (*steps, *backward[total - warm_up :])


def _halved(steps: tuple[PipelineStep, ...], delay: int) -> tuple[PipelineStep, ...]:
    """Return a rank's steps with backward passes in two, the second `delay` microbatches after the first."""
    found, waiting = [], []
    for step in steps:
        if step.kind == "forward":
            found.append(step)
            continue
        found.append(replace(step, kind="input"))
        waiting.append(replace(step, kind="weight"))
        if len(waiting) > delay:
            found.append(waiting.pop(0))
    return (*found, *waiting)


def _virtual(k: int, stages: int, chunks: int, kind: PipelinePass) -> PipelineStep:
    """Return the k-th pass of a rank: p microbatches through each chunk in turn."""
    group, i = divmod(k, stages * chunks)
    chunk, place = divmod(i, stages)
    return PipelineStep(kind, chunk if kind == "forward" else chunks - 1 - chunk, group * stages + place)
