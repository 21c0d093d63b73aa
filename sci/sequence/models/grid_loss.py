"""The loss of a model on a grid of ranks: all passes of its pipeline in one op, or the forward ones alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from sci.backend import Array, namespace
from sci.distributed import Deferred, abort_on_error, agreed, allreduce_sum, rank_of, recv, sample, send, size, split
from sci.errors import DecompositionError
from sci.nn import op
from sci.sequence.checks import kept_labels
from sci.sequence.megatron.pipeline import run_pipeline
from sci.sequence.megatron.schedules import PipelineKind, pipeline_schedule
from sci.sequence.models.layers import Recompute, recompute_by_layer
from sci.sequence.models.stages import PADDING, Passes

__all__ = ["agree_on_copies", "grid_loss", "passes_made"]


def agree_on_copies(model: Any, parameters: Mapping[str, Array], name: str) -> None:
    """Compare parameters over ranks with copies: all of them over replicas, whole ones over tensor ranks."""
    layout, work = model.layout, Deferred()
    whole = {n: p for n, p in parameters.items() if layout.placements[n].axis is None}
    for comm, held in ((layout.replicas, parameters), (model.grid.tensor, whole)):
        if size(comm) > 1:
            with work, agreed(comm, name) as agreement:
                agreement.same(**{f"the parameter {n}": sample(p) for n, p in held.items()})
    work.settle(layout.comm, name)


def passes_made(
    model: Any,
    parameters: Mapping[str, Array],
    batch: Array,
    name: str,
    *,
    microbatches: int,
    schedule: PipelineKind,
    recompute: Recompute | Sequence[Recompute],
    activations: Literal["bfloat16"] | None,
    backward: bool = True,
) -> Passes:
    """Return the passes of a batch after they have run: this rank's share of the loss and of the gradients.

    Raises
    ------
    DecompositionError, InvalidValueError
        On every rank.

    Notes
    -----
    Collective over the grid. Rows are filled up to a multiple of data ranks x microbatches by tokens that do not count.
    """
    grid, comm = model.grid, model.grid.comm
    with agreed(comm, name) as agreement:
        _check(batch, model.vocabulary)
        plan = pipeline_schedule(schedule, size(grid.pipeline), microbatches, model.chunks)
        again = recompute_by_layer(recompute, model.layers)
        agreement.same(batch=batch, microbatches=microbatches, schedule=schedule, recompute=recompute)
        agreement.same(activations=activations)
        agreement.same(model=model.described(), chunks=model.chunks, cut_tokens=model.cut_tokens)
        model.layout.check(parameters)
    agree_on_copies(model, parameters, name)
    total = batch.shape[0] * (batch.shape[1] - 1)
    rows = _filled(batch, size(grid.data) * microbatches)
    rows = rows[split(rows.shape[0], grid.data)]
    step = rows.shape[0] // microbatches
    pieces = [rows[i * step : (i + 1) * step] for i in range(microbatches)]
    work = Passes(model, parameters, pieces, total, schedule in ("zb-h1", "zb-h2"), again, activations)
    shape = (step, model._tokens_between(batch.shape[1] - 1), model.width)
    with abort_on_error(comm):
        if backward:
            passes = (work.forward, work.backward, work.weight)
            run_pipeline(plan, *passes, shape=shape, dtype=work.dtype, xp=work.xp, comm=grid.pipeline)
        else:
            _forward_only(work, shape)
    return work


def _check(batch: Array, vocabulary: int) -> None:
    if batch.ndim != 2 or batch.dtype.kind not in "iu" or batch.shape[1] < 2 or batch.shape[0] < 1:
        raise DecompositionError(f"a batch {batch.shape} of {batch.dtype}; expected (batch, n + 1) integers")
    kept_labels(batch, vocabulary, None)


def _filled(batch: Array, parts: int) -> Array:
    """Return a batch of a multiple of `parts` rows, the last ones of padding."""
    missing = -batch.shape[0] % parts
    if not missing:
        return batch
    xp = namespace(batch)
    rows = xp.full((missing, batch.shape[1]), PADDING, dtype=np.int64)
    return xp.concatenate([batch.astype(np.int64, copy=False), rows])


def _forward_only(work: Passes, shape: tuple[int, ...]) -> None:
    """Send each microbatch through the stages, and keep nothing of it."""
    model, comm = work.model, work.model.grid.pipeline
    p, rank = size(comm), rank_of(comm)
    for microbatch in range(len(work.pieces)):
        x: Any = None
        for chunk, stage in enumerate(model._stages()):
            if stage > 0 and p > 1:
                x = recv(shape, work.dtype, (rank - 1) % p, tag=chunk, xp=work.xp, comm=comm).wait()
            x = work.value(stage, microbatch, x)
            if stage < work.last and p > 1:
                send(x, (rank + 1) % p, tag=chunk + (rank == p - 1), operation="pipeline", comm=comm).wait()


def _whole_loss(model: Any, own: float) -> float:
    """Return the loss of all rows and tokens on all ranks, from the shares of the last stages."""
    if size(model.grid.comm) == 1:
        return own
    counted = own if rank_of(model.grid.tensor) == 0 else 0.0  # tensor ranks have the same
    return float(allreduce_sum(np.array([counted]), model.grid.comm)[0])


def _grid_loss_vjp(dout: Array, residuals: Any) -> tuple[Array, ...]:
    """Return the shares of the gradients, which are there already."""
    gradients, factor = residuals, float(dout)
    return tuple(gradients if factor == 1 else (g * factor for g in gradients))


def _value(*arrays: Array, model: Any, names: Sequence[str], batch: Array, options: Mapping[str, Any]) -> Array:
    """Return the loss by forward passes alone."""
    name = f"{type(model).__name__}.loss"
    work = passes_made(model, dict(zip(names, arrays)), batch, name, backward=False, **options)
    return work.xp.asarray(_whole_loss(model, work.loss), dtype=work.dtype)


@op(vjp=_grid_loss_vjp, value=_value)
def grid_loss(
    *arrays: Array, model: Any, names: Sequence[str], batch: Array, options: Mapping[str, Any]
) -> tuple[Array, Any]:
    """Return the mean loss of a batch, the same on all ranks, as a scalar array or variable.

    Parameters
    ----------
    *arrays : array
        This rank's parameters, in the order of `names`.
    model : ParallelTransformer
    names : sequence of str
    batch : (batch, n + 1) integer array
    options : mapping
        microbatches, schedule, recompute, activations.

    Notes
    -----
    With variables all passes run at once, forward and backward, as the schedule says; their gradients are this rank's
    shares, to be summed over the replicas. Without, the forward ones alone.
    """
    name = f"{type(model).__name__}.loss"
    work = passes_made(model, dict(zip(names, arrays)), batch, name, **options)
    value = work.xp.asarray(_whole_loss(model, work.loss), dtype=work.dtype)
    return value, [work.gradients[n] for n in names]
