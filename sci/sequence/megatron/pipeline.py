"""Run a pipeline schedule over ranks: activations go up, gradients come down, one message a pass and boundary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from sci.arguments import collective_entry
from sci.backend import Array
from sci.distributed import Comm, Message, abort_on_error, agreed, rank_of, recv, send, size
from sci.distributed.messages import MAX_TAG
from sci.errors import InvalidValueError
from sci.sequence.megatron.schedules import PASSES, PipelineSchedule, PipelineStep
from sci.sequence.megatron.simulation import simulate

__all__ = ["run_pipeline"]

Forward = Callable[[int, int, Any], tuple[Any, Any]]
Backward = Callable[[int, int, Any, Any], Any]
Weight = Callable[[int, int, Any], None]


@collective_entry
def run_pipeline(
    schedule: PipelineSchedule,
    forward: Forward,
    backward: Backward,
    weight: Weight | None = None,
    *,
    shape: Sequence[int],
    dtype: Any,
    xp: ModuleType = np,
    comm: Comm = None,
) -> None:
    """Run this rank's passes of a schedule, with messages between the stages.

    Parameters
    ----------
    schedule : sequence of sequences of `PipelineStep`
        As `pipeline_schedule` makes it, for as many ranks as `comm` has.
    forward : callable
        `forward(chunk, microbatch, x) -> (y, residuals)`; x is None at the first stage, y is ignored at the last.
    backward : callable
        `backward(chunk, microbatch, dy, residuals) -> dx`; dy is None at the last stage, dx is ignored at the first.
    weight : callable, optional
        For a schedule that splits backward passes: `backward` then returns (dx, kept), and `weight(chunk, microbatch,
        kept)` computes the gradients of the weights later.
    shape : sequence of int
        Of the activations between stages, the same for all.
    dtype : dtype
    xp : module
        numpy or cupy, in which activations are received.
    comm : mpi4py communicator, optional

    Raises
    ------
    InvalidValueError
        On every rank, if the schedule is not for this number of ranks, lacks a pass or has one twice, hangs, or differs
        between ranks; if it splits backward passes and there is no `weight`; and if `shape` or `dtype` differ.

    Notes
    -----
    Collective. The next input is received while a pass runs. Each pass but those at the ends sends one array of
    `shape`. Residuals are freed after their backward pass. A rank whose pass fails ends the job, since other ranks wait
    for its messages; a schedule that is refused is an error on all ranks.

    Examples
    --------
    >>> import numpy as np
    >>> from sci.sequence import pipeline_schedule, run_pipeline
    >>> plan = pipeline_schedule("interleaved", 1, 1, 2)  # two stages on one rank
    >>> forward = lambda chunk, i, x: (np.ones(1) if x is None else 2 * x, None)
    >>> backward = lambda chunk, i, dy, kept: print("stage", chunk) or np.ones(1)
    >>> run_pipeline(plan, forward, backward, shape=(1,), dtype=float)
    stage 1
    stage 0
    """
    _check(schedule, weight is not None, tuple(shape), dtype, comm)
    with abort_on_error(comm):
        _Run(schedule, (forward, backward, weight), tuple(shape), dtype, xp, comm).all()


def _check(schedule: PipelineSchedule, split: bool, shape: tuple[int, ...], dtype: Any, comm: Comm) -> None:
    """Refuse a schedule that does not fit, before any pass runs."""
    with agreed(comm, "run_pipeline") as agreement:
        if len(schedule) != size(comm):
            raise InvalidValueError(f"a schedule for {len(schedule)} stages on {size(comm)} ranks; expected as many")
        simulate(schedule)
        if len(schedule[0]) > MAX_TAG + 1:
            raise InvalidValueError(
                f"{len(schedule[0])} passes a rank; expected at most {MAX_TAG + 1}, a message tag for each"
            )
        if not split and any(step.kind == "weight" for steps in schedule for step in steps):
            raise InvalidValueError("the schedule splits backward passes; expected weight=, which runs the second part")
        order = np.array([[PASSES.index(s.kind), s.chunk, s.microbatch] for steps in schedule for s in steps])
        agreement.same(schedule=order, shape=shape, dtype=str(np.dtype(dtype)))


class _Run:
    """The state of one rank: residuals of microbatches, and messages under way."""

    def __init__(
        self,
        schedule: PipelineSchedule,
        passes: tuple[Forward, Backward, Weight | None],
        shape: tuple[int, ...],
        dtype: Any,
        xp: ModuleType,
        comm: Comm,
    ) -> None:
        self.steps = schedule[rank_of(comm)]
        self.rank, self.ranks, self.comm = rank_of(comm), size(comm), comm
        self.chunks = 1 + max(s.chunk for s in self.steps)
        self.last = self.ranks * self.chunks - 1
        self.forward, self.backward, self.weight = passes
        self.shape, self.dtype, self.xp = shape, np.dtype(dtype), xp
        self.residuals: dict[tuple[int, int], Any] = {}
        self.own: dict[tuple[str, int, int], Array] = {}  # kept on this rank, where it is the only one
        self.sending: list[Message] = []

    def all(self) -> None:
        waiting = self.expect(self.steps[0])
        for index, step in enumerate(self.steps):
            arriving = self.arrived(step, waiting)
            if index + 1 < len(self.steps):
                waiting = self.expect(self.steps[index + 1])
            self.run(step, arriving)
        for message in self.sending:
            message.wait()

    def run(self, step: PipelineStep, arriving: Array | None) -> None:
        """Run one pass on what has arrived, and hand its output on."""
        key = (step.chunk, step.microbatch)
        if step.kind == "weight":
            assert self.weight is not None  # checked before the start
            self.weight(*key, self.residuals.pop(key))
            return
        if step.kind == "forward":
            out, self.residuals[key] = self.forward(*key, arriving)
        elif step.kind == "backward":
            out = self.backward(*key, arriving, self.residuals.pop(key))
        else:
            out, self.residuals[key] = self.backward(*key, arriving, self.residuals.pop(key))
        self.hand_on(step, out)

    def stage(self, step: PipelineStep) -> int:
        return step.chunk * self.ranks + self.rank

    def at_source(self, step: PipelineStep) -> bool:
        """Return True if a pass needs no input from another stage."""
        return step.kind == "weight" or self.stage(step) == (0 if step.kind == "forward" else self.last)

    def tag(self, step: PipelineStep, stage: int) -> int:
        """Return the tag of the input of such a pass at a stage: no two messages between two ranks share one."""
        return 2 * (step.microbatch * self.chunks + stage // self.ranks) + (step.kind == "forward")

    def expect(self, step: PipelineStep) -> Message | None:
        """Start to receive the input of a pass."""
        if self.at_source(step) or self.ranks == 1:
            return None
        source = (self.rank - 1 if step.kind == "forward" else self.rank + 1) % self.ranks
        return recv(self.shape, self.dtype, source, tag=self.tag(step, self.stage(step)), xp=self.xp, comm=self.comm)

    def arrived(self, step: PipelineStep, waiting: Message | None) -> Array | None:
        if waiting is not None:
            return waiting.wait()
        return None if self.at_source(step) else self.own.pop((step.makes, self.stage(step), step.microbatch))

    def hand_on(self, step: PipelineStep, out: Array) -> None:
        target = self.stage(step) + (1 if step.kind == "forward" else -1)
        if not 0 <= target <= self.last:
            return
        if tuple(out.shape) != self.shape or out.dtype != self.dtype:
            raise InvalidValueError(
                f"stage {self.stage(step)} returns {out.shape} of {out.dtype}; expected {self.shape} of {self.dtype}"
            )
        if self.ranks == 1:
            self.own[step.makes, target, step.microbatch] = out
            return
        tag = self.tag(step, target)
        self.sending = [message for message in self.sending if not message.done()]
        self.sending.append(send(out, target % self.ranks, tag=tag, operation="pipeline", comm=self.comm))
